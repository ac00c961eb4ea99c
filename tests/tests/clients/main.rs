//! Clients that know nothing of Mainstem, on a real broker: Confluent's for Python writes arrivals with its Avro serialiser
//! while the loop runs, its schema evolves in flight, and it reads what was derived; a plain Java consumer reads what was
//! committed, and no more.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod foreign;
mod shop;
mod together;

use std::collections::BTreeMap;

use mainstem_schemas::events::Event;
use mainstem_test_broker::Broker;
use mainstem_test_python::root;
use serde_json::{Value, json};

use foreign::{Writer, read};
use shop::{BEGIN, CUSTOMERS, DAY, Shop};

/// Days of the history: on the third a first version is trained, and it serves from then on.
const DAYS: i64 = 7;

fn field(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": kind})
}

fn optional(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": ["null", kind], "default": null})
}

fn record(fields: &[Value]) -> Value {
    json!({"type": "record", "name": "orders", "namespace": "till.v1", "fields": fields})
}

/// What the source declares.
fn first() -> Vec<Value> {
    vec![
        field("customer", "string"),
        field("at", "long"),
        field("x", "double"),
        optional("y", "double"),
        field("late", "long"),
    ]
}

/// A field more.
fn second() -> Vec<Value> {
    let mut fields = first();
    fields.push(optional("till", "string"));
    fields
}

/// A field less, one promoted, one renamed.
fn third() -> Vec<Value> {
    vec![
        field("customer", "string"),
        field("at", "long"),
        json!({"name": "amount", "aliases": ["x"], "type": "double"}),
        field("late", "double"),
        optional("till", "string"),
    ]
}

/// The rows of a day, as the schema in force then has them.
fn rows(day: i64) -> Vec<Value> {
    let mut rows = Vec::new();
    for slot in day * 6..(day + 1) * 6 {
        for customer in CUSTOMERS {
            let at = BEGIN + slot * DAY / 6;
            let (x, y, late) = Shop::truth(customer, slot);
            let fields = match day {
                0..3 => json!({"customer": customer, "at": at, "x": x, "y": y, "late": late}),
                3..5 => {
                    json!({"customer": customer, "at": at, "x": x, "y": y, "late": late, "till": "7"})
                }
                _ => {
                    json!({"customer": customer, "at": at, "amount": x, "late": late as f64, "till": null})
                }
            };
            let time = mainstem_schemas::Millis(at).to_string();
            rows.push(json!({"fields": fields, "key": customer, "time": time}));
        }
    }
    rows
}

