//! Records a second appended to the local log and read back: `cargo bench -p mainstem-log-local`.
//!
//! 200-byte records in transactions of 1, 100 and 10,000, on the disk that holds the system's temporary directory, or
//! on that of the directory in `MAINSTEM_BENCH_DIR`. It is a program and not a statistic: a flush of a shared disk
//! varies more between two minutes than between two versions.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{FetchLimit, Log, Partition, TopicSpec};
use mainstem_log_local::LocalLog;
use mainstem_schemas::Batch;

/// Long enough for some thousands of flushes.
const TIME: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let parent =
        std::env::var_os("MAINSTEM_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent)?;
    let log = LocalLog::open(dir.path())?;
    for (topic, size) in [("one", 1), ("hundred", 100), ("many", 10_000)] {
        let at = topic_of(&log, topic)?;
        let (records, took) = append(&log, &at, 0, size, TIME)?;
        let rate = records as f64 / took.as_secs_f64();
        println!(
            "append, {size:>6} a transaction: {rate:>10.0} records/s, {:>6.0} transactions/s",
            rate / size as f64
        );
        let (read, took) = read(&log, &at)?;
        println!(
            "read,   {size:>6} a transaction: {:>10.0} records/s",
            read as f64 / took.as_secs_f64()
        );
    }
    for callers in [1, 16, 64] {
        let at = topic_of(&log, &format!("callers{callers}"))?;
        let start = Instant::now();
        let total: usize = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..callers)
                .map(|n| {
                    let (log, at) = (&log, &at);
                    scope.spawn(move || {
                        append(log, at, n, 1, TIME).map_or(0, |(records, _)| records)
                    })
                })
                .collect();
            callers
                .into_iter()
                .map(|caller| caller.join().unwrap_or(0))
                .sum()
        });
        let rate = total as f64 / start.elapsed().as_secs_f64();
        println!("append, {callers:>6} callers:       {rate:>10.0} transactions/s");
    }
    wake_up(&log)
}

fn topic_of(log: &LocalLog, name: &str) -> Result<Partition, Box<dyn Error>> {
    let name = format!("bench.{name}");
    let topic = TopicSpec {
        name: name.clone(),
        partitions: 1,
    };
    log.create_topics(&[topic])?;
    Ok(Partition::new(&name, 0))
}

/// Appends transactions of `size` records for a while, as writer number `caller`.
fn append(
    log: &LocalLog,
    at: &Partition,
    caller: usize,
    size: usize,
    time: Duration,
) -> Result<(usize, Duration), String> {
    let mut batch = Batch::new();
    for _ in 0..size {
        batch.push(Some(&[7; 16]), Some(&[7; 174]), []); // 200 bytes with lengths.
    }
    let name = format!("writer{caller}");
    let mut writer = log.writer(&name).map_err(|error| error.to_string())?;
    let records = [(at.clone(), batch)];
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        writer.append(&records).map_err(|error| error.to_string())?;
        count += size;
    }
    Ok((count, start.elapsed()))
}

fn read(log: &LocalLog, at: &Partition) -> Result<(usize, Duration), Box<dyn Error>> {
    let mut reader = log.reader()?;
    let (mut batch, mut next, mut count) = (Batch::new(), 0, 0);
    let start = Instant::now();
    loop {
        batch.clear();
        reader.fetch(at, next, FetchLimit::default(), &mut batch)?;
        let Some(last) = batch.offsets().last() else {
            return Ok((count, start.elapsed()));
        };
        next = last + 1;
        count += batch.len();
    }
}

/// From just before an append to its record in the hands of a waiting thread of this process.
fn wake_up(log: &LocalLog) -> Result<(), Box<dyn Error>> {
    let at = topic_of(log, "wake")?;
    let (rounds, from) = (500, at.clone());
    let (send, sent) = std::sync::mpsc::channel();
    let mut waits: Vec<Duration> = std::thread::scope(|scope| {
        let tail = scope.spawn(move || -> Result<Vec<Duration>, String> {
            let mut reader = log.reader().map_err(|error| error.to_string())?;
            let (mut got, mut waits) = (Batch::new(), Vec::new());
            while waits.len() < rounds {
                let seen = log.seen();
                let next = waits.len() as u64;
                got.clear();
                reader
                    .fetch(&from, next, FetchLimit::default(), &mut got)
                    .map_err(|error| error.to_string())?;
                if got.is_empty() {
                    log.wait(seen, Duration::from_secs(1));
                }
                let now = Instant::now();
                for _ in 0..got.len() {
                    let start: Instant = sent.recv().map_err(|error| error.to_string())?;
                    waits.push(now.duration_since(start));
                }
            }
            Ok(waits)
        });
        let mut writer = log.writer("wake").map_err(|error| error.to_string())?;
        let mut batch = Batch::new();
        batch.push(None, Some(&[7; 190]), []);
        let records = [(at.clone(), batch)];
        for _ in 0..rounds {
            send.send(Instant::now())
                .map_err(|error| error.to_string())?;
            writer.append(&records).map_err(|error| error.to_string())?;
            std::thread::sleep(Duration::from_millis(1));
        }
        tail.join()
            .unwrap_or_else(|_| Err("the reader ended".into()))
    })?;
    waits.sort();
    println!(
        "append to fetch, another thread: p50 {:?}, p99 {:?}",
        waits[rounds / 2],
        waits[rounds * 99 / 100]
    );
    Ok(())
}
