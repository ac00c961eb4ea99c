//! What a record of the job costs: folded bare, and in turns of the kernel with their hashes.

use std::error::Error;

use mainstem_kernel::Partition;
use mainstem_schemas::definition::Project;
use mainstem_schemas::{Batch, partition};

use crate::fold::{bare_fold, in_the_kernel};
use crate::table::{ROUNDS, Table, median};
use crate::{job, market};

/// Records of a run.
const RECORDS: usize = 1_000_000;

/// Records of an append.
const CHUNK: usize = 8_192;

pub fn run(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let mut project = job::project()?;
    project.partitions = 1;
    let (mut bare, mut kernel) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        let store = market::store(dir.path(), &project, job::BEGIN)?;
        publish(&store, &project)?;
        bare.push(bare_fold(&store, &project, job::NAME, RECORDS)?);
        kernel.push(in_the_kernel(&store, &project, job::NAME, RECORDS)?);
    }
    let rate = |times| RECORDS as f64 / median(times).as_secs_f64();
    let (bare, kernel) = (rate(bare), rate(kernel));
    table.rates(
        "the job's 10 features, as a task of the kernel, records",
        kernel,
        "the bare fold",
        bare,
    );
    table.words(
        "a record of the job, folded bare",
        &format!("{:.0} ns", 1e9 / bare),
        &format!("in turns of the kernel: {:.0} ns", 1e9 / kernel),
        "",
    );
    Ok(())
}

/// Appends the records of the job.
fn publish(store: &mainstem_host::Store, project: &Project) -> Result<(), Box<dyn Error>> {
    let topic = mainstem_schemas::topics::of(&project.name, "arrivals", job::NAME);
    let schema = store.catalog(&project.name)?;
    let schema = schema
        .id_of(&format!("arrivals.{}", job::NAME))
        .ok_or("no schema of the arrivals")?;
    let mut writer = store.log.writer("bench")?;
    let mut batches = vec![Batch::new(); project.partitions as usize];
    for (row, arrival) in job::arrivals(RECORDS).enumerate() {
        let key = arrival.key();
        let at = partition::partition_of(key.as_bytes(), project.partitions);
        let time = arrival.time.to_string();
        batches[at as usize].push_value(
            Some(key.as_bytes()),
            |out| arrival.put_value(schema, out),
            [("ce_time", time.as_bytes())],
        );
        if (row + 1) % CHUNK == 0 || row + 1 == RECORDS {
            let full = (0..).zip(batches.iter_mut());
            let full: Vec<_> = full
                .map(|(index, batch)| (Partition::new(&topic, index), std::mem::take(batch)))
                .collect();
            writer.append(&full)?;
        }
    }
    Ok(())
}
