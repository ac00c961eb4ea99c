//! A made-up market: a thousand entities, the busiest a hundred times as busy as the others, eight numbers a record.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use mainstem_host::blobs::DirBlobs;
use mainstem_host::publisher::{self, Format, Input};
use mainstem_host::store::Place;
use mainstem_host::{Store, apply};
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::pace::Pacer;
use mainstem_schemas::Millis;
use mainstem_schemas::definition::Project;

/// Records of a run.
pub const RECORDS: usize = 500_000;
/// Event time between two records: all of them fit into a day, which is as far as log time may be behind.
pub const EVERY: i64 = 100;
/// Event time of the first record, and log time before it.
pub const BEGIN: Millis = Millis(1_760_000_400_000);
/// Length of a window: an hour, or 36,000 records.
pub const WINDOW: i64 = 3_600_000;

const PROJECT: &str = "
project: bench
clock: stream
partitions: 1
sources:
  market:
    fields: {entity: string, at: long, f1: double, f2: double, f3: double, f4: double, f5: double, f6: double, f7: double, f8: double, up: long}
    entity: {column: entity}
    time: {column: at}
views:
  market:
    source: market
    features:
      f1: f1
      f2: f2
      f3: f3
      mean1: {mean: f1, last: 48}
      std1: {std_population: f1, last: 48}
      min1: {min: f1, last: 48}
      max1: {max: f1, last: 48}
      mean2: {mean: f2, last: 48}
      std2: {std_population: f2, last: 48}
      lag1: {lag: f1, by: 1}
      change1: {change: f1, by: 1}
      ratio: {ratio: [f1, f2]}
models:
  up:
    view: market
    label: {column: up, horizon: 1h}
    windows: {length: 1h}
";

/// The project.
pub fn project() -> Result<Project, Box<dyn Error>> {
    mainstem_project::parse("bench.yaml", PROJECT).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        told.join("\n").into()
    })
}

/// A store whose log is in memory, so that no disk is measured.
pub fn store(dir: &Path, project: &Project, begin: Millis) -> Result<Store, Box<dyn Error>> {
    let store = Store {
        place: Place::Directory(dir.to_owned()),
        log: Arc::new(MemoryLog::new()),
        blobs: Arc::new(DirBlobs::open(&dir.join("blobs"))?),
    };
    apply::apply(&store, project, "bench", begin)?;
    Pacer::new(store.log.as_ref(), "bench", Vec::new())?.tick(begin)?;
    Ok(store)
}

/// Rows from one to another, as CSV.
pub fn rows(from: usize, to: usize) -> String {
    let mut text = String::from("entity,at,f1,f2,f3,f4,f5,f6,f7,f8,up\n");
    for row in from..to {
        let mut random = SplitMix(row as u64);
        let u = random.uniform();
        let (entity, at) = ((1000.0 * u * u) as u32, BEGIN.0 + row as i64 * EVERY);
        let _ = write!(text, "e{entity:04},{at}");
        for _ in 0..8 {
            let _ = write!(text, ",{:.6}", random.uniform() + random.uniform() - 1.0);
        }
        let _ = writeln!(text, ",{}", row % 2);
    }
    text
}

/// Publishes rows from one to another.
pub fn publish(
    store: &Store,
    project: &Project,
    from: usize,
    to: usize,
) -> Result<(), Box<dyn Error>> {
    let (name, rows) = (format!("rows {from}"), rows(from, to));
    let input = Input {
        project,
        source: "market",
        name: &name,
        format: Format::Csv,
        bytes: rows.as_bytes(),
        actor: "bench",
        resume: false,
        is_file: false,
    };
    let published = publisher::publish(store, input)?;
    if published.accepted != (to - from) as u64 {
        return Err(format!("{published:?} of {}", to - from).into());
    }
    Ok(())
}

/// S. Vigna's SplitMix64, seeded by the row: the same rows on every run.
struct SplitMix(u64);

impl SplitMix {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
