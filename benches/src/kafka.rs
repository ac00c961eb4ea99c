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
//! Before anything is measured each client does the job once, so that the broker is warm for both. All records are on the
//! topic before the clients begin. `--discard` deletes Mainstem's rows while they are written, all but the last ones, and
//! compares these alone: a long run then needs no more disk than for its records (10 GB of 100,000,000) and some GB.

mod asked;
mod clock;
mod drift;
pub mod measure;
pub mod records;
mod round;
pub mod scale;
mod turns;

use std::error::Error;
use std::path::Path;
use std::process::Command;

use mainstem_host::processor;
use mainstem_kernel::log::FetchLimit;
use mainstem_rooms::features::view_outputs;
use tracing_subscriber::filter::EnvFilter;

use crate::bed::{Bed, store};
use crate::job;
use asked::Asked;
use measure::Measured;
use round::{Bench, Row, build_streams};

/// The command of [`worker`], for a project on a bed.
pub fn command_of(
    bed: &Bed,
    project: &str,
    turn: usize,
    threads: usize,
) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["kafka-worker", bed.bootstrap()]);
    command.arg(bed.dir()).arg(project);
    command.args([turn, threads].map(|number| number.to_string()));
    Ok(command)
}

/// The groups that share the tasks of the job out.
pub fn groups_of(project: &str) -> [String; 2] {
    ["features", "profile_source"].map(|room| format!("{project}.{room}"))
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
    let classes = asked.streams.then(build_streams).transpose()?;
    let bed = Bed::start(&asked.broker_cpus)?;
    let features = view_outputs(&job::project()?.views[job::NAME]);
    let own = [(asked.threads, asked.client_cpus.as_str())];
    warm_up(&bed, &asked, &own, classes.as_deref())?;
    let mut rows = Vec::new();
    for round in 0..asked.rounds {
        let bench = Bench {
            asked: &asked,
            bed: &bed,
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
        beside(
            ["Mainstem beside Kafka Streams", "Mainstem", "Kafka Streams"],
            [&mainstem.measured, &streams.measured],
            |mainstem, streams| mainstem / streams,
        );
    }
    Ok(())
}

/// Has each client do the job once: Mainstem by as many threads on such cores as it is measured with. A broker that has just
/// begun compiles its code for as long as the first clients are at work, on the same cores that serve them.
fn warm_up(
    bed: &Bed,
    asked: &Asked,
    own: &[(usize, &str)],
    streams: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    let asked = asked.warm_up();
    for (threads, cpus) in own {
        let bench = Bench {
            asked: &asked,
            bed,
            project: format!("warm{threads}"),
        };
        bench.publish()?;
        tell_warm(&bench.mainstem(*threads, cpus)?, asked.records);
        if let Some(classes) = streams {
            tell_warm(&bench.streams(classes)?, asked.records);
        }
    }
    Ok(())
}

fn tell_warm(Row { name, measured, .. }: &Row, records: usize) {
    let rate = measured.whole / 1e3;
    println!("The broker warms up: {name}, {records} records, {rate:.0} k/s");
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
    if let Some(turn) = row.turn {
        println!("  {turn:.0} records a turn");
    }
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

/// Prints two clients' figures side by side.
fn beside(heads: [&str; 3], [a, b]: [&Measured; 2], ratio: fn(f64, f64) -> f64) {
    println!("| {} | Ratio |\n|---|---|---|---|", heads.join(" | "));
    for ((what, a, unit), (_, b, _)) in a.figures().into_iter().zip(b.figures()) {
        println!(
            "| {what} | {a:.2} {unit} | {b:.2} {unit} | {:.2} |",
            ratio(a, b)
        );
    }
}
