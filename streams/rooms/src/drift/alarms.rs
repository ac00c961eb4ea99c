//! Alarms: a column is in drift when its statistic stays at or above the threshold for some windows running.

use std::collections::BTreeMap;

use mainstem_schemas::definition::Thresholds;
use mainstem_schemas::events::{DriftMethod, Subject};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

/// What is watched: one test of one column.
pub(super) type Watched = (Subject, String, DriftMethod);

/// The windows running and the open alarm of everything watched.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Alarms {
    watched: BTreeMap<Watched, Alarm>,
}

#[derive(Default, Serialize, Deserialize)]
struct Alarm {
    /// End of the last window that was measured.
    until: Option<Millis>,
    /// Measurements at or above the threshold, one window after the other, the last ones.
    running: Vec<EventId>,
    open: Option<EventId>,
}

/// One measurement.
pub(super) struct Measured {
    pub id: EventId,
    pub statistic: f64,
    pub window: (Millis, Millis),
}

/// What a measurement led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Nothing,
    /// Enough windows running: the measurements that it rests on. To be opened.
    Detected(Vec<EventId>),
    /// The open alarm is over.
    Cleared(EventId),
}

impl Alarms {
    /// Takes a measurement. A window that was not measured, for it was too small or not whole, ends a run and leaves
    /// an alarm open.
    pub fn judge(
        &mut self,
        watched: &Watched,
        measured: &Measured,
        at: Thresholds,
        windows: u32,
    ) -> Verdict {
        let alarm = self.watched.entry(watched.clone()).or_default();
        let windows = windows.max(1) as usize;
        let follows = alarm.until == Some(measured.window.0);
        alarm.until = Some(measured.window.1);
        if !follows || measured.statistic < at.detect {
            alarm.running.clear();
        }
        if measured.statistic >= at.detect {
            alarm.running.push(measured.id);
            let surplus = alarm.running.len().saturating_sub(windows);
            alarm.running.drain(..surplus);
        }
        match alarm.open {
            Some(open) if measured.statistic < at.clear => {
                alarm.open = None;
                Verdict::Cleared(open)
            }
            None if alarm.running.len() >= windows => Verdict::Detected(alarm.running.clone()),
            _ => Verdict::Nothing,
        }
    }

    /// The id of the alarm that [`Verdict::Detected`] asked for.
    pub fn open(&mut self, watched: &Watched, alarm: EventId) {
        self.watched.entry(watched.clone()).or_default().open = Some(alarm);
    }

    /// Forgets everything; the alarms that were open, in order.
    pub fn close_all(&mut self) -> Vec<(Watched, EventId)> {
        let watched = std::mem::take(&mut self.watched);
        watched
            .into_iter()
            .filter_map(|(watched, alarm)| Some((watched, alarm.open?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Thresholds = Thresholds {
        detect: 0.25,
        clear: 0.1,
    };

    /// Statistics window by window, a gap for one that is not measured; what they lead to, `D`, `C` or nothing.
    fn verdicts(statistics: &[Option<f64>]) -> String {
        let mut alarms = Alarms::default();
        let watched = (Subject::Features, "f".to_owned(), DriftMethod::Psi);
        let judge = |(at, statistic): (i64, &Option<f64>)| {
            let Some(statistic) = *statistic else {
                return '-';
            };
            let id = EventId::row(0, 0, at as u64);
            let window = (Millis(at), Millis(at + 1));
            match alarms.judge(
                &watched,
                &Measured {
                    id,
                    statistic,
                    window,
                },
                AT,
                2,
            ) {
                Verdict::Nothing => '.',
                Verdict::Detected(evidence) => {
                    assert_eq!(evidence, [EventId::row(0, 0, at as u64 - 1), id]);
                    alarms.open(&watched, id);
                    'D'
                }
                Verdict::Cleared(_) => 'C',
            }
        };
        (0..).zip(statistics).map(judge).collect()
    }

    #[test]
    fn an_excursion_is_detected_once_and_cleared_once() {
        let (high, middle, low) = (Some(0.25), Some(0.2), Some(0.05));
        assert_eq!(
            verdicts(&[high, high, high, middle, high, low, low]),
            ".D...C."
        );
        assert_eq!(verdicts(&[high, middle, high, low, high, high]), ".....D");
        assert_eq!(verdicts(&[high, high, low, high, high]), ".DC.D");
    }

    #[test]
    fn a_window_that_is_not_measured_ends_a_run_but_not_an_alarm() {
        let (high, low) = (Some(1.0), Some(0.0));
        assert_eq!(verdicts(&[high, None, high, high]), ".-.D");
        assert_eq!(verdicts(&[high, high, None, low]), ".D-C");
    }
}
