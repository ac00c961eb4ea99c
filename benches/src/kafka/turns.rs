//! How many records a turn takes: what a turn costs by itself is shared by so many.

use std::error::Error;

use mainstem_host::Store;
use mainstem_host::store::each_event;
use mainstem_kernel::log::Partition;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Catalog, topics};

/// Records of `topic` that a turn took, on average over all turns that took some.
pub fn mean(
    store: &Store,
    catalog: &Catalog,
    (project, topic): (&str, &str),
) -> Result<f64, Box<dyn Error>> {
    let turns = topics::fixed(project, "turns");
    let known = store.log.topics()?;
    let turns = known.iter().find(|known| known.name == turns);
    let turns = turns.ok_or("there is no topic of turns")?;
    let mut reader = store.log.reader()?;
    let (mut records, mut runs) = (0, 0_i32);
    for index in 0..turns.partitions {
        let partition = Partition::new(&turns.name, index);
        each_event(reader.as_mut(), catalog, &partition, |_, event| {
            let Event::Turn(turn) = event else { return };
            for run in turn.runs.iter().filter(|run| run.topic == topic) {
                (records, runs) = (records + run.count, runs + 1);
            }
        })?;
    }
    Ok(records as f64 / f64::from(runs.max(1)))
}
