//! Several event types on one topic, and what keys say.

use mainstem_columns::put::put_text;
use mainstem_host::outside::{OutsideRegistry, OutsideSchemas};
use mainstem_schemas::wire;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::world::{Foreign, World};

fn project(format: &str, only: &str, entity: &str) -> String {
    format!(
        "project: shop\npartitions: 2\nsources:\n  clicks:\n    topic: {{name: web.clicks, format: {format}, only: {only}}}\n    fields: {{user: string, one: double?}}\n    entity: {entity}\n    time: {{record: timestamp}}\nviews:\n  v: {{features: {{one: one}}}}\n"
    )
}

fn keys(world: &World) -> Vec<String> {
    let arrived = world.arrived("shop.arrivals.clicks");
    let mut keys: Vec<String> = arrived.into_iter().map(|arrived| arrived.key).collect();
    keys.sort();
    keys
}

/// Runs over records of JSON, and gives the entities that arrived and what was refused.
fn json(only: &str, entity: &str, records: &[Foreign<'_>]) -> (Vec<String>, Vec<String>) {
    let world = World::new();
    let project = project("json", only, entity);
    world.apply(&project).unwrap();
    world.write(0, records);
    world.run();
    let refused = world.quarantined().into_iter().map(|q| q.reason).collect();
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    (keys(&world), refused)
}

#[test]
fn json_is_told_apart_by_a_header_or_a_field() {
    let click: &[(&str, &[u8])] = &[("kind", b"click")];
    let view: &[(&str, &[u8])] = &[("kind", b"view")];
    let value = |text: &'static str| Some(text.as_bytes());
    let records = [
        (None, value(r#"{"user":"a","kind":"click"}"#), view),
        (None, value(r#"{"kind":"view","user":"b"}"#), click),
        (None, value(r#"{"user":"c","kind":7}"#), &[]),
        (None, value(r#"{"user":"d"}"#), &[]),
        (None, value("[]"), view),
    ];
    let column = "{column: user}";
    assert_eq!(
        json("{header: [kind, click]}", column, &records),
        (vec!["b".into()], vec![])
    );
    let (keys, refused) = json("{field: [kind, click]}", column, &records);
    assert_eq!((keys, refused.len()), (vec!["a".to_owned()], 1));
    assert!(refused[0].contains("no JSON object"), "{refused:?}");
    let (keys, _) = json("{field: [kind, '7']}", column, &records);
    assert_eq!(keys, ["c"]);
}

#[test]
fn a_key_is_read_as_the_source_says_it_is_written() {
    let value = Some(&br#"{"user":"u"}"#[..]);
    let long = "k".repeat(1025);
    let kept: &[(&str, &[u8])] = &[("t", b"1")];
    let records: Vec<Foreign<'_>> = [
        &b"plain"[..],
        b"\"quoted\"",
        b"-12",
        b"1.5",
        b"\xff",
        b"",
        long.as_bytes(),
    ]
    .into_iter()
    .map(|key| (Some(key), value, kept))
    .chain([(None, value, kept)])
    .collect();
    let only = "{header: [t, '1']}";
    let (keys, refused) = json(only, "{key: text}", &records);
    assert_eq!(keys, ["\"quoted\"", "-12", "1.5", "plain"]);
    assert_eq!(refused.len(), 4, "{refused:?}");
    let (keys, refused) = json(only, "{key: json}", &records);
    assert_eq!(keys, ["-12", "quoted"]);
    assert_eq!(refused.len(), 6, "{refused:?}");
    assert!(
        refused.iter().any(|why| why.contains("\"plain\"")),
        "{refused:?}"
    );
    assert!(
        refused.iter().any(|why| why.contains("it has no key")),
        "{refused:?}"
    );
    let (keys, _) = json(only, "{constant: all}", &records);
    assert_eq!(keys, vec!["all"; 8]);
}

/// A registry of two event types; the second has the field that tells them apart as an enum.
struct Two;

impl OutsideRegistry for Two {
    fn place(&self) -> String {
        "two".into()
    }

    fn schema(&self, id: u32) -> Result<Option<String>, String> {
        let kind = match id {
            1 => r#""string""#,
            2 => r#"{"type":"enum","name":"Kind","symbols":["view","click"]}"#,
            3 => r#""int""#,
            _ => return Err("only three are known".into()),
        };
        Ok(Some(format!(
            r#"{{"type":"record","name":"E{id}","fields":[{{"name":"user","type":"string"}},{{"name":"kind","type":{kind}}}]}}"#
        )))
    }
}

#[test]
fn avro_is_told_apart_by_a_field_whatever_its_schema_calls_text() {
    let world = World::new();
    let text = project("avro", "{field: [kind, click]}", "{column: user}");
    world.apply(&text).unwrap();
    let value = |schema: u32, user: &str, kind: &[u8]| {
        let mut value = Vec::new();
        wire::put_header(&mut value, schema);
        put_text(&mut value, user);
        value.extend(kind);
        value
    };
    let values = [
        value(1, "a", b"\x0aclick"),
        value(1, "b", b"\x08view"),
        value(2, "c", &[2]),
        value(2, "d", &[0]),
        value(3, "e", &[2]),
    ];
    let records: Vec<Foreign<'_>> = values
        .iter()
        .map(|value| (None, Some(&value[..]), &[][..]))
        .collect();
    world.write(1, &records);
    world.run_with(Some(Arc::new(Two)), &mut || true);
    assert_eq!(keys(&world), ["a", "c"]);
    assert_eq!(world.quarantined(), []);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_registry_that_does_not_answer_is_told_with_what_it_said() {
    let world = World::new();
    world
        .apply(&project("avro", "{record: E1}", "{column: user}"))
        .unwrap();
    let schemas = OutsideSchemas::new(world.store.clone(), Some(Arc::new(Two)));
    let begun = Instant::now();
    loop {
        let told = schemas.ask(1, 9);
        if told.contains("only three are known") {
            assert!(told.contains("web.clicks") && told.contains('9'), "{told}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{told}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
