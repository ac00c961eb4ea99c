//! The embedded log, beside a plain file: the same bytes appended and flushed as often, and read back.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstem_kernel::log::{FetchLimit, Log, Partition, TopicSpec};
use mainstem_log_local::LocalLog;
use mainstem_schemas::Batch;

use crate::table::{ROUNDS, Table, median, timed};

/// How long each appends in a round: some thousand flushes.
const TIME: Duration = Duration::from_millis(1_500);
/// Bytes of a record, with its lengths.
const RECORD: usize = 200;
/// Records that are read back.
const READ: usize = 1_000_000;

pub fn run(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let parent =
        std::env::var_os("MAINSTEM_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent)?;
    let log = LocalLog::open(&dir.path().join("log"))?;
    for size in [1, 100, 10_000] {
        let (mut ours, mut files) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            ours.push(append(&log, &format!("{size}.{round}"), size)?);
            files.push(append_to_file(&dir.path().join("file"), size)?);
        }
        let rate = |times| size as f64 / median(times).as_secs_f64();
        let what = format!("embedded log: append, transactions of {size}, {RECORD}-byte records");
        table.rates(
            &what,
            rate(ours),
            "a file, written and flushed alike",
            rate(files),
        );
    }
    read(table, &log, dir.path())
}

fn batch(records: usize) -> Batch {
    let mut batch = Batch::new();
    (0..records).for_each(|_| batch.push(Some(&[7; 16]), Some(&[7; RECORD - 26]), []));
    batch
}

fn topic(log: &LocalLog, name: &str) -> Result<Partition, Box<dyn Error>> {
    let name = format!("bench.{name}");
    log.create_topics(&[TopicSpec {
        name: name.clone(),
        partitions: 1,
    }])?;
    Ok(Partition::new(&name, 0))
}

/// Time of a transaction.
fn append(log: &LocalLog, name: &str, size: usize) -> Result<Duration, Box<dyn Error>> {
    let records = [(topic(log, name)?, batch(size))];
    let mut writer = log.writer("bench")?;
    repeat(|| Ok(writer.append(&records)?))
}

fn append_to_file(path: &Path, size: usize) -> Result<Duration, Box<dyn Error>> {
    let (mut file, bytes) = (File::create(path)?, vec![7; size * RECORD]);
    repeat(|| {
        file.write_all(&bytes)?;
        Ok(file.sync_data()?)
    })
}

fn repeat(
    mut step: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < TIME {
        step()?;
        count += 1;
    }
    Ok(start.elapsed() / count)
}

fn read(table: &mut Table, log: &LocalLog, dir: &Path) -> Result<(), Box<dyn Error>> {
    let at = topic(log, "read")?;
    let records = [(at.clone(), batch(10_000))];
    let (mut writer, path) = (log.writer("bench")?, dir.join("read"));
    (0..READ / 10_000).try_for_each(|_| writer.append(&records))?;
    std::fs::write(&path, vec![7; READ * RECORD])?;
    let (mut ours, mut files) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (read, took) = timed(|| read_log(log, &at));
        if read? != READ {
            return Err("the log gave other records than were appended".into());
        }
        ours.push(took);
        let (read, took) = timed(|| read_file(&path));
        read?;
        files.push(took);
    }
    let rate = |times| READ as f64 / median(times).as_secs_f64();
    let what = format!("embedded log: read, {RECORD}-byte records");
    table.rates(&what, rate(ours), "a file of the same bytes", rate(files));
    Ok(())
}

fn read_log(log: &LocalLog, at: &Partition) -> Result<usize, Box<dyn Error>> {
    let (mut reader, mut batch, mut next, mut count) = (log.reader()?, Batch::new(), 0, 0);
    loop {
        batch.clear();
        reader.fetch(at, next, FetchLimit::default(), &mut batch)?;
        let Some(last) = batch.offsets().last() else {
            return Ok(count);
        };
        next = last + 1;
        count += batch.len();
    }
}

fn read_file(path: &Path) -> Result<usize, Box<dyn Error>> {
    let (mut file, mut buffer, mut count) = (File::open(path)?, vec![0; 4 << 20], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(count),
            read => count += read,
        }
    }
}
