//! The three forecasts over the same rows: those that each of them has predicted and whose label came.
//!
//! A row belongs to the window of its label's event time, as in the performance monitor. A correction of a label moves
//! the counts of its window, so that the last label counts.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use mainstem_schemas::definition::{Model, Windows};
use mainstem_schemas::events::{Event, Role};
use mainstem_schemas::{EventId, Millis};
use mainstem_statistics::blocks::{Block, MeanDifference, mean_difference};

use super::At;

/// Who forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forecast {
    /// No model: the naive forecast.
    NoModel,
    /// The first model for ever.
    FirstModel,
    /// The champion of the time.
    Mainstem,
}

impl Forecast {
    /// All of them, in the order in which they are told.
    pub const ALL: [Forecast; 3] = [Forecast::NoModel, Forecast::FirstModel, Forecast::Mainstem];

    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Forecast::NoModel => "no model",
            Forecast::FirstModel => "the first model for ever",
            Forecast::Mainstem => "Mainstem",
        }
    }

    fn of(role: Role) -> Option<Self> {
        match role {
            Role::Baseline => Some(Forecast::NoModel),
            Role::Control => Some(Forecast::FirstModel),
            Role::Champion => Some(Forecast::Mainstem),
            Role::Shadow => None,
        }
    }
}

/// Rows, and how many of them each forecast had right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows.
    pub rows: u64,
    right: [u64; 3],
}

impl Tally {
    /// How many a forecast had right.
    #[must_use]
    pub fn right(&self, forecast: Forecast) -> u64 {
        self.right[forecast as usize]
    }

    /// Share that a forecast had right; nothing without rows.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of rows are far below 2^53"
    )]
    pub fn share(&self, forecast: Forecast) -> Option<f64> {
        (self.rows > 0).then(|| self.right(forecast) as f64 / self.rows as f64)
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        self.rows += other.rows;
        for (sum, right) in self.right.iter_mut().zip(other.right) {
            *sum += right;
        }
    }
}

/// One window that has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub start: At,
    /// Its end.
    pub end: At,
    /// Its rows.
    pub tally: Tally,
}

/// How the forecasts did.
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    /// Labelled predictions of the champion.
    pub labels_joined: u64,
    /// Labels of the champion's predictions that came again with another value.
    pub corrected: u64,
    /// Labels that met no prediction.
    pub orphaned: u64,
    /// Windows that have rows, in order.
    pub windows: Vec<Window>,
    /// Which forecasts the model has.
    has: [bool; 3],
}

impl Accuracy {
    /// All windows together.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for window in &self.windows {
            total += &window.tally;
        }
        total
    }

    /// Forecasts that the model has.
    pub fn forecasts(&self) -> impl Iterator<Item = Forecast> {
        Forecast::ALL
            .into_iter()
            .filter(|forecast| self.has[*forecast as usize])
    }

    /// Share that a forecast had right; nothing without rows, or where the model has no such forecast.
    #[must_use]
    pub fn share(&self, forecast: Forecast) -> Option<f64> {
        self.total()
            .share(forecast)
            .filter(|_| self.has[forecast as usize])
    }

    /// How much larger Mainstem's share is than another's, with the interval over windows as blocks. Nothing with fewer
    /// than two windows.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of rows are far below 2^53"
    )]
    pub fn lead_over(&self, other: Forecast) -> Option<MeanDifference> {
        self.share(other)?;
        let block = |window: &Window| Block {
            sum: window.tally.right(Forecast::Mainstem) as f64 - window.tally.right(other) as f64,
            count: window.tally.rows,
        };
        let blocks: Vec<Block> = self.windows.iter().map(block).collect();
        mean_difference(&blocks).ok()
    }

    /// Of each window, the sum of it and the `last - 1` windows before it.
    #[must_use]
    pub fn rolling(&self, last: usize) -> Vec<Tally> {
        let sum = |at: usize| {
            let mut sum = Tally::default();
            for window in &self.windows[(at + 1).saturating_sub(last)..=at] {
                sum += &window.tally;
            }
            sum
        };
        (0..self.windows.len()).map(sum).collect()
    }

    /// Of each window, the sum of it and all before it.
    #[must_use]
    pub fn cumulative(&self) -> Vec<Tally> {
        let mut sum = Tally::default();
        let mut add = |window: &Window| {
            sum += &window.tally;
            sum
        };
        self.windows.iter().map(&mut add).collect()
    }

    /// The last window up to whose end the first model had at least as many rows right as Mainstem, counted from the
    /// first window on. Nothing where there is none, or no first model.
    #[must_use]
    pub fn first_model_leads_until(&self) -> Option<&Window> {
        self.share(Forecast::FirstModel)?;
        let leads = |sum: &Tally| sum.right(Forecast::FirstModel) >= sum.right(Forecast::Mainstem);
        let last = self.cumulative().iter().rposition(leads)?;
        self.windows.get(last)
    }
}

