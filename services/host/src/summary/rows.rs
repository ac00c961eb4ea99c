//! Rows: how many arrivals lay before a time. Times are gathered first, so that one pass over the arrivals with a
//! counter per time is enough, however many arrivals there are.

use mainstem_schemas::Millis;

/// Counters of arrivals between the times that somebody asks for.
#[derive(Debug, Default)]
pub(super) struct Rows {
    times: Vec<Millis>,
    /// Arrivals before the first time, between it and the second, and so on; after the last.
    between: Vec<u64>,
}

impl Rows {
    pub fn new(mut times: Vec<Millis>) -> Self {
        times.sort_unstable();
        times.dedup();
        let between = vec![0; times.len() + 1];
        Rows { times, between }
    }

    /// Takes an arrival of that event time.
    pub fn take(&mut self, time: Millis) {
        let passed = self.times.partition_point(|asked| *asked <= time);
        if let Some(count) = self.between.get_mut(passed) {
            *count += 1;
        }
    }

    /// Arrivals before a time; `time` is one of those that were asked for.
    pub fn before(&self, time: Millis) -> u64 {
        let at = self.times.partition_point(|asked| *asked < time);
        self.between.iter().take(at + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_before_a_time_in_any_order() {
        let mut rows = Rows::new([30, 10, 10, 20].map(Millis).into());
        for time in [25, 5, 10, 9, 19, 40] {
            rows.take(Millis(time));
        }
        assert_eq!(
            [10, 20, 30].map(|time| rows.before(Millis(time))),
            [2, 4, 5]
        );
    }
}
