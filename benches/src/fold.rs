//! What the kernel costs over a bare fold, and how many records a second features and drift take on one core.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_host::Store;
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::FetchLimit;
use mainstem_kernel::pace::Pacer;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::task::rank;
use mainstem_kernel::worker::{Crew, Inert, Parts, for_each};
use mainstem_kernel::{Known, Outbox, Partition, Run, TaskSpec};
use mainstem_rooms::drift::ReferenceProfile;
use mainstem_rooms::machines::machine;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::{Project, digest_of};
use mainstem_schemas::events::{DeploymentStarted, Event, Role};
use mainstem_schemas::{Batch, Digest, Envelope, EventId, Millis, wire};

use crate::market::{self, BEGIN, EVERY, RECORDS, WINDOW};
use crate::table::{ROUNDS, Table, median, timed};

/// Rows that the reference is made of.
const REFERENCE: usize = 10_000;

pub fn run(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let project = market::project()?;
    let (mut bare, mut kernel, mut drift) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        let store = market::store(dir.path(), &project, BEGIN)?;
        market::publish(&store, &project, 0, RECORDS)?;
        bare.push(bare_fold(&store, &project, "market", RECORDS)?);
        kernel.push(in_the_kernel(&store, &project, "market", RECORDS)?);
        drift.push(features_and_drift(&store, &project)?);
    }
    let rate = |times| RECORDS as f64 / median(times).as_secs_f64();
    let (bare, kernel, drift) = (rate(bare), rate(kernel), rate(drift));
    table.rates(
        "features, 12 of them, as a task of the kernel, records",
        kernel,
        "the bare fold",
        bare,
    );
    let overhead = 1e9 / kernel - 1e9 / bare;
    table.words(
        "the kernel's share of a record",
        &format!("{overhead:.0} ns"),
        "fetch, digests, turn, commit",
        "",
    );
    table.rates(
        "features and drift (profiles, PSI and KS of 12 features), one core, records",
        drift,
        "features alone",
        kernel,
    );
    Ok(())
}

fn spec(project: &Project, id: &str) -> Result<TaskSpec, String> {
    let mut tasks = tasks_of(project).into_iter();
    tasks
        .find(|task| task.id.0 == id)
        .ok_or_else(|| format!("no task {id}"))
}

/// All runs of a partition, as the log hands them out.
fn runs(store: &Store, partition: &Partition) -> Result<Vec<Batch>, Box<dyn Error>> {
    let mut reader = store.log.reader()?;
    let (mut runs, mut from) = (Vec::new(), reader.range(partition)?.start);
    loop {
        let mut batch = Batch::new();
        reader.fetch(partition, from, FetchLimit::default(), &mut batch)?;
        let Some(last) = batch.offsets().last() else {
            return Ok(runs);
        };
        from = last + 1;
        runs.push(batch);
    }
}

/// Folds without a log: no positions, no digests, no turns.
pub fn bare_fold(
    store: &Store,
    project: &Project,
    view: &str,
    records: usize,
) -> Result<Duration, Box<dyn Error>> {
    let spec = spec(project, &format!("features/{view}/0"))?;
    let mut task = machine(&spec).ok_or("no machine")?;
    let (mut known, mut out) = (Known::default(), Outbox::new(&spec.outputs));
    let inputs = spec
        .partitions()
        .iter()
        .map(|at| runs(store, at))
        .collect::<Result<Vec<_>, _>>()?;
    let mut fold = |ranks: std::ops::Range<usize>| -> Result<usize, String> {
        let mut wrote = 0;
        for (input, runs) in inputs.iter().enumerate().take(ranks.end).skip(ranks.start) {
            for batch in runs {
                let run = Run::new(input, batch);
                known.learn(&task.needs(&known, Some(&run)), &Nothing)?;
                task.fold(&known, &run, &mut out);
                let outputs = out.take().map_err(|fault| fault.to_string())?;
                wrote += outputs.iter().map(|(_, batch)| batch.len()).sum::<usize>();
            }
        }
        Ok(wrote)
    };
    fold(0..rank::FIRST)?;
    let (wrote, took) = timed(|| fold(rank::FIRST..inputs.len()));
    expect(wrote?, records)?;
    Ok(took)
}

fn expect(wrote: usize, records: usize) -> Result<(), String> {
    (wrote == records)
        .then_some(())
        .ok_or_else(|| format!("{wrote} rows of {records} records"))
}

fn crew(store: &Store) -> Result<Crew<Inert>, Box<dyn Error>> {
    let parts = Parts {
        log: Arc::clone(&store.log),
        resolver: Arc::new(StoreResolver::new(store.blobs.clone())),
        blobs: store.blobs.clone(),
        factory: Arc::new(machine),
        limit: FetchLimit::default(),
        snapshots: SnapshotEvery::default(),
    };
    Ok(Crew::join(parts, "bench", Inert)?)
}

