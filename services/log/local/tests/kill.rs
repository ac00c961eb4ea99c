//! Processes that are killed while they append and commit: what they were told is written is there, once and whole.
//!
//! The children are this binary again, with `child` as the only test and the part to play in the environment. They tell
//! on standard output what the log acknowledged; the parent kills them at random times and looks at the log.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{Commit, FetchLimit, Log, Partition, TopicSpec};
use mainstem_kernel::task::{TaskId, TaskSpec};
use mainstem_log_local::LocalLog;
use mainstem_schemas::events::Turn;
use mainstem_schemas::{Batch, Digest};

const PART: &str = "MAINSTEM_TEST_PART";
const DIR: &str = "MAINSTEM_TEST_DIR";
const NUMBER: &str = "MAINSTEM_TEST_NUMBER";

const WRITERS: u32 = 3;
const TASKS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays a part where the parent asks for it; nothing otherwise.
#[test]
fn child() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    let number: u32 = std::env::var(NUMBER).unwrap().parse().unwrap();
    match part.as_str() {
        "writer" => append_for_ever(&dir, number),
        "worker" => commit_for_ever(&dir, number),
        "slow writer" => append_slowly(&dir),
        other => panic!("no part is named {other}"),
    }
}

/// A child, the lines that it tells, and the first of them.
struct Killed {
    child: Child,
    told: Receiver<String>,
    reading: JoinHandle<()>,
}

impl Killed {
    fn start(part: &str, dir: &Path, number: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(PART, part)
            .env(DIR, dir)
            .env(NUMBER, number.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = channel();
        let reading = std::thread::spawn(move || {
            let mut line = String::new();
            while out.read_line(&mut line).unwrap() > 0 {
                // The test harness writes on the same output; a line without its end was not told.
                if let Some((_, told)) = line.trim_end_matches('\n').split_once("told ")
                    && line.ends_with('\n')
                {
                    let _ = tell.send(told.to_owned());
                }
                line.clear();
            }
        });
        Killed {
            child,
            told,
            reading,
        }
    }

    /// Kills it and gives what it told.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            status.code(),
            None,
            "it was killed, and did not end by itself"
        );
        self.reading.join().unwrap();
        self.told.try_iter().collect()
    }
}

fn tell(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "told {line}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// Kill times: xorshift, so that a failure can be had again (as far as a schedule can).
struct Seeded(u64);

impl Seeded {
    fn millis(&mut self, below: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % (below * 1_000))
    }
}

fn topics(log: &LocalLog) {
    let topic = |name: &str, partitions| TopicSpec {
        name: name.into(),
        partitions,
    };
    log.create_topics(&[
        topic("own", WRITERS),
        topic("shared", 1),
        topic("large", WRITERS),
        topic("out", TASKS),
    ])
    .unwrap();
}

fn read(log: &LocalLog, at: &Partition) -> Vec<String> {
    let mut reader = log.reader().unwrap();
    let (mut all, mut next) = (Batch::new(), 0);
    loop {
        let before = all.len();
        reader
            .fetch(at, next, FetchLimit::default(), &mut all)
            .unwrap();
        if all.len() == before {
            break;
        }
        assert!(all.offsets()[before..].is_sorted_by(|a, b| a + 1 == *b));
        next = all.offsets()[all.len() - 1] + 1;
    }
    let text = |value: Option<&[u8]>| {
        let value = value.unwrap();
        String::from_utf8_lossy(&value[..value.len().min(20)]).into_owned()
    };
    all.iter().map(|record| text(record.value)).collect()
}

fn batch(values: impl IntoIterator<Item = String>) -> Batch {
    let mut batch = Batch::new();
    for value in values {
        batch.push(None, Some(value.as_bytes()), []);
    }
    batch
}

/// Append number `n` of a writer: one record of its own, three in a partition that all share, and now and then enough to
/// need several rows and to spill out of SQLite's cache before the commit.
fn append_of(writer: u32, n: usize) -> Vec<(Partition, Batch)> {
    let large = if n % 10 == 7 { 300 } else { 0 };
    let large = (0..large).map(|_| format!("{n:020}{}", "x".repeat(10_000)));
    vec![
        (Partition::new("own", writer), batch([n.to_string()])),
        (
            Partition::new("shared", 0),
            batch((0..3).map(|m| format!("{writer} {n} {m}"))),
        ),
        (Partition::new("large", writer), batch(large)),
    ]
}

