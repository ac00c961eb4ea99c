//! Topics: made so that everything is kept, and refused where they would not keep it.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use mainstem_kernel::log::{LogError, Partition, TopicSpec};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, PATIENCE, PAUSE};
use crate::error::Act;
use crate::settings::{self, MAX_BATCH, Role};
use crate::trouble::Events;

impl Cluster {
    /// Creates what is missing, waits until every partition has a leader, and refuses topics that break a promise.
    pub(crate) fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let existing = self.topics()?;
        let exists = |topic: &&TopicSpec| existing.iter().any(|found| found.name == topic.name);
        let (kept, missing): (Vec<&TopicSpec>, Vec<&TopicSpec>) = topics.iter().partition(exists);
        if !missing.is_empty() {
            self.create_missing(&missing)?;
        }
        for topic in topics {
            self.await_topic(topic)?;
        }
        let names: Vec<&str> = kept.iter().map(|topic| topic.name.as_str()).collect();
        self.check_topics(&names)
    }

    fn create_missing(&self, missing: &[&TopicSpec]) -> Result<(), LogError> {
        let batch = MAX_BATCH.to_string();
        let replication = self.options.replication.map_or(-1, i32::from);
        // With three copies one may be gone; a write is then on two before it is acknowledged. Where the brokers choose
        // the number of copies, they choose this one, too.
        let in_step = match self.options.replication {
            Some(3..) => Some("2"),
            _ => None,
        };
        // Everything is kept, and the record's timestamp is the broker's time of writing: one that a client sends could
        // be refused or expired.
        let specs: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|topic| {
                let replication = TopicReplication::Fixed(replication);
                let spec = NewTopic::new(&topic.name, topic.partitions as i32, replication)
                    .set("retention.ms", "-1")
                    .set("retention.bytes", "-1")
                    .set("cleanup.policy", "delete")
                    .set("message.timestamp.type", "LogAppendTime")
                    .set("max.message.bytes", &batch)
                    .set("unclean.leader.election.enable", "false");
                match in_step {
                    Some(count) => spec.set("min.insync.replicas", count),
                    None => spec,
                }
            })
            .collect();
        let results = block_on(self.admin()?.create_topics(&specs, &patient()));
        let any = Act::create(&missing[0].name);
        for result in results.map_err(|why| self.explain(any, &why))? {
            match result {
                // Another process may create the same topics.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let why = KafkaError::AdminOp(code);
                    return Err(match code {
                        RDKafkaErrorCode::InvalidReplicationFactor => LogError::Other(format!(
                            "Kafka cannot create topic {topic}: it has fewer brokers than copies are asked for; start \
                             more, or lower the replication"
                        )),
                        _ if crate::error::is_denied(code) => {
                            self.explain(Act::create(&topic), &why)
                        }
                        _ => LogError::Other(format!("Kafka cannot create topic {topic}: {code}")),
                    });
                }
            }
        }
        Ok(())
    }

    fn await_topic(&self, topic: &TopicSpec) -> Result<(), LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.count(&topic.name)? {
                Some(actual) if actual == topic.partitions => return Ok(()),
                Some(actual) => {
                    return Err(LogError::Partitions {
                        topic: topic.name.clone(),
                        actual,
                        wanted: topic.partitions,
                    });
                }
                None if Instant::now() < deadline => std::thread::sleep(PAUSE),
                None => {
                    let partition = Partition::new(&topic.name, 0);
                    return Err(LogError::UnknownTopic(partition));
                }
            }
        }
    }

    /// Refuses topics with settings that break a promise; one request for all of them.
    fn check_topics(&self, topics: &[&str]) -> Result<(), LogError> {
        let Some(any) = topics.first() else {
            return Ok(());
        };
        let copies = self.copies()?;
        for found in self.describe(topics, any)? {
            let OwnedResourceSpecifier::Topic(name) = &found.specifier else {
                continue;
            };
            let wrong = broken(&found, copies.get(name).copied().unwrap_or(1));
            if wrong.is_empty() {
                continue;
            }
            return Err(LogError::Other(format!(
                "topic {name} does not keep what is written to it ({}: {}); {}",
                list(wrong.iter().map(|w| (w.key, w.is.as_str()))),
                wrong[0].why,
                self.mend(name, &list(wrong.iter().map(|w| (w.key, w.must.as_str())))),
            )));
        }
        Ok(())
    }

    /// The command that gives a topic these settings.
    pub(crate) fn mend(&self, topic: &str, settings: &str) -> String {
        format!(
            "run kafka-configs --bootstrap-server {} --alter --entity-type topics --entity-name {topic} --add-config \
             {settings}",
            self.options.bootstrap,
        )
    }

    /// The settings of topics, in one request.
    pub(crate) fn describe(
        &self,
        topics: &[&str],
        any: &str,
    ) -> Result<Vec<ConfigResource>, LogError> {
        let resources: Vec<ResourceSpecifier<'_>> = topics
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let described = block_on(self.admin()?.describe_configs(&resources, &patient()));
        let described = described.map_err(|why| self.explain(Act::settings(any), &why))?;
        let seen = described.into_iter().map(|found| {
            let found = found
                .map_err(|code| self.explain(Act::settings(any), &KafkaError::AdminOp(code)))?;
            match &found.specifier {
                // rdkafka drops the error of a single topic: one that exists has settings, if we may see them.
                OwnedResourceSpecifier::Topic(name) if found.entries.is_empty() => {
                    let why = KafkaError::AdminOp(RDKafkaErrorCode::TopicAuthorizationFailed);
                    Err(self.explain(Act::settings(name), &why))
                }
                _ => Ok(found),
            }
        });
        seen.collect()
    }

    /// Forgets the records before an offset, or all there are.
    pub(crate) fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        self.require(partition)?;
        let before = before.min(self.end(partition, true)?);
        let mut list = TopicPartitionList::new();
        let act = || Act::delete(partition);
        list.add_partition_offset(
            &partition.topic,
            partition.index as i32,
            Offset::Offset(before as i64),
        )
        .map_err(|why| self.explain(act(), &why))?;
        let done = block_on(self.admin()?.delete_records(&list, &patient()));
        let done = done.map_err(|why| self.explain(act(), &why))?;
        for element in done.elements() {
            match element.error() {
                Ok(()) => {}
                // It starts beyond `before` already.
                Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetOutOfRange)) => {}
                Err(why) => return Err(self.explain(act(), &why)),
            }
        }
        Ok(())
    }

    fn admin(&self) -> Result<&AdminClient<Events>, LogError> {
        if self.admin.get().is_none() {
            let config = settings::config(&self.options, Role::Probe { committed: true });
            let admin = config.create_with_context(Events(self.trouble.clone()));
            let admin = admin.map_err(|why| self.explain(Act::connect(), &why))?;
            let _ = self.admin.set(admin);
        }
        let missing = || LogError::Other("Kafka's admin client is gone".into());
        self.admin.get().ok_or_else(missing)
    }
}

