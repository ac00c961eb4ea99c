//! The last turn of a task, found in the topic `turns`.
//!
//! *Why the scan is enough.* A new owner asks after the group has given it the lead partition. An older owner's commit
//! that can still succeed sent its offsets under the older generation, and a worker sends offsets only when the brokers
//! have its records, the turn among them. So every turn that counts lies below the end of all that is written, open
//! transactions too, as of the call: once everything below that end is decided and read, the last turn is known.
//! Offsets that expired or were reset change nothing here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstem_kernel::TaskId;
use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::catalog::{SchemaRegistered, fingerprint};
use mainstem_schemas::events::{Event, EventType, Turn};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::registry::SchemaFact;
use mainstem_schemas::{Batch, Catalog, topics, wire};

use crate::cluster::{Cluster, lock};
use crate::reader::KafkaReader;
use crate::watch::Watch;

/// A stopped worker's transaction is aborted after 10 s, which brokers look for every 10 s by default.
const PATIENCE: Duration = Duration::from_secs(40);

/// Between two looks at an open transaction.
const PAUSE: Duration = Duration::from_millis(2);

/// What was read of the chain; it grows from call to call.
pub(crate) struct Turns {
    cluster: Arc<Cluster>,
    watch: Arc<Watch>,
    scan: Mutex<Option<Scan>>,
}

struct Scan {
    reader: KafkaReader,
    next: BTreeMap<Partition, u64>,
    /// The last turn's value, by the task's name.
    last: BTreeMap<Vec<u8>, Vec<u8>>,
    catalog: Catalog,
}

impl Turns {
    pub(crate) fn new(cluster: Arc<Cluster>, watch: Arc<Watch>) -> Self {
        Turns {
            cluster,
            watch,
            scan: Mutex::new(None),
        }
    }

    /// The last committed turn of a task.
    pub(crate) fn last(&self, project: &str, task: &TaskId) -> Result<Option<Turn>, LogError> {
        Ok(self.all_last(project, &[task])?.pop().flatten())
    }

    /// The last committed turns of several tasks.
    pub(crate) fn all_last(
        &self,
        project: &str,
        tasks: &[&TaskId],
    ) -> Result<Vec<Option<Turn>>, LogError> {
        let topic = topics::fixed(project, "turns");
        let Some(count) = self.cluster.count(&topic)? else {
            return Ok(vec![None; tasks.len()]);
        };
        let at = |task: &TaskId| Partition::new(&topic, partition_of(task.0.as_bytes(), count));
        let mut scan = lock(&self.scan);
        if scan.is_none() {
            let reader = KafkaReader::open(self.cluster.clone(), self.watch.clone())?;
            *scan = Some(Scan {
                reader,
                next: BTreeMap::new(),
                last: BTreeMap::new(),
                catalog: Catalog::default(),
            });
        }
        let Some(scan) = scan.as_mut() else {
            return Ok(vec![None; tasks.len()]);
        };
        let partitions: BTreeSet<Partition> = tasks.iter().map(|task| at(task)).collect();
        for partition in &partitions {
            scan.read(&self.cluster, partition)?;
        }
        let turn = |task: &&TaskId| scan.turn(&self.cluster, project, &at(task), task);
        tasks.iter().map(turn).collect()
    }
}

impl Scan {
    /// Reads everything below the present end of all that is written, once it is decided.
    fn read(&mut self, cluster: &Cluster, partition: &Partition) -> Result<(), LogError> {
        let written = cluster.end(partition, false)?;
        let mut next = match self.next.get(partition) {
            Some(next) => *next,
            None => cluster.start(partition)?,
        };
        let deadline = Instant::now() + PATIENCE;
        let mut batch = Batch::new();
        while next < written {
            let decided = cluster.end(partition, true)?;
            batch.clear();
            self.reader
                .fetch(partition, next, FetchLimit::default(), &mut batch)?;
            for record in batch.iter() {
                let key = record.key.unwrap_or_default().to_vec();
                self.last
                    .insert(key, record.value.unwrap_or_default().to_vec());
                next = record.offset + 1;
            }
            if batch.is_empty() && decided >= written {
                next = written;
            }
            self.next.insert(partition.clone(), next);
            if batch.is_empty() && next < written {
                if Instant::now() > deadline {
                    return Err(LogError::Other(format!(
                        "a transaction on {partition} stays open; end it with Kafka's tool kafka-transactions.sh"
                    )));
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    fn turn(
        &mut self,
        cluster: &Cluster,
        project: &str,
        partition: &Partition,
        task: &TaskId,
    ) -> Result<Option<Turn>, LogError> {
        let Some(value) = self.last.get(task.0.as_bytes()).cloned() else {
            return Ok(None);
        };
        let damaged =
            |why: String| LogError::Damaged(format!("{partition}, turn of {task}: {why}"));
        let (id, _) = wire::split(&value).map_err(|e| damaged(e.to_string()))?;
        if self.catalog.known(id).is_none() {
            self.read_catalog(cluster, project)?;
        }
        if self.catalog.known(id).is_none() {
            // Turns carry their own contract: a log without its schemas is still one that can be taken up.
            let fingerprint = fingerprint(Turn::AVSC).map_err(damaged)?;
            self.catalog.register(SchemaRegistered {
                id,
                subject: Turn::NAME.into(),
                fingerprint,
                schema: Turn::AVSC.into(),
            });
        }
        match Event::decode(&self.catalog, &value) {
            Ok(Event::Turn(turn)) => Ok(Some(turn)),
            Ok(other) => Err(damaged(format!("{} instead of a turn", other.name()))),
            Err(why) => Err(damaged(why.to_string())),
        }
    }

    fn read_catalog(&mut self, cluster: &Cluster, project: &str) -> Result<(), LogError> {
        let partition = Partition::new(&topics::fixed(project, "schemas"), 0);
        if cluster.count(&partition.topic)?.is_none() {
            return Ok(());
        }
        let mut next = cluster.start(&partition)?;
        let mut batch = Batch::new();
        loop {
            batch.clear();
            self.reader
                .fetch(&partition, next, FetchLimit::default(), &mut batch)?;
            let Some(last) = batch.offsets().last() else {
                return Ok(());
            };
            next = last + 1;
            for record in batch.iter() {
                let fact = SchemaFact::read(record.value.unwrap_or_default());
                let damaged =
                    |_| LogError::Damaged(format!("{partition} at offset {}", record.offset));
                self.catalog.take(fact.map_err(damaged)?);
            }
        }
    }
}