fn append_for_ever(dir: &Path, number: u32) {
    let log = LocalLog::open(dir).unwrap();
    let mut writer = log.writer(&format!("writer{number}")).unwrap();
    let reader = log.reader().unwrap().range(&Partition::new("own", number));
    for n in reader.unwrap().end as usize.. {
        writer.append(&append_of(number, n)).unwrap();
        tell(format_args!("{n}"));
    }
}

/// Whether the log holds `counts` whole appends of each writer, once and in order.
fn check(log: &LocalLog) -> Result<Vec<usize>, String> {
    let mut counts = Vec::new();
    for writer in 0..WRITERS {
        let own = read(log, &Partition::new("own", writer));
        let want: Vec<String> = (0..own.len()).map(|n| n.to_string()).collect();
        if own != want {
            return Err(format!("writer {writer} has {own:?}"));
        }
        let large: Vec<String> = (0..own.len())
            .filter(|n| n % 10 == 7)
            .flat_map(|n| vec![format!("{n:020}"); 300])
            .collect();
        if read(log, &Partition::new("large", writer)) != large {
            return Err(format!(
                "the large records of writer {writer} are not whole"
            ));
        }
        counts.push(own.len());
    }
    let shared = read(log, &Partition::new("shared", 0));
    let mut next = vec![0; WRITERS as usize];
    for three in shared.chunks(3) {
        let writer: usize = three[0]
            .split(' ')
            .next()
            .unwrap_or("")
            .parse()
            .unwrap_or(0);
        let n = next[writer];
        next[writer] += 1;
        let want: Vec<String> = (0..3).map(|m| format!("{writer} {n} {m}")).collect();
        if three != want {
            return Err(format!("{three:?} instead of {want:?}"));
        }
    }
    if next != counts {
        return Err(format!(
            "{counts:?} appends, and {next:?} in the shared partition"
        ));
    }
    Ok(counts)
}

#[test]
fn killed_writers_lose_nothing_and_leave_nothing_torn() {
    let dir = tempfile::tempdir().unwrap();
    topics(&LocalLog::open(dir.path()).unwrap());
    let mut seeded = Seeded(0x9e37_79b9_7f4a_7c15);
    let mut told = vec![0; WRITERS as usize];
    for _ in 0..12 {
        let children: Vec<Killed> = (0..WRITERS)
            .map(|number| Killed::start("writer", dir.path(), number))
            .collect();
        for (number, child) in children.into_iter().enumerate() {
            let first = child.told.recv_timeout(PATIENCE).unwrap();
            assert!(first.parse::<usize>().unwrap() >= told[number]);
            std::thread::sleep(seeded.millis(100));
            let last = child.kill().pop().unwrap_or(first);
            told[number] = last.parse::<usize>().unwrap() + 1;
        }
        let log = LocalLog::open(dir.path()).unwrap();
        let found = check(&log).unwrap();
        for (found, told) in found.iter().zip(&told) {
            assert!(
                found >= told,
                "{found} of {told} acknowledged appends are there"
            );
        }
    }
    println!(
        "36 kills, {} acknowledged appends",
        told.iter().sum::<usize>()
    );
    assert!(told.iter().sum::<usize>() > 100);

    // Had the log committed an append in two steps, a kill in between would be found.
    let log = LocalLog::open(dir.path()).unwrap();
    let half = append_of(0, read(&log, &Partition::new("own", 0)).len());
    let mut writer = log.writer("writer0").unwrap();
    writer.append(&half[..1]).unwrap();
    assert!(check(&log).is_err());
    writer.append(&half[1..]).unwrap();
    check(&log).unwrap();
}

