//! A member of a room's consumer group: who owns which lead partition, and the generation that fences. The group's
//! consumer reads nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstem_kernel::log::{LogError, Partition};
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::cluster::{Cluster, lock};
use crate::error::{self, Act};
use crate::settings::{self, Role};
use crate::trouble::Trouble;

/// Committed offsets are stable when no transaction that sent some is open: as long as one may last, and a bit.
const STABLE: Duration = Duration::from_secs(15);

/// Rebalances come one or two at a time; beyond that the next call goes on.
const POLLS: usize = 16;

/// What the group gave this member.
#[derive(Clone, Default)]
pub(crate) struct Share {
    /// Counts assignments.
    pub(crate) epoch: u64,
    pub(crate) partitions: BTreeSet<Partition>,
    /// As of this very assignment: with it a commit is refused once the group has moved on. Nothing while joining.
    pub(crate) metadata: Option<Arc<ConsumerGroupMetadata>>,
}

/// A member.
pub(crate) struct Member {
    cluster: Arc<Cluster>,
    group: String,
    consumer: BaseConsumer<Rebalances>,
    topics: BTreeSet<String>,
}

struct Rebalances(Mutex<Share>, Arc<Trouble>);

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        self.1.tell(&error, reason);
    }
}

impl ConsumerContext for Rebalances {
    /// The eager protocol: all is revoked, then some is assigned. The partitions stay paused.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: Code,
        partitions: &mut TopicPartitionList,
    ) {
        let mut share = lock(&self.0);
        if event != Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            share.metadata = None;
            let _ = consumer.unassign();
            return;
        }
        // With a position given, no committed offset is looked up that nobody needs.
        let _ = partitions.set_all_offsets(Offset::End);
        let _ = consumer.assign(partitions);
        let _ = consumer.pause(partitions);
        let index = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            Partition::new(element.topic(), element.partition() as u32)
        };
        share.epoch += 1;
        share.partitions = partitions.elements().iter().map(index).collect();
        share.metadata = consumer.group_metadata().map(Arc::new);
    }
}

impl Member {
    /// Has a worker join a group.
    pub(crate) fn join(
        cluster: &Arc<Cluster>,
        group: &str,
        worker: &str,
    ) -> Result<Self, LogError> {
        let config = settings::config(&cluster.options, Role::Member { group, worker });
        let consumer =
            config.create_with_context(Rebalances(Mutex::default(), cluster.trouble.clone()));
        Ok(Member {
            cluster: cluster.clone(),
            group: group.to_owned(),
            consumer: consumer.map_err(|why| cluster.explain(Act::join(group), &why))?,
            topics: BTreeSet::new(),
        })
    }

    /// Subscribes to the lead topics of the room, keeps the membership alive, and says what is ours.
    pub(crate) fn poll(&mut self, topics: &BTreeSet<String>) -> Result<Share, LogError> {
        if self.topics != *topics {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            self.consumer
                .subscribe(&names)
                .map_err(|why| self.explain(&why))?;
            self.topics.clone_from(topics);
        }
        for _ in 0..POLLS {
            let before = lock(&self.consumer.context().0).epoch;
            match self.consumer.poll(Duration::ZERO) {
                Some(Err(why)) if lasts(&why) => return Err(self.explain(&why)),
                // Anything else passes: brokers come back, and what is fetched here is not read.
                Some(_) => {}
                None if lock(&self.consumer.context().0).epoch == before => break,
                None => {}
            }
        }
        Ok(lock(&self.consumer.context().0).clone())
    }

    /// Committed offsets with their metadata, stable: no open transaction can change them any more.
    pub(crate) fn committed(
        &self,
        partitions: &BTreeSet<Partition>,
    ) -> Result<Vec<(Partition, Option<i64>, String)>, LogError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&partition.topic, partition.index as i32);
        }
        let found = self.stable(&list).map_err(|why| self.explain(&why))?;
        let mut committed = Vec::with_capacity(partitions.len());
        for element in found.elements() {
            element.error().map_err(|why| self.explain(&why))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let partition = Partition::new(element.topic(), element.partition() as u32);
            committed.push((partition, offset, element.metadata().to_owned()));
        }
        Ok(committed)
    }

    /// Asks the group's coordinator, again where it was lost meanwhile: another broker takes its place.
    fn stable(&self, list: &TopicPartitionList) -> Result<TopicPartitionList, KafkaError> {
        let deadline = Instant::now() + STABLE * 2;
        loop {
            match self.consumer.committed_offsets(list.clone(), STABLE) {
                Err(why) if passes(&why) && Instant::now() < deadline => {}
                other => return other,
            }
        }
    }

    fn explain(&self, why: &KafkaError) -> LogError {
        self.cluster.explain(Act::join(&self.group), why)
    }
}

/// What ends when a broker is back or another has taken its place.
fn passes(why: &KafkaError) -> bool {
    error::is_passing(why) || why.rdkafka_error_code().is_some_and(error::is_unanswered)
}

/// What no time mends.
fn lasts(why: &KafkaError) -> bool {
    let denied = |code: RDKafkaErrorCode| error::is_denied(code);
    matches!(why, KafkaError::MessageConsumptionFatal(_))
        || why.rdkafka_error_code().is_some_and(denied)
}
