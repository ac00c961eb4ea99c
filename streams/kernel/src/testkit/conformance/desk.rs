//! A case's own corner of the log: its topics, its tasks, and the few questions that cases ask.

use std::collections::BTreeSet;
use std::time::Instant;

use mainstem_schemas::events::{Event, InputPosition, Turn};
use mainstem_schemas::{Batch, Catalog, Digest};

use super::Fixture;
use crate::log::{Commit, FetchLimit, Log, Partition, TopicSpec, Worker};
use crate::task::{Input, Mode, Output, TaskId, TaskSpec};

pub(super) struct Desk<'a> {
    pub(super) fixture: &'a Fixture<'a>,
    pub(super) log: Box<dyn Log>,
    project: String,
    catalog: Catalog,
}

/// A record as cases compare it: key, value, headers.
pub(super) type Plain = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Vec<u8>)>);

impl<'a> Desk<'a> {
    /// Topics are named `<run>-<case>.<name>`, those of the chain among them.
    pub(super) fn new(fixture: &'a Fixture<'a>, case: &str, topics: &[(&str, u32)]) -> Self {
        let mut catalog = Catalog::default();
        catalog.register_contracts().unwrap();
        let desk = Desk {
            fixture,
            log: fixture.open(),
            project: format!("{}-{case}", fixture.run),
            catalog,
        };
        let all = [("turns", 1), ("snapshots", 1)];
        let specs: Vec<TopicSpec> = topics
            .iter()
            .chain(&all)
            .map(|(name, partitions)| TopicSpec {
                name: desk.topic(name),
                partitions: *partitions,
            })
            .collect();
        desk.log.create_topics(&specs).unwrap();
        desk
    }

    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.project)
    }

    pub(super) fn at(&self, topic: &str, index: u32) -> Partition {
        Partition::new(&self.topic(topic), index)
    }

    /// A name of a writer or worker that no other case has.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.project)
    }

    /// Task number `index`, led by that partition of the topic `lead`.
    pub(super) fn task(&self, index: u32) -> TaskSpec {
        let lead = self.at("lead", index);
        TaskSpec {
            id: TaskId(format!("{}/task/{index}", self.project)),
            project: self.project.clone(),
            lead: Some(lead.clone()),
            inputs: vec![Input {
                partition: lead,
                mode: Mode::Immediate,
            }],
            outputs: vec![Output {
                topic: self.topic("out"),
                partitions: 1,
            }],
        }
    }

    /// A turn that has taken `number` records of its lead.
    pub(super) fn turn(&self, task: &TaskSpec, number: i64) -> Turn {
        let lead = task.lead.as_ref().unwrap();
        Turn {
            task: task.id.0.clone(),
            number,
            machine_version: 1,
            definition: Digest::of(b"definition"),
            runs: Vec::new(),
            positions: vec![InputPosition {
                topic: lead.topic.to_string(),
                partition: lead.index as i32,
                next: number,
            }],
            outputs: Vec::new(),
            outstanding: 0,
            previous: Digest::default(),
            hash: Digest::of(&number.to_le_bytes()),
        }
    }

    /// A commit of a turn with its record in `turns`, as a runner makes it, and one record more to `out`.
    pub(super) fn commit(&self, task: &TaskSpec, number: i64) -> Commit {
        let turn = self.turn(task, number);
        let mut record = Batch::new();
        let event = Event::Turn(turn.clone());
        record.push_value(
            Some(task.id.0.as_bytes()),
            |out| event.encode(&self.catalog, out).unwrap(),
            [],
        );
        let value = format!("{} turn {number}", task.id);
        Commit {
            task: task.id.clone(),
            turn: Some(turn),
            outputs: vec![
                (self.at("out", 0), batch(&[&value])),
                (self.at("turns", 0), record),
            ],
        }
    }

    /// An outcome, appended by a task's owner.
    pub(super) fn outcome(&self, task: &TaskSpec, value: &str) -> Commit {
        Commit {
            task: task.id.clone(),
            turn: None,
            outputs: vec![(self.at("out", 0), batch(&[value]))],
        }
    }

    /// All records of a partition, as a fresh handle sees them once all is decided.
    pub(super) fn read(&self, partition: &Partition) -> Batch {
        let log = self.fixture.open();
        let mut reader = log.reader().unwrap();
        let start = reader.range(partition).unwrap().start;
        let deadline = Instant::now() + self.fixture.patience;
        loop {
            let read = read_on(&mut *reader, partition, start, FetchLimit::default());
            let next = read.offsets().last().map_or(start, |last| last + 1);
            if reader.at_end(partition, next).unwrap() {
                return read;
            }
            assert!(Instant::now() < deadline, "{partition} stays undecided");
        }
    }

    /// The values of a partition as text.
    pub(super) fn values(&self, partition: &Partition) -> Vec<String> {
        values(&self.read(partition))
    }

    pub(super) fn last_number(&self, task: &TaskSpec) -> Option<i64> {
        let turn = self.fixture.open().last_turn(&task.id).unwrap();
        turn.map(|turn| turn.number)
    }

    /// A worker that owns all of some tasks.
    pub(super) fn owner(&self, name: &str, tasks: &[TaskSpec]) -> Box<dyn Worker> {
        let mut worker = self.log.worker(&self.name(name)).unwrap();
        let held = self.settle(&mut [&mut worker], tasks);
        assert_eq!(held[0].len(), tasks.len());
        worker
    }

    /// Lets workers agree until each task is held by one of them, and says by which.
    pub(super) fn settle(
        &self,
        workers: &mut [&mut Box<dyn Worker>],
        tasks: &[TaskSpec],
    ) -> Vec<BTreeSet<TaskId>> {
        let mut held = vec![BTreeSet::new(); workers.len()];
        self.settle_from(workers, tasks, &mut held);
        held
    }

    /// The same for workers that hold tasks already.
    pub(super) fn settle_from(
        &self,
        workers: &mut [&mut Box<dyn Worker>],
        tasks: &[TaskSpec],
        held: &mut [BTreeSet<TaskId>],
    ) {
        let deadline = Instant::now() + self.fixture.patience;
        let fair = tasks.len() / workers.len()..=tasks.len().div_ceil(workers.len());
        loop {
            for (worker, held) in workers.iter_mut().zip(held.iter_mut()) {
                let change = worker.assign(tasks).unwrap();
                for task in &change.lost {
                    assert!(held.remove(task), "{task} is lost by a worker that had it");
                }
                for task in change.gained {
                    assert!(held.insert(task), "a task is gained once");
                }
            }
            let owned: BTreeSet<&TaskId> = held.iter().flatten().collect();
            let total: usize = held.iter().map(BTreeSet::len).sum();
            let fairly = held.iter().all(|held| fair.contains(&held.len()));
            if total == tasks.len() && owned.len() == tasks.len() && fairly {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the shares did not settle: {held:?}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Records with these values and no key.
pub(super) fn batch<V: AsRef<[u8]>>(values: &[V]) -> Batch {
    let mut batch = Batch::new();
    for value in values {
        batch.push(None, Some(value.as_ref()), []);
    }
    batch
}

/// Fetches from `from` on until nothing comes.
pub(super) fn read_on(
    reader: &mut dyn crate::log::Reader,
    partition: &Partition,
    from: u64,
    limit: FetchLimit,
) -> Batch {
    let mut all = Batch::new();
    let mut next = from;
    loop {
        let before = all.len();
        reader.fetch(partition, next, limit, &mut all).unwrap();
        if all.len() == before {
            return all;
        }
        let new = &all.offsets()[before..];
        assert!(new[0] >= next, "a fetch starts at or after what was asked");
        assert!(new.is_sorted_by(|a, b| a < b), "offsets rise");
        next = new[new.len() - 1] + 1;
    }
}

pub(super) fn values(batch: &Batch) -> Vec<String> {
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    batch.iter().map(|record| text(record.value)).collect()
}

pub(super) fn plain(batch: &Batch) -> Vec<Plain> {
    let plain = |record: mainstem_schemas::RecordRef<'_>| {
        let headers = record.headers().map(|(n, v)| (n.to_owned(), v.to_vec()));
        (
            record.key.map(<[u8]>::to_vec),
            record.value.map(<[u8]>::to_vec),
            headers.collect(),
        )
    };
    batch.iter().map(plain).collect()
}
