//! `mainstem-bench cadence`: what the interval of commits and the records of a turn cost and give, on a real broker: the
//! figures that the defaults of `--commit-interval` and `--batch` were chosen by.
//!
//! ```text
//! mainstem-bench cadence [--intervals 0,10,20,50,100,200] [--batches 1024,4096,8192,16384] [--rate 5000] [--seconds 8]
//!                        [--records 2000000] [--broker-cpus 0] [--client-cpus 1]
//! ```
//!
//! For each interval (in milliseconds) a producer that knows nothing of Mainstem sends the job's records at a constant
//! rate, and a reader of committed records notes when it sees the row of features that each of them became. For each size of
//! a turn a worker takes records that all wait already. Needs Java 17, Maven (once, for the jars) and `taskset`.

mod load;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use mainstem_host::gateway::{self, Doors};
use mainstem_host::processor;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Project;
use mainstem_schemas::topics;

use crate::bed::{Bed, Server, figure, metrics_of, schema, store};
use crate::job;
use crate::kafka::measure::{Taking, measure, processor_time};
use crate::kafka::{command_of, groups_of};
use crate::table::within;
use load::Load;

/// How long a worker may take to join.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether it has.
const STEP: Duration = Duration::from_millis(50);

/// The load's first part, which is not measured.
const WARM: Duration = Duration::from_secs(2);

/// How long the broker's compiler takes most of its core under a new load.
const COMPILES: Duration = Duration::from_secs(20);

/// Records of so long a time come before the load.
const FIRST: Duration = Duration::from_millis(500);

/// What is asked on the command line.
struct Asked {
    intervals: Vec<u64>,
    batches: Vec<usize>,
    rate: usize,
    time: Duration,
    records: usize,
    broker_cpus: String,
    client_cpus: String,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut asked = Asked {
            intervals: vec![0, 10, 20, 50, 100, 200],
            batches: vec![1_024, 4_096, 8_192, 16_384],
            rate: 5_000,
            time: Duration::from_secs(8),
            records: 2_000_000,
            broker_cpus: "0".into(),
            client_cpus: "1".into(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} wants a value"))?;
            let numbers = || value.split(',').filter(|one| !one.is_empty());
            match name.as_str() {
                "--intervals" => {
                    asked.intervals = numbers().map(str::parse).collect::<Result<_, _>>()?
                }
                "--batches" => {
                    asked.batches = numbers().map(str::parse).collect::<Result<_, _>>()?
                }
                "--rate" => asked.rate = value.parse()?,
                "--seconds" => asked.time = Duration::from_secs(value.parse()?),
                "--records" => asked.records = value.parse()?,
                "--broker-cpus" => asked.broker_cpus.clone_from(value),
                "--client-cpus" => asked.client_cpus.clone_from(value),
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(asked)
    }
}

/// The worker that is measured, until it is killed; says where its metrics are.
pub fn worker(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [bootstrap, dir, project, interval] = arguments else {
        return Err("cadence-worker BOOTSTRAP DIR PROJECT MILLISECONDS".into());
    };
    let store = store(bootstrap, Path::new(dir), project)?;
    let mut options = processor::Options::new(1, "bench".into());
    options.commit_interval = Some(Duration::from_millis(interval.parse()?));
    let doors = gateway::Options {
        doors: Doors::Health,
        metrics: options.metrics.clone(),
        ..gateway::Options::default()
    };
    let _workers = processor::start(&store, &options)?;
    let doors = gateway::start(&store, &doors)?;
    println!("{}", doors.address());
    loop {
        std::thread::park();
    }
}

pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(arguments)?;
    let bed = Bed::start(&asked.broker_cpus)?;
    if !asked.intervals.is_empty() {
        trickling(&bed, &asked, ("warm", 0), COMPILES)?;
        println!(
            "| Interval | Commits/s | Worker, CPU-s a million | Broker, CPU-s a million | p50, p99 ms |\n|---|---|---|---|---|"
        );
    }
    for interval in &asked.intervals {
        let name = format!("interval{interval}");
        println!(
            "{}",
            trickling(&bed, &asked, (&name, *interval), asked.time)?
        );
    }
    if !asked.batches.is_empty() {
        println!(
            "| Batch | Records/s | Worker, CPU-s a million | Peak memory |\n|---|---|---|---|"
        );
    }
    for batch in &asked.batches {
        println!("{}", waiting(&bed, &asked, *batch)?);
    }
    Ok(())
}

