//! Drift as it was measured and detected.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_schemas::definition::Model;
use mainstem_schemas::events::{DriftMethod, Event, Subject};

use super::At;

/// A test of one column.
type Watched = (Subject, String, DriftMethod);

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    /// Statistics over time: features in the model's order, then predictions; of each, PSI and KS.
    pub series: Vec<Series>,
    /// Detections in their order.
    pub detections: Vec<Detection>,
}

/// One test of one column over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Features or predictions.
    pub subject: Subject,
    /// Name of the feature, or `probability`.
    pub feature: String,
    /// The test.
    pub method: DriftMethod,
    /// Windows in order.
    pub points: Vec<Point>,
}

/// One window of a test.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// End of the window.
    pub end: At,
    /// The statistic.
    pub statistic: f64,
    /// From which on it counts.
    pub threshold: f64,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Features or predictions.
    pub subject: Subject,
    /// Name of the feature, or `probability`.
    pub feature: String,
    /// The test.
    pub method: DriftMethod,
    /// Champion whose training data are the reference.
    pub version: String,
    /// The last statistic.
    pub statistic: f64,
    /// The threshold.
    pub threshold: f64,
    /// End of the last window.
    pub at: At,
}

/// `PSI` or `KS`.
pub(super) fn method_name(method: DriftMethod) -> &'static str {
    match method {
        DriftMethod::Psi => "PSI",
        DriftMethod::Ks => "KS",
    }
}

impl Drift {
    /// The first detection of each test of each column, in their order.
    #[must_use]
    pub fn first(&self) -> Vec<&Detection> {
        let mut seen = BTreeSet::new();
        let first = |it: &&Detection| seen.insert((it.subject, it.feature.clone(), it.method));
        self.detections.iter().filter(first).collect()
    }

    /// Columns that were measured, in the order of the series.
    #[must_use]
    pub fn columns(&self) -> Vec<(Subject, &str)> {
        let mut columns: Vec<(Subject, &str)> = self
            .series
            .iter()
            .map(|series| (series.subject, series.feature.as_str()))
            .collect();
        columns.dedup();
        columns
    }

    /// Detections of a test.
    pub(super) fn detections_of(
        &self,
        watched: (Subject, &str, DriftMethod),
    ) -> impl Iterator<Item = &Detection> {
        self.detections
            .iter()
            .filter(move |it| (it.subject, it.feature.as_str(), it.method) == watched)
    }

    /// A test.
    pub(super) fn of(&self, watched: (Subject, &str, DriftMethod)) -> Option<&Series> {
        self.series
            .iter()
            .find(|it| (it.subject, it.feature.as_str(), it.method) == watched)
    }
}

/// Takes the events of `drift`.
#[derive(Default)]
pub(super) struct Measured {
    series: BTreeMap<Watched, Vec<Point>>,
    detections: Vec<Detection>,
}

impl Measured {
    pub fn take(&mut self, model: &str, event: &Event) {
        match event {
            // A monitor of that name is another thing.
            Event::DriftMeasured(it) if it.subject == Subject::Arrivals => {}
            Event::DriftDetected(it) if it.subject == Subject::Arrivals => {}
            Event::DriftMeasured(it) if it.model == model => {
                let point = Point {
                    end: it.window_end.into(),
                    statistic: it.statistic,
                    threshold: it.threshold,
                };
                self.series
                    .entry((it.subject, it.feature.clone(), it.method))
                    .or_default()
                    .push(point);
            }
            Event::DriftDetected(it) if it.model == model => self.detections.push(Detection {
                subject: it.subject,
                feature: it.feature.clone(),
                method: it.method,
                version: it.version.clone(),
                statistic: it.statistic,
                threshold: it.threshold,
                at: it.window_end.into(),
            }),
            _ => {}
        }
    }

    pub fn finish(self, model: &Model) -> Drift {
        let series = |((subject, feature, method), mut points): (Watched, Vec<Point>)| {
            points.sort_by_key(|point| point.end.time);
            Series {
                subject,
                feature,
                method,
                points,
            }
        };
        let mut series: Vec<Series> = self.series.into_iter().map(series).collect();
        let place = |it: &Series| model.features.iter().position(|name| *name == it.feature);
        series.sort_by_key(|it| (it.subject, place(it).unwrap_or(usize::MAX)));
        Drift {
            series,
            detections: self.detections,
        }
    }
}
