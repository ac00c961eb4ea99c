//! What the monitor writes about a window: the tests of its columns, and the alarms that begin or end with them.

use mainstem_kernel::outbox::Head;
use mainstem_kernel::{Context, Outbox};
use mainstem_schemas::definition::{DriftMonitor, Thresholds};
use mainstem_schemas::events::{DriftCleared, DriftDetected, DriftMeasured, DriftMethod, Event};
use mainstem_schemas::{Digest, EventId, Millis};
use mainstem_statistics::{Counts, DriftReport, Error, Grid, Precision, ks, psi};

use super::alarms::{Alarms, Measured, Verdict, Watched};
use super::gathered::Gathered;
use super::monitor::Key;
use super::{Column, ReferenceProfile, id_of, subject_key};

/// Writes the monitor's events.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub cx: &'a Context<'a>,
    /// Digest of the model's or monitor's definition.
    pub definition: Digest,
    pub name: &'a str,
}

impl Writer<'_> {
    fn event(&self, event: impl Into<Event>, head: Head, out: &mut Outbox) {
        out.event(self.cx, 0, self.name.as_bytes(), &event.into(), head);
    }

    /// An alarm is over, at a time and because of an event.
    pub fn cleared(
        &self,
        (subject, feature, method): &Watched,
        detected: EventId,
        reason: &str,
        (time, causation): (Millis, Option<EventId>),
        out: &mut Outbox,
    ) {
        let event = DriftCleared {
            model: self.name.into(),
            subject: *subject,
            feature: feature.clone(),
            method: *method,
            detected,
            reason: reason.into(),
        };
        let id = id_of(self.cx, &self.definition, &[&detected.0], &[b"cleared"]);
        self.event(
            event,
            Head {
                id,
                time,
                correlation: Some(detected),
                causation,
            },
            out,
        );
    }
}

/// One window to be written down.
pub(super) struct Page<'a> {
    pub writer: Writer<'a>,
    pub version: &'a str,
    pub reference_rows: i64,
    /// Windows running until a column is in drift.
    pub running: u32,
    pub key: Key,
    pub window: &'a Gathered,
}

impl Page<'_> {
    /// Measures every column of a model's reference and judges it.
    ///
    /// # Errors
    /// Profiles that are not of the reference.
    pub fn write(
        &self,
        reference: &ReferenceProfile,
        drift: &DriftMonitor,
        alarms: &mut Alarms,
        out: &mut Outbox,
    ) -> Result<(), String> {
        if reference.columns().len() != self.window.columns.len() {
            return Err(format!(
                "profiles under {} do not have its columns",
                self.key.2
            ));
        }
        for (column, cells) in reference.columns().iter().zip(&self.window.columns) {
            let counts = counts(&column.grid, cells)?;
            for (method, at) in [(DriftMethod::Psi, drift.psi), (DriftMethod::Ks, drift.ks)] {
                // Refused where one side has no values at all: there is nothing to compare.
                if let Ok(report) = test(method, column, &counts) {
                    let watched = (self.key.1, column.name.clone(), method);
                    self.measured(&watched, &report, at, alarms, out);
                }
            }
        }
        Ok(())
    }

    /// Writes what was measured, and the alarm that begins or ends with it.
    pub fn measured(
        &self,
        watched: &Watched,
        report: &DriftReport,
        at: Thresholds,
        alarms: &mut Alarms,
        out: &mut Outbox,
    ) {
        let (subject, feature, method) = watched.clone();
        let (window_start, window_end) = (self.key.0, self.window.end);
        let event = DriftMeasured {
            model: self.writer.name.into(),
            subject,
            feature,
            method,
            version: self.version.into(),
            reference: self.key.2,
            window_start,
            window_end,
            statistic: report.statistic,
            threshold: at.detect,
            rows: self.window.rows,
            reference_rows: self.reference_rows,
            error_bound: match report.precision {
                Precision::Exact => 0.0,
                Precision::Sketch { bound } => bound,
            },
        };
        let id = self.id(watched, b"measured");
        let causation = self.window.profiles.first_key_value().map(|(_, id)| *id);
        let head = Head {
            id,
            time: window_end,
            correlation: None,
            causation,
        };
        self.writer.event(event, head, out);
        let measured = Measured {
            id,
            statistic: report.statistic,
            window: (window_start, window_end),
        };
        match alarms.judge(watched, &measured, at, self.running) {
            Verdict::Nothing => {}
            Verdict::Detected(evidence) => {
                alarms.open(
                    watched,
                    self.detected(watched, &measured, at, evidence, out),
                );
            }
            Verdict::Cleared(alarm) => {
                let cause = (window_end, Some(id));
                self.writer
                    .cleared(watched, alarm, "below threshold", cause, out);
            }
        }
    }

    fn detected(
        &self,
        watched: &Watched,
        measured: &Measured,
        at: Thresholds,
        evidence: Vec<EventId>,
        out: &mut Outbox,
    ) -> EventId {
        let (subject, feature, method) = watched.clone();
        let event = DriftDetected {
            model: self.writer.name.into(),
            subject,
            feature,
            method,
            version: self.version.into(),
            statistic: measured.statistic,
            threshold: at.detect,
            windows: evidence.len() as i32,
            window_end: self.window.end,
            evidence,
        };
        let id = self.id(watched, b"detected");
        let head = Head {
            id,
            time: self.window.end,
            correlation: Some(id),
            causation: Some(measured.id),
        };
        self.writer.event(event, head, out);
        id
    }

    /// By model, subject, column, test and window; then what it is, and the reference.
    fn id(&self, (subject, feature, method): &Watched, what: &[u8]) -> EventId {
        let method: &[u8] = match method {
            DriftMethod::Psi => b"psi",
            DriftMethod::Ks => b"ks",
        };
        let start = self.key.0.0.to_be_bytes();
        let key = [
            self.writer.name.as_bytes(),
            subject_key(*subject),
            feature.as_bytes(),
            method,
            &start,
        ];
        id_of(
            self.writer.cx,
            &self.writer.definition,
            &key,
            &[what, &self.key.2.0],
        )
    }
}

fn test(method: DriftMethod, column: &Column, window: &Counts) -> Result<DriftReport, Error> {
    match method {
        DriftMethod::Psi => psi::psi(&column.grid, &column.counts, window),
        DriftMethod::Ks => ks::on_grid(&column.grid, &column.counts, window),
    }
}

/// Counts from cells, the missing values last; read from their textual form, which checks them.
pub(super) fn counts(grid: &Grid, cells: &[i64]) -> Result<Counts, String> {
    let (missing, present) = cells.split_last().ok_or("a profile without cells")?;
    let text = serde_json::json!({"grid": grid.id(), "cells": present, "missing": missing});
    let counts: Counts = serde_json::from_value(text).map_err(|error| error.to_string())?;
    Counts::new(grid)
        .merge(&counts)
        .map_err(|error| error.to_string())?;
    Ok(counts)
}
