//! The other half of the job: what the monitor of the project made of the columns, beside a plain computation.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use mainstem_host::store::each_event;
use mainstem_host::{Store, processor};
use mainstem_kernel::Partition;
use mainstem_kernel::pace::Pacer;
use mainstem_schemas::definition::Monitor;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Millis, topics};

use crate::job;

/// How long the windows may take: the workers of before have to be missed first.
const PATIENCE: Duration = Duration::from_secs(180);

/// Name of the monitor.
pub const MONITOR: &str = "inputs";

/// PSI by window and column.
type Measured = BTreeMap<(Millis, String), f64>;

/// Moves log time past the records, which closes the windows that they were counted into, and compares what was
/// measured of them: how many, and by how much they differ at most.
pub fn compare(
    store: &Store,
    project: &str,
    records: usize,
) -> Result<(usize, f64), Box<dyn Error>> {
    let definition = job::project()?;
    let monitor = definition.monitors.get(MONITOR).ok_or("no monitor")?;
    let last = Millis(job::BEGIN.0 + records as i64 - 1);
    let length = monitor.windows.length;
    let end = monitor.windows.start_of(last).plus(length);
    let mut pacer = Pacer::new(store.log.as_ref(), project, Vec::new())?;
    pacer.tick(end)?;
    let workers = processor::start(store, &processor::Options::new(1, "drift".into()))?;
    let plain = plain(monitor, records);
    let begin = Instant::now();
    let measured = loop {
        // What was emitted on a tick is heard of on the next.
        pacer.tick(end)?;
        std::thread::sleep(Duration::from_millis(500));
        let measured = measured(store, project)?;
        if measured.len() >= plain.len() || begin.elapsed() > PATIENCE {
            break measured;
        }
    };
    workers.stop();
    if !measured.keys().eq(plain.keys()) {
        let (found, wanted) = (measured.len(), plain.len());
        return Err(format!("{found} columns of windows were measured, not {wanted}").into());
    }
    let differences = measured.values().zip(plain.values());
    let largest = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    Ok((measured.len(), largest))
}

fn measured(store: &Store, project: &str) -> Result<Measured, Box<dyn Error>> {
    let catalog = store.catalog(project)?;
    let drift = Partition::new(&topics::fixed(project, "drift"), 0);
    let mut measured = Measured::new();
    let mut reader = store.log.reader()?;
    each_event(reader.as_mut(), &catalog, &drift, |_, event| {
        if let Event::DriftMeasured(it) = event {
            measured.insert((it.window_start, it.feature), it.statistic);
        }
    })?;
    Ok(measured)
}

/// Sums of `(q - p) ln(q / p)` over a window's bins, shares floored as the product does.
fn plain(monitor: &Monitor, records: usize) -> Measured {
    let mut windows: BTreeMap<(Millis, usize), Vec<u64>> = BTreeMap::new();
    for arrival in job::arrivals(records) {
        let start = monitor.windows.start_of(arrival.time);
        for (at, (column, x)) in monitor.columns.iter().zip(arrival.columns).enumerate() {
            let bins = windows.entry((start, at));
            let bins = bins.or_insert_with(|| vec![0; column.shares.len()]);
            let bin = column.edges.iter().filter(|edge| x > **edge).count();
            if let Some(bin) = bins.get_mut(bin) {
                *bin += 1;
            }
        }
    }
    let enough = |bins: &Vec<u64>| bins.iter().sum::<u64>() >= u64::from(monitor.drift.min_rows);
    let windows = windows.into_iter().filter(|(_, bins)| enough(bins));
    let index = |((start, at), bins): ((Millis, usize), Vec<u64>)| {
        let column = monitor.columns.get(at)?;
        let rows: u64 = bins.iter().sum();
        let terms = column.shares.iter().zip(bins).map(|(share, count)| {
            let (p, q) = (share.max(1e-4), (count as f64 / rows as f64).max(1e-4));
            (q - p) * (q / p).ln()
        });
        Some(((start, column.name.clone()), terms.sum()))
    };
    windows.filter_map(index).collect()
}
