//! The demo on Apache Kafka gives what it gives on the embedded log: every id, feature, prediction and decision.

use std::path::Path;
use std::sync::Arc;

use mainstem_host::Store;
use mainstem_host::blobs::DirBlobs;
use mainstem_host::store::Place;
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_test_broker::{Broker, Cluster, left_out};
use mainstem_tests::history::{assert_same, history};

use crate::{first, play, without_observed};

/// The project of the demo.
const PROJECT: &str = "electricity";

fn store(bootstrap: &str, dir: &Path) -> Store {
    let log = KafkaLog::connect(Options::new(bootstrap, PROJECT)).unwrap();
    Store {
        place: Place::kafka(bootstrap, PROJECT),
        log: Arc::new(log),
        blobs: Arc::new(DirBlobs::open(&dir.join("demo/blobs")).unwrap()),
    }
}

fn compare(bootstrap: &str) {
    let embedded = first();
    let kafka = play(&["--kafka", bootstrap]);
    assert_eq!(
        without_observed(&embedded.report),
        without_observed(&kafka.report)
    );
    let expected = history(
        &Store::open(&embedded.dir.path().join("demo")).unwrap(),
        PROJECT,
    );
    let found = history(&store(bootstrap, kafka.dir.path()), PROJECT);
    assert!(expected.values().map(Vec::len).sum::<usize>() > 300_000);
    assert_same(&expected, &found, "on Kafka");
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn one_node_gives_what_the_embedded_log_gives() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    compare(broker.bootstrap());
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn three_nodes_give_what_the_embedded_log_gives() {
    if left_out() {
        return;
    }
    compare(Cluster::start().unwrap().bootstrap());
}
