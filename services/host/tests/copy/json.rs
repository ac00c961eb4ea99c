//! Plain JSON.

use mainstem_columns::put::{put_double, put_long, put_null, put_some, put_text};
use mainstem_schemas::{EventId, Millis};

use crate::world::{World, record};

/// A source of JSON clicks.
fn project(entity: &str, time: &str, only: &str) -> String {
    format!(
        "project: shop\npartitions: 2\nsources:\n  clicks:\n    topic: {{name: web.clicks, format: json{only}}}\n    fields: {{user: string, at: long, price: double, note: string?}}\n    entity: {entity}\n    time: {time}\nviews:\n  v: {{features: {{price: price}}}}\n"
    )
}

fn body(user: &str, at: i64, price: f64, note: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, user);
    put_long(&mut body, at);
    put_double(&mut body, price);
    match note {
        None => put_null(&mut body),
        Some(note) => {
            put_some(&mut body);
            put_text(&mut body, note);
        }
    }
    body
}

#[test]
fn json_is_copied_as_it_would_be_published_and_features_follow() {
    let world = World::new();
    world
        .apply(&project("{column: user}", "{column: at}", ""))
        .unwrap();
    world.write(
        0,
        &[
            record(
                "k",
                r#"{"user":"ada","at":1000,"price":1.5,"more":{"deep":[1,{"x":null}]}}"#,
            ),
            (Some(b"k"), None, &[]),
            record("k", r#"{"user":"ada","at":2000,"price":"dear"}"#),
            record("k", r#"{"user":"ada","at":3000,"price":2,"note":"sale"}"#),
        ],
    );
    world.write(
        1,
        &[
            (
                None,
                Some(br#"{"user":"bob","at":1500,"price":4}"#),
                &[
                    ("ce_id", b"7"),
                    ("ce_source", b"till"),
                    ("lane", b"fast"),
                    ("ce_actor", b"eve"),
                ],
            ),
            record("k", "no json"),
        ],
    );
    world.run();
    let arrived = world.arrived("shop.arrivals.clicks");
    let number = world.store.project().unwrap().sources["clicks"].number;
    let mut seen: Vec<_> = arrived
        .iter()
        .map(|a| (a.key.as_str(), a.time, a.id, a.body.clone()))
        .collect();
    seen.sort();
    let mut wanted = vec![
        (
            "ada",
            Millis(1000),
            EventId::foreign(number, 0, 0),
            body("ada", 1000, 1.5, None),
        ),
        (
            "ada",
            Millis(3000),
            EventId::foreign(number, 0, 3),
            body("ada", 3000, 2.0, Some("sale")),
        ),
        (
            "bob",
            Millis(1500),
            EventId::named("till", b"7"),
            body("bob", 1500, 4.0, None),
        ),
    ];
    wanted.sort();
    assert_eq!(seen, wanted);
    let bob = arrived.iter().find(|arrived| arrived.key == "bob").unwrap();
    let headers: Vec<(&str, &str)> = bob
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "ce_id")
        .collect();
    assert_eq!(
        headers,
        [
            ("ce_source", "copy/clicks/1"),
            ("ce_specversion", "1.0"),
            ("ce_time", "1970-01-01T00:00:01.500Z"),
            ("ce_type", "clicks"),
            ("lane", "fast"),
        ]
    );
    let quarantined = world.quarantined();
    let mut told: Vec<_> = quarantined
        .iter()
        .map(|q| (q.topic.as_str(), q.observed_partition, q.observed_offset))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [("web.clicks", 0, 2), ("web.clicks", 1, 1)]);
    let price = quarantined
        .iter()
        .find(|q| q.observed_partition == 0)
        .unwrap();
    assert_eq!(price.origin, Some(EventId::foreign(number, 0, 2)));
    assert!(
        price.reason.contains("price") && price.reason.contains("\"dear\""),
        "{}",
        price.reason
    );
    assert_eq!(price.value, br#"{"user":"ada","at":2000,"price":"dear"}"#);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}
