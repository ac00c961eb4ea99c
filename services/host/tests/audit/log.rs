//! A log of several tasks, and a hand that changes stored bytes behind its back.

use std::path::Path;
use std::sync::Arc;

use mainstem_host::auditor::{Parts, Report, verify_tasks};
use mainstem_host::blobs::DirBlobs;
use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::{FetchLimit, Log, Partition, TopicSpec};
use mainstem_kernel::quiet::is_quiet;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::{Blobs, SnapshotEvery};
use mainstem_kernel::task::{Input, Mode, Output, Task, TaskId, TaskSpec};
use mainstem_kernel::testkit::toys::{self, Answering, Bug, PROJECT, Summing};
use mainstem_kernel::worker::{Crew, Inert};
use mainstem_kernel::{Machine, worker};
use mainstem_log_local::LocalLog;
use mainstem_rooms::audit::AuditMachine;
use mainstem_schemas::events::{BaselineBuilt, Event};
use mainstem_schemas::{Batch, Digest, Envelope, EventId, Millis};
use rusqlite::{Connection, params};

/// Rounds of numbers and a tick.
pub const ROUNDS: u32 = 6;
/// Numbers of a round, per partition.
pub const NUMBERS: u32 = 30;

/// Records that the two workers' tasks take in a turn at most.
pub const TAKEN: [usize; 2] = [7, 19];

pub fn at(topic: &str, index: u32) -> Partition {
    Partition::new(&format!("{PROJECT}.{topic}"), index)
}

fn spec(id: &str, inputs: &[(&str, u32, Mode)], outputs: &[&str]) -> TaskSpec {
    let input = |(topic, index, mode): &(&str, u32, Mode)| Input {
        partition: at(topic, *index),
        mode: *mode,
    };
    let inputs: Vec<Input> = inputs.iter().map(input).collect();
    let output = |name: &&str| Output {
        topic: format!("{PROJECT}.{name}"),
        partitions: 1,
    };
    TaskSpec {
        id: TaskId(id.into()),
        project: PROJECT.into(),
        lead: inputs.last().map(|input| input.partition.clone()),
        inputs,
        outputs: outputs.iter().map(output).collect(),
    }
}

/// Two tasks that write one partition, one that reads it, and the auditor.
pub fn specs() -> Vec<TaskSpec> {
    use Mode::{Held, Immediate};
    vec![
        spec("sum/toy/0", &[("numbers", 0, Immediate)], &["sums"]),
        spec("sum/toy/1", &[("numbers", 1, Immediate)], &["sums"]),
        spec("answer/toy/0", &[("sums", 0, Held)], &["answers", "orders"]),
        spec(
            "auditor/toy/0",
            &[
                ("outcomes", 0, Immediate),
                ("numbers", 0, Immediate),
                ("numbers", 1, Immediate),
            ],
            &[],
        ),
    ]
}

fn framed<M: Machine>(machine: M, spec: &TaskSpec) -> Option<Box<dyn Task>> {
    Some(Box::new(Frame::new(machine, spec.clone())))
}

pub fn factory(spec: &TaskSpec) -> Option<Box<dyn Task>> {
    match spec.id.0.split('/').next()? {
        "sum" => framed(Summing { bug: Bug::Nothing }, spec),
        "answer" => framed(Answering { name: "answer" }, spec),
        "auditor" => framed(AuditMachine, spec),
        _ => None,
    }
}

fn numbers(round: u32, index: u32, id: impl Fn(u64) -> EventId) -> Batch {
    let (catalog, ..) = toys::preamble();
    let mut batch = Batch::new();
    for row in 0..NUMBERS {
        let envelope = Envelope {
            id: id(u64::from(row)),
            time: Millis(i64::from(row % 7)),
            ..Envelope::default()
        };
        let value = f64::from(row) * 0.1 + f64::from(round + index);
        toys::push(&mut batch, &catalog, b"k", &toys::number(value), &envelope);
    }
    batch
}

fn outcome(onnx: Digest) -> Batch {
    let (catalog, ..) = toys::preamble();
    let event = BaselineBuilt {
        effect: EventId::default(),
        attempt: 1,
        model: "toy".into(),
        features: Vec::new(),
        onnx,
    };
    let mut batch = Batch::new();
    let envelope = Envelope::default();
    toys::push(&mut batch, &catalog, b"toy", &Event::from(event), &envelope);
    batch
}

