//! The figures of `docs/benchmarks.md`: `cargo run --release -p mainstem-bench` prints the table.
//!
//! Everything is measured beside what it is compared with, in turns in one run, and the median of the rounds is shown:
//! machines differ, and this one from minute to minute, but ratios of neighbours say something.
//!
//! ```text
//! cargo run --release -p mainstem-bench                 all sections
//! cargo run --release -p mainstem-bench -- fold log     some of them: fold, turns, log, demo
//! cargo run --release -p mainstem-bench -- kafka        beside Kafka Streams, on a real broker
//! cargo run --release -p mainstem-bench -- kafka scale  the same job on one core and on two
//! cargo run --release -p mainstem-bench -- http         posts to the gateway, beside the raw producer
//! cargo run --release -p mainstem-bench -- restore      a task with a million records since its snapshot
//! cargo run --release -p mainstem-bench -- cadence      intervals of commits, and sizes of turns
//! ```
#![forbid(unsafe_code)]

mod bed;
mod cadence;
mod demo;
mod fold;
mod http;
mod job;
mod kafka;
mod log;
mod market;
mod restore;
mod table;
mod turns;

use std::error::Error;

use table::Table;

type Section = fn(&mut Table) -> Result<(), Box<dyn Error>>;

const SECTIONS: [(&str, Section); 4] = [
    ("fold", fold::run),
    ("turns", turns::run),
    ("log", log::run),
    ("demo", demo::run),
];

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    match asked.split_first() {
        Some((name, rest)) if name == "kafka" => match rest.split_first() {
            Some((name, rest)) if name == "scale" => return kafka::scale::run(rest),
            _ => return kafka::run(rest),
        },
        Some((name, rest)) if name == "kafka-worker" => return kafka::worker(rest),
        Some((name, rest)) if name == "http" => return http::run(rest),
        Some((name, rest)) if name == "http-gateway" => return http::serve(rest),
        Some((name, rest)) if name == "restore" => return restore::run(rest),
        Some((name, rest)) if name == "cadence" => return cadence::run(rest),
        Some((name, rest)) if name == "cadence-worker" => return cadence::worker(rest),
        _ => {}
    }
    let known = |name: &String| SECTIONS.iter().any(|(section, _)| section == name);
    if let Some(unknown) = asked.iter().find(|name| !known(name)) {
        return Err(
            format!("there is no section {unknown}; there are fold, turns, log and demo").into(),
        );
    }
    let mut table = Table::begin();
    for (name, section) in SECTIONS {
        if asked.is_empty() || asked.iter().any(|one| one == name) {
            section(&mut table)?;
        }
    }
    Ok(())
}
