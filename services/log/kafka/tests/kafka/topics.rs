//! Topics keep what is written to them, or are refused with the command that mends them.

use mainstem_kernel::Log;
use mainstem_kernel::log::{LogError, TopicSpec};
use mainstem_test_broker::{Broker, Cluster};

use crate::support::{broker, connect, connect_to, run_name};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

/// Runs the `kafka-configs …` that an error names.
fn mend(error: &str) {
    let command = error.split("kafka-configs ").nth(1).unwrap();
    let words: Vec<&str> = command.split_whitespace().collect();
    mainstem_test_broker::tool("kafka.admin.ConfigCommand", &words, "").unwrap();
}

fn create(broker: &Broker, topic: &str, settings: &[&str]) {
    let reach = ["--bootstrap-server", broker.bootstrap()];
    let settings = settings.iter().flat_map(|setting| ["--config", setting]);
    let create = ["--create", "--topic", topic, "--partitions", "2"];
    let words: Vec<&str> = reach.into_iter().chain(create).chain(settings).collect();
    broker.tool(TOPICS, &words, "").unwrap();
}

fn refusal(refused: Result<(), LogError>) -> String {
    match refused {
        Err(LogError::Other(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_topic_that_breaks_a_promise_is_refused_until_it_is_mended() {
    let Some(broker) = broker() else { return };
    let project = run_name("mended");
    let log = connect(broker, &project);
    let good = [
        "retention.ms=-1",
        "message.timestamp.type=LogAppendTime",
        "max.message.bytes=4194304",
    ];
    let bad = [
        ("cleanup.policy=compact", "compaction"),
        ("cleanup.policy=compact,delete", "compaction"),
        ("retention.ms=604800000", "deleted"),
        ("retention.bytes=1000000", "deleted"),
        ("message.timestamp.type=CreateTime", "event time"),
        ("max.message.bytes=1048588", "would not fit"),
        ("unclean.leader.election.enable=true", "lost"),
    ];
    let spec = |name: &str| TopicSpec {
        name: name.to_owned(),
        partitions: 2,
    };
    std::thread::scope(|scope| {
        for (at, (setting, why)) in bad.iter().enumerate() {
            let (topic, log) = (format!("{project}.t{at}"), &log);
            scope.spawn(move || {
                let (key, value) = setting.split_once('=').unwrap();
                let kept = good.iter().filter(|other| !other.starts_with(key));
                let settings: Vec<&str> = kept.chain([setting]).copied().collect();
                create(broker, &topic, &settings);
                let refused = refusal(log.create_topics(&[spec(&topic)]));
                let is = format!("{key}={value}");
                assert!(refused.contains(&is) && refused.contains(why), "{refused}");
                mend(&refused);
                log.create_topics(&[spec(&topic)]).unwrap();
            });
        }
    });
    let all: Vec<TopicSpec> = log.topics().unwrap();
    let own = all.into_iter().filter(|t| t.name.starts_with(&project));
    log.create_topics(&own.collect::<Vec<_>>()).unwrap();
    // Several at once are mended by one command.
    let plain = format!("{project}.plain");
    create(broker, &plain, &[]);
    let refused = refusal(log.create_topics(&[spec(&plain)]));
    assert!(refused.contains("retention.ms=-1,"), "{refused}");
    mend(&refused);
    log.create_topics(&[spec(&plain)]).unwrap();
}

#[test]
fn more_copies_than_brokers_are_refused() {
    let Some(broker) = broker() else { return };
    let project = run_name("copies");
    let log = connect_to(broker.bootstrap(), &project, |options| {
        options.replication = Some(9);
    });
    let spec = TopicSpec {
        name: format!("{project}.t"),
        partitions: 1,
    };
    let refused = refusal(log.create_topics(&[spec]));
    assert!(refused.contains("fewer brokers than copies"), "{refused}");
}

/// Three copies, of which two have a record before it is acknowledged.
#[test]
fn topics_of_a_cluster_have_copies_that_count() {
    if !mainstem_test_broker::ours() {
        return;
    }
    let cluster = Cluster::start().unwrap();
    let bootstrap = cluster.bootstrap();
    for (name, replication) in [("default", None), ("asked", Some(3))] {
        let log = connect_to(bootstrap, name, |options| options.replication = replication);
        let topic = format!("{name}.t");
        let spec = TopicSpec {
            name: topic.clone(),
            partitions: 1,
        };
        log.create_topics(std::slice::from_ref(&spec)).unwrap();
        log.create_topics(std::slice::from_ref(&spec)).unwrap();
        assert_eq!(cluster.in_step(&topic, 0).unwrap(), 3);
        let reach = ["--bootstrap-server", bootstrap];
        let lone = ["--alter", "--add-config", "min.insync.replicas=1"];
        let entity = ["--entity-type", "topics", "--entity-name", &topic];
        let words: Vec<&str> = reach.into_iter().chain(lone).chain(entity).collect();
        mainstem_test_broker::tool("kafka.admin.ConfigCommand", &words, "").unwrap();
        let refused = refusal(log.create_topics(std::slice::from_ref(&spec)));
        assert!(refused.contains("min.insync.replicas=2"), "{refused}");
        mend(&refused);
        log.create_topics(&[spec]).unwrap();
    }
}