/// Fills a directory's log and blobs; returns the digest of the blob that an outcome names.
pub fn fill(dir: &Path) -> Digest {
    let log = LocalLog::open(dir).unwrap();
    let blobs = DirBlobs::open(&dir.join("blobs")).unwrap();
    let model = blobs.put(b"a model's bytes").unwrap();
    blobs.put(toys::project().canonical().as_bytes()).unwrap();
    create(&log);
    let mut writer = log.writer("feed").unwrap();
    let (catalog, schemas, definitions) = toys::preamble();
    writer.append(&[(at("schemas", 0), schemas)]).unwrap();
    writer
        .append(&[(at("definitions", 0), definitions)])
        .unwrap();
    writer
        .append(&[(at("outcomes", 0), outcome(model))])
        .unwrap();
    // Two workers share the tasks, with runs of different lengths.
    let mut crews = TAKEN.map(|records| crew(dir, records));
    let (specs, mut reader) = (specs(), log.reader().unwrap());
    for round in 0..ROUNDS {
        for index in 0..2 {
            let id = |row| EventId::row(index as u16, round, row);
            let batch = numbers(round, index, id);
            writer.append(&[(at("numbers", index), batch)]).unwrap();
        }
        let tick = toys::tick(&catalog, i64::from(round) * 10, i64::from(round) + 1);
        writer.append(&[(at("clock", 0), tick)]).unwrap();
        for step in 0.. {
            assert!(step < 1_000, "the tasks do not come to rest");
            for crew in &mut crews {
                let progress = crew.step(&specs).unwrap();
                assert_eq!(progress.stopped, []);
            }
            // The toy asks for effects that nothing brings about: it is at its end all the same.
            if is_idle(&log, reader.as_mut(), &specs) {
                break;
            }
        }
    }
    model
}

/// A worker that takes so many records at once, and stores a state after some turns.
pub fn crew(dir: &Path, records: usize) -> Crew<Inert> {
    let parts = worker::Parts {
        log: Arc::new(LocalLog::open(dir).unwrap()),
        resolver: Arc::new(Nothing),
        blobs: Arc::new(DirBlobs::open(&dir.join("blobs")).unwrap()),
        factory: Arc::new(factory),
        limit: FetchLimit {
            records,
            bytes: 1 << 20,
        },
        snapshots: SnapshotEvery {
            records: 150,
            turns: 1_000,
        },
    };
    Crew::join(parts, &format!("w{records}"), Inert).unwrap()
}

fn is_idle(log: &dyn Log, reader: &mut dyn mainstem_kernel::Reader, specs: &[TaskSpec]) -> bool {
    let quiet = is_quiet(log, reader, specs).unwrap();
    let stands = |spec: &TaskSpec| {
        let turn = log.last_turn(&spec.id).unwrap();
        let ends = spec.partitions().into_iter().map(|at| {
            let position = turn
                .iter()
                .flat_map(|turn| &turn.positions)
                .find(|p| p.topic == *at.topic && p.partition == at.index as i32);
            position.map_or(0, |p| p.next as u64)
        });
        ends.zip(spec.partitions()).collect::<Vec<_>>()
    };
    quiet
        || specs.iter().all(|spec| {
            stands(spec)
                .into_iter()
                .all(|(next, at)| reader.range(&at).unwrap().end <= next)
        })
}

fn create(log: &dyn Log) {
    let one = [
        "schemas",
        "definitions",
        "clock",
        "outcomes",
        "sums",
        "answers",
        "orders",
        "turns",
        "snapshots",
    ];
    let topic = |name: &str, partitions| TopicSpec {
        name: format!("{PROJECT}.{name}"),
        partitions,
    };
    let mut topics: Vec<TopicSpec> = one.iter().map(|name| topic(name, 1)).collect();
    topics.push(topic("numbers", 2));
    log.create_topics(&topics).unwrap();
}

pub fn audit(dir: &Path) -> Report {
    audit_with(dir, &factory)
}

pub fn audit_with(dir: &Path, factory: &worker::Factory) -> Report {
    let log = LocalLog::open(dir).unwrap();
    let blobs = DirBlobs::open(&dir.join("blobs")).unwrap();
    let parts = Parts {
        log: &log,
        blobs: &blobs,
        resolver: &Nothing,
        factory,
        project: &toys::project(),
    };
    verify_tasks(&parts, specs(), &mut |_| {}).unwrap()
}

/// The file behind a closed log.
pub struct File {
    connection: Connection,
}

/// A stored row: its id, the first offset, and the frames with their sum before them.
pub struct Row {
    id: i64,
    count: i64,
    timestamp: i64,
    pub first: u64,
    pub blob: Vec<u8>,
}