fn specs() -> Vec<TaskSpec> {
    let spec = |n| TaskSpec {
        id: TaskId(format!("room/task/{n}")),
        project: "project".into(),
        lead: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    (0..TASKS).map(spec).collect()
}

fn commit_of(task: &TaskSpec, index: u32, number: i64, worker: u32) -> Commit {
    let turn = Turn {
        task: task.id.0.clone(),
        number,
        machine_version: 1,
        definition: Digest::default(),
        runs: Vec::new(),
        positions: Vec::new(),
        outputs: Vec::new(),
        outstanding: 0,
        previous: Digest::default(),
        hash: Digest::default(),
    };
    Commit {
        task: task.id.clone(),
        turn: Some(turn),
        outputs: vec![(
            Partition::new("out", index),
            batch([format!("{number} {worker}")]),
        )],
    }
}

fn commit_for_ever(dir: &Path, number: u32) {
    let log = LocalLog::open(dir).unwrap();
    let mut worker = log.worker(&format!("worker{number}")).unwrap();
    let tasks = specs();
    let mut last: BTreeMap<TaskId, i64> = BTreeMap::new();
    loop {
        let change = worker.assign(&tasks).unwrap();
        for task in change.lost {
            last.remove(&task).unwrap();
        }
        for task in change.gained {
            let turn = log.last_turn(&task).unwrap();
            last.insert(task, turn.map_or(0, |turn| turn.number));
        }
        let mut commits = Vec::new();
        for (index, task) in (0..).zip(&tasks) {
            if let Some(last) = last.get_mut(&task.id) {
                *last += 1;
                commits.push(commit_of(task, index, *last, number));
            }
        }
        // A worker that lives is never fenced here: a refusal would mean that two have owned a task.
        worker.commit(&commits).unwrap();
        for (index, task) in tasks.iter().enumerate() {
            if let Some(last) = last.get(&task.id) {
                tell(format_args!("{index} {last}"));
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

#[test]
fn killed_workers_hand_their_tasks_on() {
    let dir = tempfile::tempdir().unwrap();
    topics(&LocalLog::open(dir.path()).unwrap());
    let mut seeded = Seeded(0x2545_f491_4f6c_dd1d);
    let mut told: BTreeMap<usize, i64> = BTreeMap::new();
    let mut keep = |lines: Vec<String>| {
        for line in lines {
            let (index, number) = line.split_once(' ').unwrap();
            let last = told.entry(index.parse().unwrap()).or_default();
            *last = number.parse::<i64>().unwrap().max(*last);
        }
    };
    for _ in 0..11 {
        let mut children: Vec<Killed> = (0..3)
            .map(|number| Killed::start("worker", dir.path(), number))
            .collect();
        let survivor = children.remove(seeded.0 as usize % 3);
        for child in children {
            keep(vec![child.told.recv_timeout(PATIENCE).unwrap()]);
            std::thread::sleep(seeded.millis(60));
            keep(child.kill());
        }
        // The one that is left comes to own all tasks.
        keep(survivor.told.try_iter().collect());
        let mut seen = std::collections::BTreeSet::new();
        let start = Instant::now();
        while seen.len() < TASKS as usize {
            assert!(start.elapsed() < PATIENCE, "only {seen:?} go on");
            let line = survivor.told.recv_timeout(PATIENCE).unwrap();
            seen.insert(line.split(' ').next().unwrap().to_owned());
            keep(vec![line]);
        }
        std::thread::sleep(seeded.millis(20));
        keep(survivor.kill());
        let log = LocalLog::open(dir.path()).unwrap();
        for (index, task) in (0..).zip(&specs()) {
            let out = read(&log, &Partition::new("out", index));
            let last = log.last_turn(&task.id).unwrap().unwrap().number;
            let numbers = out
                .iter()
                .map(|value| value.split(' ').next().unwrap().parse());
            let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().unwrap();
            assert!(
                numbers.iter().copied().eq(1..=last),
                "turns follow each other"
            );
        }
    }
    let log = LocalLog::open(dir.path()).unwrap();
    for (index, told) in told {
        let last = log.last_turn(&specs()[index].id).unwrap().unwrap().number;
        assert!(
            last >= told,
            "turn {told} was acknowledged, {last} is the last"
        );
        println!("task {index}: {last} turns, {told} acknowledged last");
    }
}

fn append_slowly(dir: &Path) {
    let log = LocalLog::open(dir).unwrap();
    let mut writer = log.writer("writer0").unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(20));
        writer
            .append(&[(Partition::new("own", 0), batch(["x".to_owned()]))])
            .unwrap();
        tell(format_args!("x"));
    }
}

#[test]
fn a_wait_sees_another_process_commit() {
    let dir = tempfile::tempdir().unwrap();
    let log = LocalLog::open(dir.path()).unwrap();
    topics(&log);
    let child = Killed::start("slow writer", dir.path(), 0);
    let mut reader = log.reader().unwrap();
    let mut got = Batch::new();
    while got.len() < 25 {
        let seen = log.seen();
        let before = got.len();
        reader
            .fetch(
                &Partition::new("own", 0),
                before as u64,
                FetchLimit::default(),
                &mut got,
            )
            .unwrap();
        if got.len() == before {
            let start = Instant::now();
            assert!(log.wait(seen, PATIENCE));
            assert!(start.elapsed() < PATIENCE / 2);
        }
    }
    child.kill();
}
