//! The settings of librdkafka's clients: ours, the user's, and those that may not be changed.

use rdkafka::ClientConfig;

use crate::{LogError, Options};

/// Largest frame of a record: what brokers take by default, and what the other adapters take.
pub(crate) const MAX_RECORD: usize = 1 << 20;

/// Largest batch of records, on our topics and in our clients: what a commit writes to a partition, as a rule. A
/// second batch of a partition would wait until the first is acknowledged, and librdkafka's thread spins meanwhile.
pub(crate) const MAX_BATCH: usize = 4 << 20;

/// A stopped worker holds back every reader of what it wrote for so long; a commit takes milliseconds.
pub(crate) const TRANSACTION_MS: u64 = 10_000;

/// Settings on which exactly-once stands: a user's value is refused, not ignored.
const OURS: [&str; 12] = [
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "auto.offset.reset",
    "group.id",
    "group.protocol",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "transactional.id",
];

/// Which client a configuration is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    /// Looks ends of partitions up; as far as committed, or all.
    Probe { committed: bool },
    /// Reads records.
    Reader,
    /// Is a member of a group, and reads nothing: of a worker, by its name.
    Member { group: &'a str, worker: &'a str },
    /// Writes under a transactional id.
    Producer { id: &'a str },
}

/// Refuses what would break the promises.
pub(crate) fn check(options: &Options) -> Result<(), LogError> {
    match options
        .settings
        .keys()
        .find(|key| OURS.contains(&key.as_str()))
    {
        Some(key) => Err(LogError::Other(format!(
            "setting {key} belongs to Mainstem, for exactly-once stands on it; remove it"
        ))),
        None => Ok(()),
    }
}

/// The configuration of a client.
pub(crate) fn config(options: &Options, role: Role<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", client_id(&options.project, role));
    config.set("socket.nagle.disable", "true");
    for (key, value) in defaults(role) {
        config.set(*key, *value);
    }
    for (key, value) in &options.settings {
        if applies(key, role) {
            config.set(key, value);
        }
    }
    config.set("bootstrap.servers", &options.bootstrap);
    for (key, value) in fixed(role) {
        config.set(*key, *value);
    }
    match role {
        Role::Probe { .. } => {}
        // librdkafka assigns nothing without a group's name; nobody joins or commits to this one.
        Role::Reader => {
            config.set("group.id", format!("{}.readers", options.project));
        }
        Role::Member { group, .. } => {
            config.set("group.id", group);
        }
        Role::Producer { id } => {
            config.set("transactional.id", id);
        }
    }
    config
}

/// Brokers name a member after its client, and partitions are dealt out in the order of these names. A worker's members
/// have one place in all groups, so that it is given the same partitions by each: tasks of several rooms on one partition
/// then share what is read of it.
fn client_id(project: &str, role: Role<'_>) -> String {
    match role {
        Role::Member { worker, .. } => format!("mainstem-{project}-{worker}"),
        _ => format!("mainstem-{project}"),
    }
}

/// Producer settings mean nothing to a consumer and the other way round: librdkafka would warn of each.
fn applies(key: &str, role: Role<'_>) -> bool {
    const CONSUMER: [&str; 6] = [
        "fetch.",
        "queued.",
        "session.",
        "heartbeat.",
        "max.p",
        "check.crcs",
    ];
    const PRODUCER: [&str; 7] = [
        "linger.ms",
        "batch.",
        "queue.buffering.",
        "compression.",
        "acks",
        "transaction.",
        "message.timeout",
    ];
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    match role {
        Role::Producer { .. } => !starts(&CONSUMER),
        _ => !starts(&PRODUCER),
    }
}