#[test]
fn python_writes_and_reads_and_java_reads_what_was_committed() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let shop = Shop::open(broker.bootstrap());
    let running = shop.run();
    let registry = format!("http://{}", running.address());
    let mut writer = Writer::start(broker.bootstrap(), &registry, &shop.project.name);
    let mut pacer = shop.pacer();
    for day in 0..DAYS {
        let fields = match day {
            0..3 => first(),
            3..5 => second(),
            _ => third(),
        };
        let until = mainstem_schemas::Millis(BEGIN + (day + 1) * DAY);
        pacer.open("orders", 0, until).unwrap();
        let rows = rows(day);
        let written = writer.ask(&json!({"schema": record(&fields), "rows": rows}));
        assert_eq!(written, json!({"written": rows.len()}));
        if day == 4 {
            // What is aborted was never there; what does not fit is refused before it is written.
            let aborted = json!({"schema": record(&fields), "rows": rows[..5], "abort": true});
            assert_eq!(writer.ask(&aborted), json!({"written": 5}));
            let mut without = third();
            without.remove(3);
            let refused = writer.ask(&json!({"schema": record(&without), "rows": []}));
            assert_eq!(refused, json!({"written": 0}), "nothing was to be written");
            let row = json!({"fields": {"customer": "ada", "at": 0, "amount": 1.0, "till": null}, "key": "ada",
                "time": "2024-01-05T00:00:00Z"});
            let refused = writer.ask(&json!({"schema": record(&without), "rows": [row]}));
            let why = refused["refused"].to_string();
            assert!(
                why.contains("no field late") && why.contains("409"),
                "{refused}"
            );
        }
        shop.settle(&mut pacer, until);
    }
    drop(writer);

    let count = (DAYS * 6) as usize * CUSTOMERS.len();
    let found = read(broker.bootstrap(), &registry, &shop.topics());
    check_features(&shop, &found, count);
    check_events(&shop, &found, "drift");
    check_events(&shop, &found, "predictions.late");
    assert!(
        found[&shop.topic("drift")].len() > 3,
        "days were compared with the reference"
    );
    assert!(
        found[&shop.topic("predictions.late")].len() > 3 * 24,
        "a version served"
    );
    assert_eq!(shop.events("quarantine"), [], "nothing was refused");

    let java = |isolation: &str, topic: &str| {
        let script = root().join("tests/java/Committed.java");
        let script = script.to_str().unwrap();
        let topic = shop.topic(topic);
        let arguments = [broker.bootstrap(), &registry, isolation, &topic];
        let told = broker.tool(script, &arguments, "").unwrap_or_else(|why| {
            panic!("{why}\nThe consumer is launched from its source, which takes a JDK: cargo xtask test --setup")
        });
        let line = |line: &str| {
            line.rsplit_once(' ')
                .map(|(_, n)| n.parse::<usize>().unwrap())
        };
        told.lines().filter_map(line).sum::<usize>()
    };
    assert_eq!(java("read_committed", "arrivals.orders"), count);
    assert_eq!(java("read_uncommitted", "arrivals.orders"), count + 5);
    for topic in ["features.orders", "drift", "predictions.late"] {
        assert_eq!(
            java("read_committed", topic),
            found[&shop.topic(topic)].len(),
            "{topic}"
        );
    }
    running.stop();
}

/// A row of features for each arrival of whichever schema, with its values.
fn check_features(shop: &Shop, found: &BTreeMap<String, Vec<Value>>, count: usize) {
    let rows = &found[&shop.topic("features.orders")];
    assert_eq!(rows.len(), count);
    let mut next: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows {
        let (entity, value) = (row["key"].as_str().unwrap(), &row["value"]);
        let slot = next.entry(entity).or_default();
        let (x, y, late) = Shop::truth(entity, *slot);
        // The third schema has no y any more.
        let y = (*slot < 5 * 6).then_some(y);
        *slot += 1;
        assert_eq!(value["entity"], entity);
        let of = |name: &str| value[name].as_f64();
        assert_eq!(
            (of("x"), of("y"), of("late")),
            (Some(x), y, Some(late as f64)),
            "{row}"
        );
    }
}

/// What Python made of a control topic is what our own types make of it.
fn check_events(shop: &Shop, found: &BTreeMap<String, Vec<Value>>, topic: &str) {
    let events = shop.events(topic);
    let theirs = &found[&shop.topic(topic)];
    assert_eq!(events.len(), theirs.len(), "{topic}");
    for (event, their) in events.iter().map(Event::to_json).zip(theirs) {
        let (ours, their) = (
            event.as_object().unwrap(),
            their["value"].as_object().unwrap(),
        );
        assert_eq!(ours.len(), their.len(), "{topic}: {event}");
        for (name, value) in ours {
            match value {
                Value::String(_) | Value::Bool(_) | Value::Null => {
                    assert_eq!(their[name], *value, "{topic}: {name} of {event}");
                }
                Value::Number(number) if number.is_f64() => {
                    assert_eq!(
                        their[name].as_f64(),
                        number.as_f64(),
                        "{topic}: {name} of {event}"
                    );
                }
                _ => assert!(!their[name].is_null(), "{topic}: {name} of {event}"),
            }
        }
    }
}
