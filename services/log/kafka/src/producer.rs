//! One transactional producer: records and offsets become visible together, or not at all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use mainstem_kernel::log::{CommitError, LogError, Partition};
use mainstem_schemas::Batch;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, lock};
use crate::error::{self, Act};
use crate::failure::{Failures, Stop, facts};
use crate::sending::{Sender, fits};
use crate::settings::{self, Role, TRANSACTION_MS};

/// How long a step of a transaction is tried: beyond it the broker has aborted the transaction by itself.
const PATIENCE: Duration = Duration::from_millis(TRANSACTION_MS);

/// How long the end of a commit is waited for before it counts as unknown: a broker that restarts is back by then.
const END: Duration = Duration::from_secs(30);

/// How much later than its time-out a call may answer.
const LATE: Duration = Duration::from_secs(2);

/// How long one try to abort waits.
const ABORT: Duration = Duration::from_millis(500);

/// Between a transaction's end and the next one's first record. A partition joins a transaction once the last one's marker
/// is written there, some milliseconds after the end; asked before, librdkafka asks again after 20, and spins. Back to back
/// a commit is a quarter shorter so (measured).
const MARKERS: Duration = Duration::from_millis(4);

/// How long a commit waits to be visible: who appends reads on and expects its own, and a busy cluster may take seconds to
/// write the markers. A transaction of others may hold it back for longer: it is committed, and readers wait anyway.
const SEEN: Duration = Duration::from_secs(5);

/// Between two looks whether a commit is visible, at most: a request costs a busy broker some tenths of a millisecond.
const MAX_PAUSE: Duration = Duration::from_millis(8);

/// Partitions with an end beyond a transaction's records.
type Written = Vec<(Partition, u64)>;

/// Offsets that a transaction sends, each with the membership that may send them.
pub(crate) struct Sent {
    pub(crate) group: String,
    pub(crate) offsets: TopicPartitionList,
    pub(crate) member: Arc<ConsumerGroupMetadata>,
}

/// A producer under a transactional id.
pub(crate) struct Transactions {
    producer: Arc<BaseProducer<Failures>>,
    cluster: Arc<Cluster>,
    id: String,
    name: String,
    /// When the last transaction ended, whose markers were not waited for.
    ended: Option<Instant>,
    /// Why the producer writes nothing any more.
    spent: Option<CommitError>,
}

impl Transactions {
    /// Takes the transactional id over: whoever had it is fenced, and what it left open is aborted.
    pub(crate) fn open(cluster: Arc<Cluster>, id: &str, name: String) -> Result<Self, LogError> {
        let config = settings::config(&cluster.options, Role::Producer { id });
        let producer: BaseProducer<Failures> = config
            .create_with_context(Failures(Mutex::default(), cluster.trouble.clone()))
            .map_err(|why| cluster.explain(Act::own(id), &why))?;
        let deadline = Instant::now() + END;
        while let Err(why) = producer.init_transactions(PATIENCE) {
            if !facts(&why).retriable || Instant::now() > deadline {
                producer.poll(Duration::ZERO);
                return Err(cluster.explain(Act::own(id), &why));
            }
        }
        Ok(Transactions {
            producer: Arc::new(producer),
            cluster,
            id: id.to_owned(),
            name,
            ended: None,
            spent: None,
        })
    }