/// Steps until nothing is left to do.
fn exhaust(crew: &mut Crew<Inert>, tasks: &[TaskSpec]) -> Result<(), Box<dyn Error>> {
    loop {
        let progress = crew.step(tasks)?;
        if let Some(error) = progress.stopped.first() {
            return Err(error.to_string().into());
        }
        if progress.commits == 0 && progress.restored == 0 {
            return Ok(());
        }
    }
}

/// Folds by turns of the kernel, on the log in memory.
pub fn in_the_kernel(
    store: &Store,
    project: &Project,
    view: &str,
    records: usize,
) -> Result<Duration, Box<dyn Error>> {
    let tasks = [spec(project, &format!("features/{view}/0"))?];
    let mut crew = crew(store)?;
    let (done, took) = timed(|| exhaust(&mut crew, &tasks));
    done?;
    expect(count(store, &format!("bench.features.{view}"))?, records)?;
    Ok(took)
}

fn count(store: &Store, topic: &str) -> Result<usize, Box<dyn Error>> {
    let range = store.log.reader()?.range(&Partition::new(topic, 0))?;
    Ok((range.end - range.start) as usize)
}

/// A fresh log, the champion's reference from the rows of the log before, and an hour at a time: publish, tick, fold.
/// Only the folding is timed.
fn features_and_drift(before: &Store, project: &Project) -> Result<Duration, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = market::store(dir.path(), project, BEGIN)?;
    let mut pacer = Pacer::new(store.log.as_ref(), "bench", Vec::new())?;
    let profile = reference(before, project)?.to_bytes();
    deploy(&store, project, store.blobs.put(&profile)?)?;
    let tasks = ["features/market/0", "profile_features/up/0", "drift/up/0"];
    let tasks = tasks
        .iter()
        .map(|id| spec(project, id))
        .collect::<Result<Vec<_>, _>>()?;
    let mut crew = crew(&store)?;
    exhaust(&mut crew, &tasks)?;
    let (a_window, mut took) = ((WINDOW / EVERY) as usize, Duration::ZERO);
    for from in (0..RECORDS).step_by(a_window) {
        let to = RECORDS.min(from + a_window);
        market::publish(&store, project, from, to)?;
        let (done, features) = timed(|| exhaust(&mut crew, &tasks));
        done?;
        pacer.tick(Millis(BEGIN.0 + to as i64 * EVERY))?;
        let (done, windows) = timed(|| exhaust(&mut crew, &tasks));
        done?;
        took += features + windows;
    }
    expect(count(&store, "bench.features.market")?, RECORDS)?;
    let measured = count(&store, "bench.drift")?;
    let most = RECORDS / a_window * project.views["market"].features.len() * 2;
    (measured >= most / 2)
        .then_some(took)
        .ok_or_else(|| format!("{measured} measurements of drift").into())
}

/// The profile of the first rows of features.
fn reference(store: &Store, project: &Project) -> Result<ReferenceProfile, Box<dyn Error>> {
    let catalog = store.catalog("bench")?;
    let names: Vec<String> = project.views["market"]
        .features
        .iter()
        .map(|f| f.name.clone())
        .collect();
    let layout = Layout::new(
        names
            .iter()
            .map(|name| Wanted::optional(name, Kind::Number)),
    )?;
    let id = catalog
        .id_of("features.market")
        .ok_or("no schema of features.market")?;
    let schema = catalog.known(id).ok_or("no schema")?.schema()?;
    let (decoder, mut columns) = (
        FlatDecoder::compile(schema, &layout)?,
        Columns::new(&layout),
    );
    for_each(
        store.log.reader()?.as_mut(),
        &Partition::new("bench.features.market", 0),
        |record| {
            if columns.rows() < REFERENCE
                && let Ok((_, body)) = wire::split(record.value.unwrap_or_default())
            {
                let _ = decoder.append(body, &mut columns);
            }
            Ok(())
        },
    )?;
    let column = |at: usize| {
        (0..columns.rows())
            .map(|row| columns.number(at, row).unwrap_or(f64::NAN))
            .collect()
    };
    let values: Vec<Vec<f64>> = (0..names.len()).map(column).collect();
    Ok(ReferenceProfile::of_columns(&names, &values)?)
}

fn deploy(store: &Store, project: &Project, profile: Digest) -> Result<(), Box<dyn Error>> {
    let view = &project.views["market"];
    let event: Event = DeploymentStarted {
        model: "up".into(),
        version: "v1".into(),
        role: Role::Champion,
        onnx: Digest::default(),
        features: view.features.iter().map(|f| f.name.clone()).collect(),
        view: digest_of(view),
        profile: Some(profile),
        prediction_profile: None,
        since: BEGIN,
    }
    .into();
    let (mut batch, mut value) = (Batch::new(), Vec::new());
    event.encode(&store.catalog("bench")?, &mut value)?;
    let envelope = Envelope {
        id: EventId::named("bench", b"v1"),
        kind: event.name().into(),
        time: BEGIN,
        ..Envelope::default()
    };
    envelope.push(&mut batch, Some(b"up"), &value);
    let deployments = Partition::new("bench.deployments", 0);
    Ok(store.log.writer("bench")?.append(&[(deployments, batch)])?)
}