/// Takes the events of `labelled`.
pub(super) struct Scores {
    windows: Windows,
    tallies: BTreeMap<Millis, Tally>,
    /// Rows that one of the forecasts is missing for, so far.
    open: BTreeMap<EventId, Row>,
    found: Accuracy,
}

struct Row {
    target: Millis,
    right: [Option<bool>; 3],
}

impl Scores {
    pub fn new(model: &Model) -> Self {
        let has = [model.baseline.is_some(), model.control, true];
        Scores {
            windows: model.windows.clone(),
            tallies: BTreeMap::new(),
            open: BTreeMap::new(),
            found: Accuracy {
                has,
                ..Accuracy::default()
            },
        }
    }

    pub fn take(&mut self, event: &Event) {
        match event {
            Event::PredictionLabelled(it) => {
                self.found.labels_joined += u64::from(it.role == Role::Champion);
                self.labelled(it.origin, it.target_time, it.role, it.class == it.label);
            }
            Event::LabelCorrected(it) => {
                self.found.corrected += u64::from(it.role == Role::Champion);
                self.corrected(
                    it.origin,
                    it.target_time,
                    it.role,
                    (it.class == it.was, it.class == it.label),
                );
            }
            Event::LabelOrphaned(_) => self.found.orphaned += 1,
            _ => {}
        }
    }

    fn labelled(&mut self, origin: EventId, target: Millis, role: Role, right: bool) {
        let Some(forecast) = self.told(role) else {
            return;
        };
        let row = self.open.entry(origin).or_insert(Row {
            target,
            right: [None; 3],
        });
        row.right[forecast as usize] = Some(right);
        let whole = self
            .found
            .has
            .iter()
            .zip(row.right)
            .all(|(has, right)| !has || right.is_some());
        if whole && let Some(row) = self.open.remove(&origin) {
            let tally = self
                .tallies
                .entry(self.windows.start_of(row.target))
                .or_default();
            tally.rows += 1;
            for (sum, right) in tally.right.iter_mut().zip(row.right) {
                *sum += u64::from(right == Some(true));
            }
        }
    }

    /// `was` and `is`: whether the forecast agrees with the label as it was, and as it is.
    fn corrected(&mut self, origin: EventId, target: Millis, role: Role, (was, is): (bool, bool)) {
        let Some(forecast) = self.told(role) else {
            return;
        };
        if let Some(row) = self.open.get_mut(&origin) {
            row.right[forecast as usize] = Some(is);
        } else if let Some(tally) = self.tallies.get_mut(&self.windows.start_of(target)) {
            let right = &mut tally.right[forecast as usize];
            *right = (*right + u64::from(is)).saturating_sub(u64::from(was));
        }
    }

    fn told(&self, role: Role) -> Option<Forecast> {
        Forecast::of(role).filter(|forecast| self.found.has[*forecast as usize])
    }

    pub fn finish(mut self) -> Accuracy {
        let length = mainstem_schemas::Span(self.windows.length.at_least_one());
        let window = |(start, tally): (Millis, Tally)| Window {
            start: start.into(),
            end: start.plus(length).into(),
            tally,
        };
        self.found.windows = self.tallies.into_iter().map(window).collect();
        self.found
    }
}
