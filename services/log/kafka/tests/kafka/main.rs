//! The log port on a real broker: every case of the conformance suite, and what only Kafka can get wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod classes;
mod faults;
mod fences;
mod figures;
mod pacing;
mod reading;
mod secured;
mod support;
mod takeover;
mod topics;
mod zombie;

use mainstem_kernel::Log;
use mainstem_kernel::log::{Partition, TopicSpec};
use mainstem_kernel::testkit::conformance;
use mainstem_schemas::partition::partition_of;
use support::{Cases, broker, connect, records, run_name};

#[test]
fn kafka_does_as_the_port_says() {
    let Some(broker) = broker() else { return };
    let open = || -> Box<dyn Log> { Box::new(Cases::open(broker)) };
    conformance::run(&open, &run_name("conform"));
}

/// Users' own producers put a key where our tasks look for it: Kafka's own Java producer places thousands of keys, of
/// every length that murmur2 treats apart, the empty one and letters of several bytes among them.
#[test]
fn java_producers_and_we_agree_on_partitions() {
    let Some(broker) = broker() else { return };
    let project = run_name("java");
    let log = connect(broker, &project);
    let letters = ["a", "Z", "0", " ", "ß", "ü", "λ", "日", "🦀", "\u{7f}"];
    let word = |n: usize, length: usize| -> String {
        let letter = |at: usize| letters[(n * 7 + at * (n % 3 + 1)) % letters.len()];
        (0..length).map(letter).collect()
    };
    let mut keys: Vec<String> = (0..3_000)
        .map(|n| format!("{}{n}", word(n, n % 21)))
        .collect();
    keys.extend(
        (0..40)
            .flat_map(|length| (0..25).map(move |n| (n, length)))
            .map(|(n, l)| word(n, l)),
    );
    assert!(keys.iter().any(String::is_empty));
    let lines: String = keys.iter().map(|key| format!("{key}\tvalue\n")).collect();
    for partitions in [7, 32] {
        let topic = format!("{project}.records-{partitions}");
        let name = topic.clone();
        log.create_topics(&[TopicSpec { name, partitions }])
            .unwrap();
        let arguments = [
            "--bootstrap-server",
            broker.bootstrap(),
            "--topic",
            &topic,
            "--property",
            "parse.key=true",
        ];
        let class = "org.apache.kafka.tools.ConsoleProducer";
        broker.tool(class, &arguments, &lines).unwrap();
        let mut placed: Vec<Vec<u8>> = Vec::new();
        for index in 0..partitions {
            let batch = records(&log, &Partition::new(&topic, index));
            for record in batch.iter() {
                let key = record.key.unwrap();
                assert_eq!(partition_of(key, partitions), index, "{key:?}");
                placed.push(key.to_vec());
            }
        }
        let mut sent: Vec<Vec<u8>> = keys.iter().map(|key| key.clone().into_bytes()).collect();
        placed.sort();
        sent.sort();
        assert!(placed == sent, "not every key came as it was sent");
    }
}
