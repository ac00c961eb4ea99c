//! Topics that are read in place, on a real broker: its settings, its copies, and what it deletes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_test_broker::Broker;

use crate::in_place::are_alike;
use crate::twins::{LIVED, Twins};
use crate::world::World;

/// A name that no other run has.
fn unique(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{name}{}", now.as_micros())
}

fn create(broker: &Broker, topic: &str, partitions: u32, settings: &[&str]) {
    let (partitions, settings) = (
        format!("--partitions={partitions}"),
        settings.iter().map(|setting| format!("--config={setting}")),
    );
    let settings: Vec<String> = settings.collect();
    let mut arguments = vec!["--bootstrap-server", broker.bootstrap(), "--topic", topic];
    arguments.extend(["--create", &partitions]);
    arguments.extend(settings.iter().map(String::as_str));
    let class = "org.apache.kafka.tools.TopicCommand";
    broker.tool(class, &arguments, "").unwrap();
    // The controller has it; the broker may hear of it a moment later.
    let described = || {
        let asked = [
            "--bootstrap-server",
            broker.bootstrap(),
            "--describe",
            "--topic",
            topic,
        ];
        broker.tool(class, &asked, "").is_ok()
    };
    assert!((0..20).any(|_| described()), "{topic} does not come up");
}

fn world(broker: &Broker, name: &str) -> World {
    let log = KafkaLog::connect(Options::new(broker.bootstrap(), name)).unwrap();
    World::on(Arc::new(log), name)
}

#[test]
fn a_topic_on_a_broker_gives_what_its_copy_gives_and_an_audit_says_what_the_broker_deleted() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let (name, topic) = (unique("twins"), unique("web.clicks"));
    create(broker, &topic, 2, &["retention.ms=172800000"]);
    let twins = Twins::new(world(broker, &name), &name, &topic);
    twins.live(0..LIVED);
    are_alike(&twins);
    let report = twins.world.audit();
    assert!(report.is_clean() && report.horizons.is_empty(), "{report}");

    // Of eight days the first five; the horizon is two.
    let log = &twins.world.store.log;
    for index in [0, 1] {
        let at = twins.partition(index);
        let end = log.reader().unwrap().range(&at).unwrap().end;
        log.truncate(&at, end * 5 / LIVED as u64).unwrap();
    }
    let report = twins.world.audit();
    let told = report.to_string();
    assert!(report.is_clean(), "{told}");
    let beyond = format!("beyond the horizon of {topic} (stated: 2d)");
    assert!(
        told.contains(&beyond) && report.unfolded.is_empty(),
        "{told}"
    );
    assert_eq!(told.matches(&beyond).count(), 6, "{told}");

    // A new worker goes on from its snapshots, and from what is left.
    twins.live(LIVED..LIVED + 1);
    are_alike(&twins);
    let report = twins.world.audit();
    assert!(report.is_clean(), "{report}");

    for index in [0, 1] {
        let at = twins.partition(index);
        log.truncate(&at, u64::MAX >> 1).unwrap();
    }
    let report = twins.world.audit();
    let told = report.to_string();
    assert_eq!(report.mismatches, 2, "{told}");
    for index in [0, 1] {
        let damage = format!("forgotten too soon: {topic}/{index} has no record before offset");
        assert!(told.contains(&damage), "{told}");
    }

    let of = ["--bootstrap-server", broker.bootstrap(), "--topic", &topic];
    let class = "org.apache.kafka.tools.TopicCommand";
    let delete = [&of[..], &["--delete"]].concat();
    broker.tool(class, &delete, "").unwrap();
    let report = twins.world.audit();
    let told = report.to_string();
    assert_eq!(report.mismatches, 2, "{told}");
    for index in [0, 1] {
        let damage = format!("forgotten too soon: {topic}/{index} is gone, and what is gone");
        assert!(told.contains(&damage), "{told}");
    }
}

#[test]
fn a_topic_that_forgets_sooner_than_the_definition_states_is_refused_with_what_mends_it() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let project = |name: &str, topic: &str| {
        format!(
            "project: {name}\npartitions: 2\nsources:\n  clicks:\n    topic: {{name: {topic}, format: json, read: in_place, horizon: 30d}}\n    fields: {{price: double}}\n    entity: {{key: text}}\n    time: {{record: timestamp}}\nviews:\n  v: {{features: {{price: price}}}}\n"
        )
    };
    let refused = |topic: &str, parts: &[&str]| {
        let name = unique("shop");
        let told = world(broker, &name)
            .apply(&project(&name, topic))
            .unwrap_err();
        let told = told.to_string();
        for part in parts.iter().chain(&[topic, "read: copy"]) {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
        told
    };
    let topic = unique("web.counts");
    create(broker, &topic, 3, &["retention.ms=-1"]);
    refused(&topic, &["which has 3 partitions, and the project has 2"]);

    for policy in ["compact", "compact,delete"] {
        let topic = unique("web.carts");
        let setting = format!("cleanup.policy={policy}");
        create(broker, &topic, 2, &[&setting, "retention.ms=-1"]);
        refused(&topic, &["it is compacted"]);
    }

    let topic = unique("web.bytes");
    let settings = ["retention.ms=-1", "retention.bytes=1000000"];
    create(broker, &topic, 2, &settings);
    refused(
        &topic,
        &["retention.bytes=1000000", "--add-config retention.bytes=-1"],
    );

    // Kafka's own default: a week.
    let topic = unique("web.clicks");
    create(broker, &topic, 2, &[]);
    let told = refused(
        &topic,
        &[
            "a horizon of 30d",
            "keeps its records for 7d",
            "retention.ms=604800000",
        ],
    );
    // The command that it names mends it.
    let (_, command) = told.split_once("kafka-configs ").unwrap();
    let (command, _) = command.split_once(',').unwrap();
    let arguments: Vec<&str> = command.split(' ').collect();
    broker
        .tool("kafka.admin.ConfigCommand", &arguments, "")
        .unwrap();
    let name = unique("shop");
    world(broker, &name).apply(&project(&name, &topic)).unwrap();
}
