//! `mainstem-bench restore`: how long a task takes to stand again after its last turn, on a real broker, with a million
//! records or more since its last snapshot.
//!
//! ```text
//! mainstem-bench restore [--rounds 3] [--broker-cpus 0]
//! ```
//!
//! The task computes the job's ten features on one partition. A worker takes just under two million records and stops; then others
//! begin, one after the other, and their metrics tell how long the restore took and what was folded again.

use std::error::Error;
use std::time::{Duration, Instant};

use mainstem_host::gateway::{self, Doors};
use mainstem_host::metrics::Metrics;
use mainstem_host::{Store, processor};
use mainstem_kernel::TaskId;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::topics;

use crate::bed::{Bed, figure, metrics_of};
use crate::job;

/// Name of the project.
const PROJECT: &str = "restored";

/// The task.
const TASK: &str = "features/job/0";

/// Records of a turn, or a few more: so many less than two millions, and there is no second snapshot.
const TURN: u64 = 25_000;

/// How long a worker may take for all.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked at.
const STEP: Duration = Duration::from_millis(10);

/// What is asked on the command line.
struct Asked {
    rounds: usize,
    broker_cpus: String,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut asked = Asked {
            rounds: 3,
            broker_cpus: "0".into(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} wants a value"))?;
            match name.as_str() {
                "--rounds" => asked.rounds = value.parse()?,
                "--broker-cpus" => asked.broker_cpus.clone_from(value),
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(asked)
    }
}

pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(arguments)?;
    let bed = Bed::start(&asked.broker_cpus)?;
    let mut project = job::project()?;
    (project.name, project.partitions) = (PROJECT.into(), 1);
    project.monitors.clear();
    let store = bed.apply(&project)?;
    let records = 2 * SnapshotEvery::default().records - TURN;
    bed.generate(&store, &project, records as usize)?;
    let topic = topics::of(PROJECT, "arrivals", job::NAME);
    work(&store, &topic, records)?;
    for _ in 0..asked.rounds {
        restore(&store, tasks_of(&project).len())?;
    }
    Ok(())
}

/// Has a worker take all records.
fn work(store: &Store, topic: &str, records: u64) -> Result<(), Box<dyn Error>> {
    let handle = processor::start(store, &processor::Options::new(1, "first".into()))?;
    let (begun, task) = (Instant::now(), TaskId(TASK.into()));
    loop {
        let turn = store.log.last_turn(&task)?;
        let positions = turn.into_iter().flat_map(|turn| turn.positions);
        let mut of_topic = positions.filter(|position| position.topic == topic);
        if of_topic.any(|position| position.next.unsigned_abs() >= records) {
            break;
        }
        if begun.elapsed() > PATIENCE || !handle.is_alive() {
            return Err("the first worker did not take all records".into());
        }
        std::thread::sleep(STEP);
    }
    handle.stop();
    Ok(())
}

/// Has another worker restore the task, with the few others that there are, and tells what its metrics say.
fn restore(store: &Store, tasks: usize) -> Result<(), Box<dyn Error>> {
    let metrics = Metrics::default();
    let page = gateway::Options {
        doors: Doors::Health,
        metrics: metrics.clone(),
        ..gateway::Options::default()
    };
    let page = gateway::start(store, &page)?;
    let mut options = processor::Options::new(1, "second".into());
    options.metrics = metrics;
    let begun = Instant::now();
    let handle = processor::start(store, &options)?;
    let mut since = None;
    let text = loop {
        let text = metrics_of(page.address())?;
        let restored = figure(&text, "mainstem_restore_seconds_count")?;
        let restoring = figure(&text, "mainstem_tasks_restoring")?;
        if restored + restoring > 0.0 {
            since.get_or_insert_with(Instant::now);
        }
        if restoring == 0.0 && restored >= tasks as f64 {
            break text;
        }
        if begun.elapsed() > PATIENCE || !handle.is_alive() {
            return Err("the task was not restored".into());
        }
        std::thread::sleep(STEP);
    };
    let whole = begun.elapsed().as_secs_f64();
    let seconds = since.unwrap_or(begun).elapsed().as_secs_f64();
    handle.stop();
    page.stop();
    let records = figure(&text, "mainstem_restore_records_total")?;
    let turns = figure(&text, "mainstem_restore_turns_total")?;
    println!(
        "restored {tasks} tasks, {TASK} among them, in {seconds:.2} s: {records} records of {turns} turns since their snapshots, {:.0} k/s; \
         {whole:.2} s from the start of the worker",
        records / seconds / 1e3
    );
    Ok(())
}
