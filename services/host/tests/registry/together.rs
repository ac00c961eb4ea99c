//! Several gateways and applies on one log.

use std::collections::BTreeMap;
use std::thread;

use mainstem_host::{apply, gateway};
use mainstem_kernel::worker::for_each;
use mainstem_schemas::registry::{RegistryFact, SchemaFact};
use serde_json::json;

use super::client::{get, request};
use super::world::{NOON, Shop};

const MEDIA: (&str, &str) = ("content-type", "application/vnd.schemaregistry.v1+json");

fn schema(name: &str) -> String {
    json!({"schema": json!({"type": "record", "name": name, "fields": []}).to_string()}).to_string()
}

/// Each of two gateways registers schemas of its own and some that both have, while definitions are applied.
#[test]
fn no_id_is_given_twice() {
    let shop = Shop::new("stream");
    let (one, two) = (shop.serve(), shop.serve());
    thread::scope(|scope| {
        for (gateway, address) in [one.1, two.1].into_iter().enumerate() {
            for thread in 0..3 {
                scope.spawn(move || {
                    for number in 0..6 {
                        let own = format!("S{gateway}{thread}{number}");
                        for name in [own, format!("Shared{number}")] {
                            let path = format!("/subjects/{name}-value/versions");
                            let body = schema(&name);
                            let told = request(address, "POST", &path, &[MEDIA], body.as_bytes());
                            assert_eq!(told.status, 200, "{}", told.body);
                            let id = told.json()["id"].clone();
                            let path = format!("/schemas/ids/{id}");
                            let text = get(address, &path).json()["schema"].to_string();
                            assert!(text.contains(&name), "{id} of {name} is {text}");
                        }
                    }
                });
            }
        }
        scope.spawn(|| {
            for round in 0..4 {
                let mut project = shop.project.clone();
                let source = project.sources["prices"].clone();
                project.sources.insert(format!("more{round}"), source);
                apply::apply(&shop.store, &project, "test", NOON).unwrap();
            }
        });
    });
    let mut ids: BTreeMap<u32, String> = BTreeMap::new();
    let mut versions = BTreeMap::new();
    let mut reader = shop.store.log.reader().unwrap();
    for_each(reader.as_mut(), &shop.at("schemas", 0), |record| {
        let (id, text) = match SchemaFact::read(record.value.unwrap()).unwrap() {
            SchemaFact::Registered(event) => (event.id, event.schema),
            SchemaFact::Registry(RegistryFact::VersionRegistered(version)) => {
                let place = (version.subject, version.version);
                let before = versions.insert(place.clone(), version.id);
                assert_eq!(before, None, "{place:?} was registered twice");
                (version.id, version.schema)
            }
            SchemaFact::Registry(other) => panic!("{other:?}"),
        };
        let before = ids.entry(id).or_insert_with(|| text.clone());
        assert_eq!(*before, text, "{id}");
        Ok(())
    })
    .unwrap();
    assert_eq!(versions.len(), 6 * 6 + 6);
    assert_eq!(
        ids.keys().copied().collect::<Vec<_>>(),
        (1..=ids.len() as u32).collect::<Vec<_>>()
    );
    one.0.stop();
    two.0.stop();
}

#[test]
fn without_a_project_it_is_said_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = mainstem_host::Store::open(dir.path()).unwrap();
    let handle = gateway::start(&store, &gateway::Options::default()).unwrap();
    let refused = get(handle.address(), "/subjects");
    assert_eq!(refused.status, 500, "{}", refused.body);
    let told = refused.json();
    assert_eq!(told["error_code"], 50001);
    assert!(
        told["message"].to_string().contains("mainstem apply"),
        "{told}"
    );
    handle.stop();
}
