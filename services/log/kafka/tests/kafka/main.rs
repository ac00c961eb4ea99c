//! The log port on a real broker: every case of the conformance suite, and what only Kafka can get wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod faults;
mod fences;
mod figures;
mod secured;
mod support;
mod takeover;
mod topics;

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

/// Users' own producers put a key where our tasks look for it.
#[test]
fn java_producers_and_we_agree_on_partitions() {
    let Some(broker) = broker() else { return };
    let topic = format!("{}.records", run_name("java"));
    let log = connect(broker, "java");
    let partitions = 7;
    let spec = TopicSpec {
        name: topic.clone(),
        partitions,
    };
    log.create_topics(&[spec]).unwrap();
    let lines: String = (0..200)
        .map(|n| format!("{}ü{n}\tvalue\n", "entity".repeat(n % 5)))
        .collect();
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
    let mut count = 0;
    for index in 0..partitions {
        let batch = records(&log, &Partition::new(&topic, index));
        for record in batch.iter() {
            assert_eq!(partition_of(record.key.unwrap(), partitions), index);
        }
        count += batch.len();
    }
    assert_eq!(count, 200);
}
