//! The same records by one thread on one core, and by a thread on each of several.
//!
//! ```text
//! mainstem-bench kafka scale [--records 10000000] [--rounds 1] [--turn RECORDS] [--tick RECORDS] [--discard]
//!     [--broker-cpus 2,3] [--client-cpus 0,1]
//! ```
//!
//! Each run is of a project of its own, with the same records on a topic of its own. The broker has the same cores for
//! both. The generator and whatever looks at the offsets are this process, which belongs on the broker's cores or on
//! others: `taskset -c 2,3 mainstem-bench kafka scale`.

use std::error::Error;

use mainstem_rooms::features::view_outputs;

use super::asked::Asked;
use super::round::Bench;
use super::{beside, check_drift, tell, warm_up};
use crate::bed::Bed;
use crate::job;

pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(arguments, ["2,3", "0,1"])?;
    let cores: Vec<&str> = asked.client_cpus.split(',').collect();
    if cores.len() < 2 || cores.iter().any(|core| core.parse::<u32>().is_err()) {
        return Err("--client-cpus wants a list of two cores or more, such as 0,1".into());
    }
    let bed = Bed::start(&asked.broker_cpus)?;
    let features = view_outputs(&job::project()?.views[job::NAME]);
    let compared = [(1, cores[0]), (cores.len(), asked.client_cpus.as_str())];
    warm_up(&bed, &asked, &compared, None)?;
    for round in 0..asked.rounds {
        let mut measured = Vec::new();
        for (threads, cpus) in compared {
            let bench = Bench {
                asked: &asked,
                bed: &bed,
                project: format!("scale{round}x{threads}"),
            };
            bench.publish()?;
            let row = bench.mainstem(threads, cpus)?;
            tell(&row, asked.records, &features);
            check_drift(&bench)?;
            measured.push(row.measured);
        }
        if let [one, many] = &measured[..] {
            let cores = format!("{} cores", cores.len());
            beside(["", "One core", &cores], [one, many], |one, many| {
                many / one
            });
        }
    }
    Ok(())
}
