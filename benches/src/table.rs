//! The table, a row at a time as it is measured.

use std::time::{Duration, Instant};

/// Rounds of every comparison: the first of them warms up, the median of all is shown.
pub const ROUNDS: usize = 5;

/// A Markdown table on standard output.
pub struct Table;

impl Table {
    /// Prints the head.
    pub fn begin() -> Self {
        println!("| What | Figure | Beside it | Ratio |\n|---|---|---|---|");
        Table
    }

    /// Prints a row; the ratio is of the first figure to the second.
    pub fn rates(&mut self, what: &str, rate: f64, beside: &str, other: f64) {
        let (rate_text, other_text) = (short(rate), short(other));
        println!(
            "| {what} | {rate_text}/s | {beside}: {other_text}/s | {:.2} |",
            rate / other
        );
    }

    /// Prints a row of words.
    pub fn words(&mut self, what: &str, figure: &str, beside: &str, ratio: &str) {
        println!("| {what} | {figure} | {beside} | {ratio} |");
    }
}

/// Three digits and a unit.
fn short(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e4 => format!("{:.0} k", r / 1e3),
        r => format!("{r:.0}"),
    }
}

/// How long something takes, and what it gave.
pub fn timed<T>(of: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = of();
    (done, start.elapsed())
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The time within which so many of a hundred lie, in milliseconds; they are in order of size.
pub fn within(times: &[Duration], percent: usize) -> f64 {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default().as_secs_f64() * 1e3
}