fn patient() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE))
}

/// Settings as `kafka-configs` takes them.
fn list<'s>(settings: impl Iterator<Item = (&'static str, &'s str)>) -> String {
    let settings: Vec<String> = settings
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    settings.join(",")
}

/// A setting that breaks a promise.
struct Wrong {
    key: &'static str,
    is: String,
    must: String,
    why: &'static str,
}

/// What is wrong with a topic of so many copies.
fn broken(found: &ConfigResource, copies: usize) -> Vec<Wrong> {
    let forever = "history would be deleted";
    let rules = [
        ("cleanup.policy", "delete", "compaction deletes history"),
        ("retention.ms", "-1", forever),
        ("retention.bytes", "-1", forever),
        (
            "message.timestamp.type",
            "LogAppendTime",
            "a broker could refuse or delete a record for its event time",
        ),
        (
            "unclean.leader.election.enable",
            "false",
            "acknowledged records could be lost",
        ),
    ];
    let value = |key: &str| found.get(key).and_then(|entry| entry.value.as_deref());
    let mut wrong: Vec<Wrong> = rules
        .into_iter()
        .filter_map(|(key, must, why)| {
            let is = value(key)?.to_owned();
            let must = must.to_owned();
            (is != must).then_some(Wrong { key, is, must, why })
        })
        .collect();
    let mut at_least = |key: &'static str, least: usize, why| {
        let is = value(key).unwrap_or_default().to_owned();
        if is.parse::<usize>().is_ok_and(|is| is < least) {
            let must = least.to_string();
            wrong.push(Wrong { key, is, must, why });
        }
    };
    at_least(
        "max.message.bytes",
        MAX_BATCH,
        "a large record would not fit",
    );
    if copies >= 3 {
        at_least(
            "min.insync.replicas",
            2,
            "acknowledged records could be lost",
        );
    }
    wrong
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for rdkafka's admin futures, which its own thread completes: no runtime is needed for them.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
