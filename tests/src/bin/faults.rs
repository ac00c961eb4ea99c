//! The long campaign of faults on a real broker; the test command runs a short one.
//!
//! ```text
//! cargo run --release -p mainstem-tests --bin faults -- [SCENARIO…] [--weeks N] [--kills N] [--seed N]
//! ```
//!
//! Scenarios: kills, zombie, broker, leader, scaling, disk, poison; all of them by default. Each prints what was done and
//! how what is in the log differs from an undisturbed run: records lost, doubled, differing. Exits with 1 where any does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a campaign fails by panicking"
)]

use std::process::ExitCode;

use mainstem_tests::faults::scenarios::{SCENARIOS, Size, play};

fn main() -> ExitCode {
    let mut size = Size {
        weeks: 40,
        kills: 100,
        seed: 1,
    };
    let mut names = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|word| word.parse().ok());
            number.unwrap_or_else(|| panic!("{word} needs a number"))
        };
        match word.as_str() {
            "--weeks" => size.weeks = number(),
            "--kills" => size.kills = number(),
            "--seed" => size.seed = number() as u64,
            name if SCENARIOS.contains(&name) => names.push(name.to_owned()),
            other => panic!("no scenario {other}; there are {}", SCENARIOS.join(", ")),
        }
    }
    if names.is_empty() {
        names = SCENARIOS.map(str::to_owned).into();
    }
    let mut sound = true;
    for name in names {
        match play(&name, size) {
            Some(outcome) => {
                println!("{name:9} {outcome}");
                sound &= outcome.differences.is_none();
            }
            None => println!("{name:9} cannot be had on this machine"),
        }
    }
    ExitCode::from(u8::from(!sound))
}