/// What a user may change.
fn defaults(role: Role<'_>) -> &'static [(&'static str, &'static str)] {
    match role {
        Role::Probe { .. } => &[],
        // The default back-off of 1 s starves a fast consumer to a sixth of its rate (measured: 212k against 1.22M
        // records/s). A fetch that waits at the broker holds back the next partition and the next seek for as long (a
        // step back takes 104 ms at 100, 14 ms at 10), so it waits shortly. 4 MB a partition bound the memory; 10,000
        // records ahead are as fast as 100,000.
        Role::Reader => &[
            ("fetch.queue.backoff.ms", "2"),
            ("fetch.wait.max.ms", "5"),
            ("fetch.error.backoff.ms", "50"),
            ("queued.min.messages", "10000"),
            ("queued.max.messages.kbytes", "4096"),
            ("check.crcs", "true"),
        ],
        // A dead worker's tasks move on after the session, as long as its open transaction may hold readers back.
        Role::Member { .. } => &[
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "1000"),
            ("max.poll.interval.ms", "300000"),
            // How late a group hears that a topic of others has grown: librdkafka's own five minutes are long to wait.
            ("topic.metadata.refresh.interval.ms", "30000"),
        ],
        // Batches as measured against Kafka Streams; only failures are reported, for a report per record costs a
        // tenth of the time and makes rdkafka's flush wait in steps of 100 ms. All that is queued is flushed, so nobody
        // waits for the linger: with a short one a batch would go while others are queued, and be one more for its partition.
        Role::Producer { .. } => &[
            ("linger.ms", "500"),
            ("batch.size", "4000000"),
            ("batch.num.messages", "40000"),
            ("queue.buffering.max.messages", "2000000"),
            ("queue.buffering.max.kbytes", "1048576"),
            ("compression.type", "none"),
        ],
    }
}

/// What nobody may change.
fn fixed(role: Role<'_>) -> &'static [(&'static str, &'static str)] {
    match role {
        Role::Probe { committed: true } => &[("isolation.level", "read_committed")],
        Role::Probe { committed: false } => &[("isolation.level", "read_uncommitted")],
        Role::Reader => &[
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "error"),
            ("allow.auto.create.topics", "false"),
        ],
        // Only a reader of committed offsets is given stable ones. Round robin spreads topics of one partition, range
        // would give them all to one worker.
        Role::Member { .. } => &[
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "latest"),
            ("allow.auto.create.topics", "false"),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "roundrobin"),
        ],
        Role::Producer { .. } => &[
            ("enable.idempotence", "true"),
            ("delivery.report.only.error", "true"),
            ("message.max.bytes", "4194304"),
            ("transaction.timeout.ms", "10000"),
            ("message.timeout.ms", "10000"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(settings: &[(&str, &str)]) -> Options {
        let mut options = Options::new("broker:9092", "p");
        options.settings.extend(
            settings
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        );
        options
    }

    fn native(role: Role<'_>, key: &str) -> String {
        let native = config(&options(&[]), role).create_native_config().unwrap();
        native.get(key).unwrap()
    }

    #[test]
    fn the_slow_defaults_are_not_in_force() {
        assert_eq!(native(Role::Reader, "fetch.queue.backoff.ms"), "2");
        let producer = Role::Producer { id: "x" };
        assert_eq!(native(producer, "delivery.report.only.error"), "true");
        assert_eq!(
            native(producer, "transaction.timeout.ms"),
            TRANSACTION_MS.to_string()
        );
        assert_eq!(native(producer, "message.max.bytes"), MAX_BATCH.to_string());
    }

    #[test]
    fn every_role_is_a_configuration() {
        let (group, worker) = ("g", "w");
        let member = Role::Member { group, worker };
        for role in [
            Role::Probe { committed: true },
            Role::Probe { committed: false },
            Role::Reader,
            member,
            Role::Producer { id: "x" },
        ] {
            config(&options(&[]), role).create_native_config().unwrap();
        }
    }

    #[test]
    fn users_change_what_is_theirs() {
        let own = options(&[("linger.ms", "5"), ("sasl.username", "me")]);
        assert!(check(&own).is_ok());
        let producer = config(&own, Role::Producer { id: "x" });
        assert_eq!(producer.get("linger.ms"), Some("5"));
        let reader = config(&own, Role::Reader);
        assert_eq!(
            (reader.get("linger.ms"), reader.get("sasl.username")),
            (None, Some("me"))
        );
        let refused = check(&options(&[("isolation.level", "read_uncommitted")])).unwrap_err();
        assert!(refused.to_string().contains("isolation.level"));
    }
}