    /// Whether it writes nothing any more.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.is_some()
    }

    /// Writes records and offsets in one transaction.
    pub(crate) fn commit(
        &mut self,
        records: &[&(Partition, Batch)],
        offsets: &[Sent],
    ) -> Result<(), CommitError> {
        if let Some(spent) = &self.spent {
            return Err(spent.clone());
        }
        for (partition, batch) in records {
            self.cluster.require(partition)?;
            fits(partition, batch)?;
        }
        if offsets.is_empty() && records.iter().all(|(_, batch)| batch.is_empty()) {
            return Ok(());
        }
        *lock(&self.producer.context().0) = None;
        if let Some(ended) = self.ended.take() {
            std::thread::sleep(MARKERS.saturating_sub(ended.elapsed()));
        }
        match self.write(records, offsets) {
            Ok(written) => {
                self.finish()?;
                match written.is_empty() {
                    true => self.ended = Some(Instant::now()),
                    false => self.await_seen(&written),
                }
                Ok(())
            }
            Err(stop) => Err(self.abort(stop)),
        }
    }

    /// Everything but the end. The records are with the brokers *before* the offsets are sent: what was accepted
    /// under an old generation of the group is then below the end that the next owner looks up (see `turns`).
    fn write(&self, records: &[&(Partition, Batch)], offsets: &[Sent]) -> Result<Written, Stop> {
        self.producer.begin_transaction()?;
        let deadline = Instant::now() + PATIENCE;
        Sender::of(&self.producer, deadline).send(records)?;
        // Writers and doors read on at once, and expect their own. Who sends offsets is a worker, whose tasks wait for
        // the bell: the two looks would take 2 to 3 ms of each commit.
        let written = match offsets {
            [] => self.written(records),
            _ => Written::new(),
        };
        for sent in offsets {
            loop {
                match self.send(sent) {
                    Err(Stop::Offset(why, _))
                        if facts(&why).retriable && Instant::now() < deadline => {}
                    other => break other?,
                }
            }
        }
        Ok(written)
    }

    /// Sends offsets once. librdkafka's call knows no time-out where the group's coordinator is lost just then: its
    /// request rests until that very broker is back (seen in 2.12.1). So a thread waits for it that can be left behind.
    fn send(&self, sent: &Sent) -> Result<(), Stop> {
        let (answer, answered) = mpsc::channel();
        let (producer, offsets) = (self.producer.clone(), sent.offsets.clone());
        let member = sent.member.clone();
        let waiting = std::thread::Builder::new().name("offsets".into());
        // A thread that cannot be had drops its end, which is seen below.
        let _ = waiting.spawn(move || {
            let done = producer.send_offsets_to_transaction(&offsets, &member, PATIENCE);
            let _ = answer.send(done);
        });
        match answered.recv_timeout(PATIENCE + LATE) {
            Ok(done) => done.map_err(|why| Stop::Offset(why, sent.group.clone())),
            Err(_) => Err(Stop::Lost),
        }
    }

    /// The ends beyond what was just written. A log that does not answer has none: the wait for them is a courtesy.
    fn written(&self, records: &[&(Partition, Batch)]) -> Written {
        let full = records.iter().filter(|(_, batch)| !batch.is_empty());
        let partitions: BTreeSet<Partition> = full.map(|(at, _)| at.clone()).collect();
        let partitions: Vec<Partition> = partitions.into_iter().collect();
        let ends = self
            .cluster
            .offsets(&partitions, Offset::End, false)
            .unwrap_or_default();
        partitions.into_iter().zip(ends).collect()
    }

    /// Waits until a reader sees what was committed. The coordinator acknowledges a commit before it has written the
    /// markers that make it visible, a millisecond or so later; other writers' open transactions may hold it longer.
    fn await_seen(&self, written: &Written) {
        let (partitions, ends): (Vec<Partition>, Vec<u64>) = written.iter().cloned().unzip();
        let deadline = Instant::now() + SEEN;
        let mut pause = Duration::from_micros(500);
        loop {
            let decided = self.cluster.offsets(&partitions, Offset::End, true);
            let seen = decided.is_ok_and(|decided| decided.iter().zip(&ends).all(|(d, e)| d >= e));
            if seen || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(pause);
            // The broker that is asked is the one that writes the markers.
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn retry(
        &self,
        deadline: Instant,
        mut step: impl FnMut() -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        loop {
            match step() {
                Err(why) if facts(&why).retriable && Instant::now() < deadline => {}
                other => return other,
            }
        }
    }

    fn finish(&mut self) -> Result<(), CommitError> {
        let ended = self.retry(Instant::now() + END, || {
            self.producer.commit_transaction(PATIENCE)
        });
        match ended {
            Ok(()) => Ok(()),
            Err(why) if facts(&why).abortable => Err(self.abort(Stop::Step(why))),
            Err(why) => Err(self.spend(&why)),
        }
    }

    /// Aborts, and says what that means for the caller.
    fn abort(&mut self, stop: Stop) -> CommitError {
        let why = match &stop {
            Stop::Step(why) | Stop::Offset(why, _) | Stop::Record(why, _) => why.clone(),
            Stop::Lost => {
                let lost = self.refused(&stop);
                self.spent = Some(lost.clone());
                return lost;
            }
        };
        if facts(&why).fatal {
            return self.spend(&why);
        }
        let end = Instant::now() + END;
        // An abort waits until the failures of its records are taken notice of, which nobody does meanwhile: so it waits
        // shortly and is tried again.
        let aborted = self.retry(end, || {
            self.producer.poll(Duration::ZERO);
            self.producer.abort_transaction(ABORT)
        });
        let refused = self.refused(&stop);
        match (aborted, &refused) {
            (Ok(()), _) => refused,
            // Without the permission to write nothing was begun that could be aborted: Kafka takes the abort amiss.
            (Err(_), CommitError::Log(_)) => {
                self.spent = Some(refused.clone());
                refused
            }
            (Err(why), _) => self.spend(&why),
        }
    }

    /// What an aborted transaction means for the caller.
    fn refused(&self, stop: &Stop) -> CommitError {
        let (why, act) = match stop {
            Stop::Step(why) => (why.clone(), Act::own(&self.id)),
            Stop::Record(why, at) => (why.clone(), Act::write(at)),
            Stop::Offset(why, group) => (why.clone(), Act::join(group)),
            Stop::Lost => {
                let why = format!("{}: Kafka's client does not answer", self.name);
                return CommitError::Unknown(why);
            }
        };
        self.producer.poll(Duration::ZERO);
        match why.rdkafka_error_code() {
            Some(code) if error::is_fenced(code) => CommitError::Fenced(self.name.clone()),
            Some(code) if error::is_lasting(code) => {
                CommitError::Log(self.cluster.explain(act, &why))
            }
            Some(code) if error::is_unanswered(code) => {
                CommitError::Aborted(self.cluster.explain(act, &why).to_string())
            }
            _ => CommitError::Aborted(why.to_string()),
        }
    }

    /// The producer is of no more use.
    fn spend(&mut self, why: &KafkaError) -> CommitError {
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        let code = fatal.or(why.rdkafka_error_code());
        let error = match code {
            Some(code) if error::is_fenced(code) => CommitError::Fenced(self.name.clone()),
            _ => CommitError::Unknown(format!("{}: {why}", self.name)),
        };
        self.spent = Some(error.clone());
        error
    }
}
