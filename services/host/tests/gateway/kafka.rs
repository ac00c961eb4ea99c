//! Posts on a real broker.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use mainstem_test_broker::Broker;
use serde_json::{Value, json};

use super::client::post;
use super::posts::{ORDERS, all_are_there, appends, good, order, post_at_once};
use super::world::{NOON, Shop};

fn shop(broker: &Broker, name: &str) -> Shop {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Shop::on_kafka(broker.bootstrap(), &format!("{name}_{}", now.as_millis()))
}

#[test]
fn posts_at_once_share_transactions_and_each_is_answered() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let shop = shop(broker, "shared");
    let (handle, address) = shop.serve();
    let posts = 48;
    // The first of them begins the publication, which takes long enough for all others to come.
    post_at_once(address, posts);
    let shared = appends(address);
    assert!(
        (1..=posts / 3).contains(&shared),
        "{posts} posts took {shared} appends"
    );
    handle.stop();
    all_are_there(&shop, posts, 0);
    assert_eq!(shop.events("requests.sources").len(), 1);
}

#[test]
fn a_post_that_the_broker_does_not_take_fails_alone() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let shop = shop(broker, "large");
    let name = format!("{}.arrivals.orders", shop.project.name);
    let words = [
        "--bootstrap-server",
        broker.bootstrap(),
        "--alter",
        "--entity-type",
        "topics",
        "--entity-name",
        &name,
        "--add-config",
        "max.message.bytes=4000",
    ];
    broker
        .tool("kafka.admin.ConfigCommand", &words, "")
        .unwrap();
    let (handle, address) = shop.serve();
    let large = json!({"customer": "x", "at": NOON.0, "amount": 1, "returned": 0, "note": "n".repeat(9_000)});
    let large = &large.to_string();
    assert_eq!(post(address, ORDERS, &order("first")).status, 200);
    let posts = 12;
    std::thread::scope(|scope| {
        scope.spawn(|| post_at_once(address, posts));
        for _ in 0..3 {
            scope.spawn(move || {
                let refused = post(address, ORDERS, large);
                assert_ne!(refused.status, 200, "{}", refused.body);
                let detail = refused.json()["detail"].clone();
                assert!(
                    matches!(&detail, Value::String(why) if why.contains("arge")),
                    "{detail}"
                );
            });
        }
    });
    handle.stop();
    let arrived = shop.records("arrivals.orders");
    let keys: BTreeSet<_> = arrived.iter().map(|(key, _)| key).collect();
    let all = 1 + (0..posts).map(good).sum::<usize>();
    assert_eq!((keys.len(), arrived.len()), (all, all));
    assert!(arrived.iter().all(|(key, _)| key != "x"));
}