/// The job's project under a name of its own.
fn project(name: &str) -> Result<Project, Box<dyn Error>> {
    let mut project = job::project()?;
    project.name = name.into();
    Ok(project)
}

/// What the processes have done so far.
struct Sample {
    commits: f64,
    worker: f64,
    broker: f64,
}

impl Sample {
    fn take(worker: &Server, broker: u32) -> Result<Self, Box<dyn Error>> {
        Ok(Sample {
            commits: figure(
                &metrics_of(worker.address())?,
                "mainstem_commit_seconds_count",
            )?,
            worker: processor_time(worker.id())?,
            broker: processor_time(broker)?,
        })
    }
}

/// A row of an interval: records trickle in.
fn trickling(
    bed: &Bed,
    asked: &Asked,
    (name, interval): (&str, u64),
    time: Duration,
) -> Result<String, Box<dyn Error>> {
    let project = project(name)?;
    let store = bed.apply(&project)?;
    let dir = bed.dir().display().to_string();
    let told = [
        "cadence-worker",
        bed.bootstrap(),
        &dir,
        &project.name,
        &interval.to_string(),
    ];
    let worker = Server::start(&asked.client_cpus, &told)?;
    let (begun, tasks) = (Instant::now(), tasks_of(&project).len() as f64);
    while figure(&metrics_of(worker.address())?, "mainstem_tasks_owned")? < tasks {
        if begun.elapsed() > PATIENCE {
            return Err("the worker did not join".into());
        }
        std::thread::sleep(STEP);
    }
    let schema = schema(&store, &project)?;
    let topic = |room: &str| topics::of(&project.name, room, job::NAME);
    let (arrivals, features) = (topic("arrivals"), topic("features"));
    // What a worker does first takes longer: tasks are restored, and the broker hears of its transactions.
    let first = Load {
        bootstrap: bed.bootstrap(),
        partitions: project.partitions,
        rate: asked.rate,
        time: FIRST,
        after: 0,
    };
    let load = Load {
        time: WARM + time,
        after: first.records(),
        ..first
    };
    first.send(&arrivals, schema)?;
    let skipped: Vec<usize> = first
        .read(&features, vec![0; first.partitions as usize])?
        .iter()
        .map(Vec::len)
        .collect();
    let (sampled, delays) = std::thread::scope(|scope| {
        let samples = scope.spawn(|| {
            std::thread::sleep(WARM);
            let before = Sample::take(&worker, bed.broker()).map_err(|e| e.to_string())?;
            std::thread::sleep(time);
            let after = Sample::take(&worker, bed.broker()).map_err(|e| e.to_string())?;
            Ok::<_, String>((before, after))
        });
        let sender = scope.spawn(|| load.send(&arrivals, schema).map_err(|e| e.to_string()));
        let seen = load.read(&features, skipped)?;
        let sent = sender.join().map_err(|_| "the producer panicked")??;
        let samples = samples.join().map_err(|_| "a sample panicked")??;
        Ok::<_, Box<dyn Error>>((samples, load::delays(&sent, &seen, WARM)))
    })?;
    let (before, after) = sampled;
    let seconds = time.as_secs_f64();
    let millions = asked.rate as f64 * seconds / 1e6;
    Ok(format!(
        "| {interval} ms | {:.1} | {:.1} | {:.1} | {:.1}, {:.1} |",
        (after.commits - before.commits) / seconds,
        (after.worker - before.worker) / millions,
        (after.broker - before.broker) / millions,
        within(&delays, 50),
        within(&delays, 99),
    ))
}

/// A row of a size of turns: all records wait.
fn waiting(bed: &Bed, asked: &Asked, batch: usize) -> Result<String, Box<dyn Error>> {
    let project = project(&format!("batch{batch}"))?;
    let store = bed.apply(&project)?;
    bed.generate(&store, &project, asked.records)?;
    let command = command_of(bed, &project.name, batch, 1)?;
    let groups = groups_of(&project.name);
    let topic = topics::of(&project.name, "arrivals", job::NAME);
    let taking = Taking {
        bootstrap: bed.bootstrap(),
        topic: (&topic, project.partitions),
        groups: &groups.each_ref().map(String::as_str),
        records: asked.records,
    };
    let measured = measure(&taking, &asked.client_cpus, &command, &mut |_| Ok(()))?;
    Ok(format!(
        "| {batch} | {:.0} k | {:.2} | {:.0} MB |",
        measured.whole / 1e3,
        measured.cpu,
        measured.memory
    ))
}
