//! Topics of others in the project file: what is right, and what is told of mistakes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::mistakes;
use mainstem_schemas::definition::{
    Entity, EventTime, ForeignTopic, Format, KeyFormat, Only, Project, RegistryOf,
};

const COPIED: &str = "\
project: shop
sources:
  clicks:
    topic: {name: web.clicks, format: avro, registry: own, only: {field: [kind, click]}}
    fields: {user: string, at: long, price: double}
    entity: {key: avro}
    time: {record: timestamp}
views:
  v: {features: {price: price}}
";

fn parsed(text: &str) -> Project {
    mainstem_project::parse("mainstem.yaml", text).unwrap()
}

#[test]
fn a_topic_is_read_as_it_is_written() {
    let project = parsed(COPIED);
    let clicks = &project.sources["clicks"];
    let topic = ForeignTopic {
        name: "web.clicks".into(),
        format: Format::Avro,
        registry: RegistryOf::Own,
        only: Some(Only::Field("kind".into(), "click".into())),
        in_place: None,
        partitions: 0,
    };
    assert_eq!(clicks.topic, Some(topic));
    assert_eq!(clicks.entity, Entity::Key(KeyFormat::Avro));
    assert_eq!(clicks.time, EventTime::Timestamp);
    let small = COPIED.replace(", registry: own, only: {field: [kind, click]}", "");
    let topic = parsed(&small).sources["clicks"].topic.clone().unwrap();
    assert_eq!((topic.registry, topic.only), (RegistryOf::Outside, None));
}

/// Digests of definitions are in ids and turns: what has no topic must stay as it was.
#[test]
fn a_definition_without_topics_is_what_it_was() {
    let text = COPIED
        .replace("    topic: {name: web.clicks, format: avro, registry: own, only: {field: [kind, click]}}\n", "")
        .replace("{key: avro}", "{column: user}")
        .replace("{record: timestamp}", "{column: at}");
    let source = r#""clicks":{"number":1,"fields":[{"name":"user","type":"string","optional":false},{"name":"at","type":"long","optional":false},{"name":"price","type":"double","optional":false}],"entity":{"column":"user"},"time":{"column":"at"}}"#;
    let canonical = parsed(&text).canonical();
    assert!(canonical.contains(source), "{canonical}");
}

#[test]
fn a_topic_is_read_in_place_as_far_back_as_it_says() {
    let text = COPIED
        .replace("registry: own", "read: in_place, horizon: 30d")
        .replace("{key: avro}", "{key: text}");
    let topic = parsed(&text).sources["clicks"].topic.clone().unwrap();
    assert_eq!(topic.in_place, Some("30d".parse().unwrap()));
}

mistakes! {
    COPIED;
    a_topic_of_the_project_itself: "web.clicks" => "shop.arrivals.clicks";
    a_topic_with_blanks: "web.clicks" => "web clicks";
    a_topic_without_a_format: ", format: avro" => "";
    a_topic_of_another_format: "format: avro" => "format: protobuf";
    no_topic_for_key_and_timestamp: "    topic: {name: web.clicks, format: avro, registry: own, only: {field: [kind, click]}}\n" => "";
    a_topic_timed_by_rows: "{record: timestamp}" => "{start: 2024-01-01, every: 1h}";
    json_without_schemas: "format: avro, registry: own, only: {field: [kind, click]}}\n    fields: {user: string, at: long, price: double}\n    entity: {key: avro}" => "format: json, registry: own, only: {record: Click}}\n    fields: {user: string, at: long, price: double}\n    entity: {column: user}";
    a_backtest_of_a_topic: "project: shop\n" => "project: shop\nclock: stream\n";
    a_topic_read_in_place_without_a_horizon: "registry: own" => "read: in_place";
    a_topic_read_in_place_of_entities_that_are_no_keys: "registry: own" => "read: in_place, horizon: 30d";
    a_horizon_of_an_hour: "registry: own, only: {field: [kind, click]}}\n    fields: {user: string, at: long, price: double}\n    entity: {key: avro}" => "read: in_place, horizon: 1h}\n    fields: {user: string, at: long, price: double}\n    entity: {key: text}";
    a_horizon_of_a_copy: "registry: own" => "horizon: 30d";
    only_of_half_a_pair: "[kind, click]" => "[kind]";
    only_by_two_ways: "{field: [kind, click]}" => "{field: [kind, click], record: Click}";
}
