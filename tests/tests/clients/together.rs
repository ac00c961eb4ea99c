//! Two gateways on one broker, each with connections of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use mainstem_host::gateway;
use mainstem_registry::client::{Client, Options};
use mainstem_test_broker::Broker;
use serde_json::json;

use super::shop::Shop;

/// Each registers schemas of its own and some that the other registers too.
#[test]
fn two_gateways_give_no_id_twice() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let shop = Shop::open(broker.bootstrap());
    let other = shop.elsewhere(broker.bootstrap());
    let ids = Mutex::new(BTreeMap::new());
    let handles = [&shop.store, &other]
        .map(|store| gateway::start(store, &gateway::Options::default()).unwrap());
    thread::scope(|scope| {
        for (number, handle) in handles.iter().enumerate() {
            let (ids, address) = (&ids, handle.address());
            scope.spawn(move || {
                let url = format!("http://{address}");
                let client = Client::new(&Options {
                    url,
                    ..Options::default()
                })
                .unwrap();
                for round in 0..6 {
                    for name in [format!("Own{number}{round}"), format!("Shared{round}")] {
                        let schema =
                            json!({"type": "record", "name": name, "fields": []}).to_string();
                        let id = client.register(&format!("{name}-value"), &schema).unwrap();
                        assert_eq!(client.schema_by_id(id).unwrap(), schema);
                        let before = ids.lock().unwrap().insert(id, name.clone());
                        assert!(
                            before.is_none_or(|before| before == name),
                            "{id} is another's"
                        );
                    }
                }
            });
        }
    });
    assert_eq!(ids.lock().unwrap().len(), 3 * 6);
    handles.into_iter().for_each(gateway::Handle::stop);
}
