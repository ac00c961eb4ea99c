//! Commits that the log refuses. A takeover is met once, and is nothing to worry about; the same refusal again, after the
//! task was rebuilt from its chain, means that the chain and the log's own record of it disagree, which no try mends.

use std::time::{Duration, Instant};

/// How often it is told what stays refused; and how long ago the same refusal counts as the same.
const AGAIN: Duration = Duration::from_secs(60);

/// What to do where a task that was rebuilt from its chain is fenced again.
pub(crate) const REMEDY: &str = "where no other worker took the task, the topic `turns` and the log's own record of the \
    last turn disagree: run `mainstem audit verify`, and restore the log from a copy";

/// What a refused commit means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// For the first time: the tasks are rebuilt.
    Once,
    /// Again; it is to be told now or was told within the last minute.
    Again {
        /// Whether to tell it.
        tell: bool,
    },
}

/// The last refusal.
#[derive(Default)]
pub(crate) struct Refusals {
    last: Option<(String, Instant)>,
    told: Option<Instant>,
}

impl Refusals {
    /// Takes a refusal.
    pub(crate) fn take(&mut self, now: Instant, why: &str) -> Refused {
        let recent = |at: &Instant| now.duration_since(*at) < AGAIN;
        let last = self.last.replace((why.to_owned(), now));
        if last.is_none_or(|(last, at)| last != why || !recent(&at)) {
            self.told = None;
            return Refused::Once;
        }
        let tell = !self.told.as_ref().is_some_and(recent);
        if tell {
            self.told = Some(now);
        }
        Refused::Again { tell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_refused_is_told_once_a_minute_and_a_takeover_is_not() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let mut take =
            |seconds: f64, why: &str| refusals.take(start + Duration::from_secs_f64(seconds), why);
        assert_eq!(take(0.0, "a"), Refused::Once);
        assert_eq!(take(0.5, "a"), Refused::Again { tell: true });
        assert_eq!(take(1.0, "a"), Refused::Again { tell: false });
        assert_eq!(take(60.4, "a"), Refused::Again { tell: false });
        assert_eq!(take(60.5, "a"), Refused::Again { tell: true });
        assert_eq!(take(61.0, "b"), Refused::Once);
        assert_eq!(take(61.5, "a"), Refused::Once);
        // Two takeovers of one task in its life.
        assert_eq!(take(200.0, "a"), Refused::Once);
    }
}
