//! `mainstem-bench kafka`: the job by Mainstem and by Kafka Streams, on one broker, one topic and one core, in one run.
//!
//! ```text
//! mainstem-bench kafka [--records 10000000] [--rounds 1] [--turn RECORDS] [--threads 1] [--tick 1000000] [--discard]
//!     [--without-streams] [--broker-cpus 0] [--client-cpus 1]
//! ```
//!
//! Needs Java 17, Maven (once, for the jars) and `taskset`. The job's other half is PSI of the source's eight columns.
//! Kafka Streams measures it of every 50,000 records of a partition. Mainstem's windows are of event time, 200 s, in which
//! a partition has 50,000 records too, more or less; it merges the partitions' counts and measures the whole. It closes
//! windows on a tick of the clock. A tick comes as soon as everything before its event time is taken, every `--tick`
//! records, so that closing windows, writing them down and measuring them is in the figures, but for the last tick's.
//!
//! What a client took is said of each tenth of the run, too, the first with its start: a long run is flat or it is not.
//! All records are on the topic before the clients begin. `--discard` deletes Mainstem's rows while they are written, all
//! but the last ones, and compares these alone: a long run then needs no more disk than for its records (10 GB of
//! 100,000,000) and some GB.

mod asked;
pub mod broker;
mod clock;
mod drift;
pub mod measure;
pub mod records;
mod round;
pub mod scale;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use mainstem_host::blobs::DirBlobs;
use mainstem_host::store::Place;
use mainstem_host::{Store, processor};
use mainstem_kernel::log::FetchLimit;
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_rooms::features::view_outputs;
use tracing_subscriber::filter::EnvFilter;

use crate::job;
use asked::Asked;
use measure::Measured;
use round::{Bench, Row, build_streams};

/// The log and the blobs of a project.
pub fn store(bootstrap: &str, dir: &Path, project: &str) -> Result<Store, Box<dyn Error>> {
    Ok(Store {
        place: Place::kafka(bootstrap, project),
        log: Arc::new(KafkaLog::connect(Options::new(bootstrap, project))?),
        blobs: Arc::new(DirBlobs::open(&dir.join("blobs"))?),
    })
}

/// The client that is measured: an ordinary processor, until it is killed. It says on standard error which tasks each of
/// its threads has.
pub fn worker(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [bootstrap, dir, project, turn, threads] = arguments else {
        return Err("kafka-worker BOOTSTRAP DIR PROJECT TURN THREADS".into());
    };
    let told = EnvFilter::new("warn,mainstem_host::processor=info");
    let told = tracing_subscriber::fmt().with_env_filter(told);
    told.with_ansi(false).with_writer(std::io::stderr).init();
    let mut options = processor::Options::new(threads.parse()?, "bench".into());
    let store = store(bootstrap, Path::new(dir), project)?;
    let turn = FetchLimit {
        records: turn.parse()?,
        bytes: 16 << 20,
    };
    if turn.records > 0 {
        options.turn = turn;
    }
    let handle = processor::start(&store, &options)?;
    while handle.is_alive() {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    Err("the worker ended".into())
}

pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(arguments, ["0", "1"])?;
    let dir = tempfile::tempdir()?;
    let libs = mainstem_test_broker::fetch_jars()?;
    let classes = asked.streams.then(build_streams).transpose()?;
    let broker = broker::start(&libs, dir.path(), &asked.broker_cpus)?;
    let features = view_outputs(&job::project()?.views[job::NAME]);
    let mut rows = Vec::new();
    for round in 0..asked.rounds {
        let bench = Bench {
            asked: &asked,
            bootstrap: &broker.bootstrap,
            dir: dir.path(),
            project: format!("bench{round}"),
        };
        bench.publish()?;
        let row = bench.mainstem(asked.threads, &asked.client_cpus)?;
        tell(&row, asked.records, &features);
        check_drift(&bench)?;
        rows.push(row);
        if let Some(classes) = &classes {
            let row = bench.streams(classes)?;
            tell(&row, asked.records, &features);
            rows.push(row);
        }
    }
    if let [mainstem, streams] = &rows[rows.len().saturating_sub(2)..]
        && asked.streams
    {
        ratios(&mainstem.measured, &streams.measured);
    }
    Ok(())
}

/// Compares the windows of a round's Mainstem with the plain computation.
fn check_drift(bench: &Bench<'_>) -> Result<(), Box<dyn Error>> {
    let (store, records) = (bench.store()?, bench.asked.records);
    let (columns, largest) = drift::compare(&store, &bench.project, records)?;
    println!(
        "  PSI of {columns} columns of windows; beside the plain computation: {largest:.1e} at most"
    );
    Ok(())
}

fn tell(row: &Row, records: usize, features: &[String]) {
    let (m, c) = (&row.measured, &row.compared);
    println!(
        "{}: {} records, {:.0} k/s ({:.0} k/s in the second half), {:.2} CPU-s a million ({:.2}), {:.0} MB",
        row.name,
        records,
        m.whole / 1e3,
        m.half / 1e3,
        m.cpu,
        m.half_cpu,
        m.memory
    );
    println!("  | Up to | Records | CPU of a million | Memory |\n  |---|---|---|---|");
    for tenth in &m.tenths {
        println!(
            "  | {} | {:.0} k/s | {:.2} s | {:.0} MB |",
            tenth.until,
            tenth.rate / 1e3,
            tenth.cpu,
            tenth.memory
        );
    }
    match c.rows == records {
        true => println!("  {} rows; beside the plain computation:", c.rows),
        false => println!("  the last {} rows, beside the plain computation:", c.rows),
    }
    for (at, feature) in features.iter().enumerate() {
        let (equal, largest) = (c.equal[at], c.largest[at]);
        match equal == c.rows {
            true => println!("  {feature}: equal bit for bit"),
            false => {
                println!("  {feature}: {equal} equal bit for bit, the others by {largest:.1e}")
            }
        }
    }
}

fn ratios(mainstem: &Measured, streams: &Measured) {
    println!(
        "| Mainstem beside Kafka Streams | Mainstem | Kafka Streams | Ratio |\n|---|---|---|---|"
    );
    let row = |what: &str, a: f64, b: f64, unit: &str, ratio: f64| {
        println!("| {what} | {a:.2} {unit} | {b:.2} {unit} | {ratio:.2} |");
    };
    let (a, b) = (mainstem, streams);
    row(
        "records, whole run",
        a.whole / 1e3,
        b.whole / 1e3,
        "k/s",
        a.whole / b.whole,
    );
    row(
        "records, second half",
        a.half / 1e3,
        b.half / 1e3,
        "k/s",
        a.half / b.half,
    );
    row(
        "processor time a million, whole run",
        a.cpu,
        b.cpu,
        "s",
        a.cpu / b.cpu,
    );
    row(
        "processor time a million, second half",
        a.half_cpu,
        b.half_cpu,
        "s",
        a.half_cpu / b.half_cpu,
    );
    row("peak memory", a.memory, b.memory, "MB", a.memory / b.memory);
}