/// Bytes of the sum before a row's frames.
const SUM: usize = 4;

impl File {
    pub fn open(dir: &Path) -> Self {
        let connection = Connection::open(dir.join("log.sqlite")).unwrap();
        File { connection }
    }

    pub fn rows(&self, partition: &Partition) -> Vec<Row> {
        let text = "SELECT id, count, timestamp, frames, id & ((1 << 40) - 1) FROM batches WHERE id >> 40 =
            (SELECT number FROM partitions WHERE topic = ?1 AND part = ?2) ORDER BY id";
        let mut statement = self.connection.prepare(text).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                id: row.get(0)?,
                count: row.get(1)?,
                timestamp: row.get(2)?,
                first: row.get::<_, i64>(4)? as u64,
                blob: row.get(3)?,
            })
        };
        let rows = statement
            .query_map(params![&*partition.topic, partition.index], row)
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Stores these records in the place of all of a partition, as if nothing else had ever been written.
    pub fn rewrite(&self, partition: &Partition, records: &Batch) {
        let rows = self.rows(partition);
        let first = rows.first().unwrap();
        let mut row = first.flipped(first.bytes().start);
        row.set(records);
        let text = "DELETE FROM batches WHERE id > ?1 AND id >> 40 = ?1 >> 40";
        self.connection.execute(text, params![row.id]).unwrap();
        let text = "UPDATE partitions SET next = ?3 WHERE topic = ?1 AND part = ?2";
        let place = params![&*partition.topic, partition.index, row.count];
        self.connection.execute(text, place).unwrap();
        let text = "UPDATE batches SET count = ?2 WHERE id = ?1";
        self.connection
            .execute(text, params![row.id, row.count])
            .unwrap();
        self.put(&row, true);
    }

    /// Takes everything from an offset on away, as if it had never been written.
    pub fn cut(&self, partition: &Partition, end: u64) {
        let text = "UPDATE partitions SET next = ?3 WHERE topic = ?1 AND part = ?2";
        let place = params![&*partition.topic, partition.index, end as i64];
        self.connection.execute(text, place).unwrap();
        for mut row in self.rows(partition) {
            let kept = end.saturating_sub(row.first).min(row.count as u64) as usize;
            let mut batch = row.batch();
            batch.truncate(kept);
            row.set(&batch);
            let text = "UPDATE batches SET count = ?2 WHERE id = ?1";
            let place = params![row.id, row.count];
            self.connection.execute(text, place).unwrap();
            self.put(&row, true);
        }
        let text = "DELETE FROM batches WHERE count = 0";
        self.connection.execute(text, []).unwrap();
    }

    /// Stores a row's bytes; with `sum`, so that the log does not notice.
    pub fn put(&self, row: &Row, sum: bool) {
        let mut blob = row.blob.clone();
        if sum {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&blob[SUM..]);
            for part in [row.id, row.count, row.timestamp] {
                hasher.update(&part.to_le_bytes());
            }
            blob[..SUM].copy_from_slice(&hasher.finalize().to_le_bytes());
        }
        let text = "UPDATE batches SET frames = ?2 WHERE id = ?1";
        self.connection
            .execute(text, params![row.id, blob])
            .unwrap();
    }
}

impl Row {
    /// Offset of the record that holds a byte, and the places of its frame.
    pub fn record_of(&self, byte: usize) -> (u64, std::ops::Range<usize>) {
        let batch = self.batch();
        let end = |row: usize| SUM + batch.frames(0..row + 1).len();
        let row = (0..batch.len()).find(|row| byte < end(*row)).unwrap();
        let start = end(row) - batch.frames(row..row + 1).len();
        (self.first + row as u64, start..end(row))
    }

    pub fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        let count = self.count as usize;
        batch
            .push_frames(&self.blob[SUM..], self.first, self.timestamp, count)
            .unwrap();
        batch
    }

    /// Replaces the records.
    pub fn set(&mut self, batch: &Batch) {
        self.count = batch.len() as i64;
        self.blob.truncate(SUM);
        self.blob.extend_from_slice(batch.frames(0..batch.len()));
    }

    /// With one byte changed.
    pub fn flipped(&self, byte: usize) -> Row {
        let mut blob = self.blob.clone();
        blob[byte] ^= 0x01;
        Row { blob, ..*self }
    }

    pub fn bytes(&self) -> std::ops::Range<usize> {
        SUM..self.blob.len()
    }
}
