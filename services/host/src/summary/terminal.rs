//! The summary for a terminal: plain text, at most [`WIDTH`] columns wide but for long names.

use mainstem_schemas::events::{DriftMethod, Subject};

use super::lifecycle::reason_name;
use super::text::{counted, date, percent, points, thousands, wrap};
use super::{Forecast, Retrain, Summary};

/// Columns: a terminal of 80 wraps the widest table by a little, one of 100 shows all.
const WIDTH: usize = 96;

impl Summary {
    /// The summary as text; `notes` are what a reader must know of these data beside the figures.
    #[must_use]
    pub fn terminal(&self, notes: &[&str]) -> String {
        let mut lines = self.head();
        if self.is_scored() {
            lines.extend(self.scores());
        }
        if !self.retrains.is_empty() {
            lines.extend(self.retrain_table());
        }
        if !self.drift.series.is_empty() {
            lines.extend(self.drift_table());
        }
        let notes: Vec<String> = self
            .first_model_remark()
            .into_iter()
            .chain(notes.iter().map(|note| (*note).into()))
            .collect();
        if !notes.is_empty() {
            lines.extend([String::new(), "To be read with it".into()]);
            lines.extend(notes.iter().flat_map(|note| bullet(note)));
        }
        lines.extend(self.ending());
        lines
            .iter()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    fn head(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut told = vec![
            counted(counts.rows, "row", "rows"),
            counted(counts.predictions, "prediction", "predictions"),
            counted(self.accuracy.labels_joined, "label joined", "labels joined"),
        ];
        let beside = [
            (counts.rejects, "row rejected", "rows rejected"),
            (
                counts.quarantined,
                "record quarantined",
                "records quarantined",
            ),
            (
                self.accuracy.corrected,
                "label corrected",
                "labels corrected",
            ),
            (
                self.accuracy.orphaned,
                "label without a prediction",
                "labels without a prediction",
            ),
        ];
        let some = beside.iter().filter(|(number, ..)| *number > 0);
        told.extend(some.map(|(number, one, many)| counted(*number, one, many)));
        let mut lines = vec![format!("{} / {}", self.project, self.model)];
        lines.extend(indented(&told.join(", ")));
        if counts.predictions == 0 {
            lines.push("  nothing was predicted yet".into());
        } else if !self.is_scored() {
            lines.push("  no prediction has met its label yet".into());
        }
        lines
    }

    fn scores(&self) -> Vec<String> {
        let rows = thousands(self.accuracy.total().rows);
        let mut lines = vec![
            String::new(),
            format!("Accuracy, each over the same {rows} labelled rows"),
        ];
        let mut blocks = None;
        for forecast in self.accuracy.forecasts() {
            let mut line = format!(
                "  {:<26}{:>8}",
                forecast.name(),
                percent(self.accuracy.share(forecast))
            );
            let lead = self
                .accuracy
                .lead_over(forecast)
                .filter(|_| forecast != Forecast::Mainstem);
            if let Some(lead) = lead {
                let (mean, low, high) = (points(lead.mean), points(lead.low), points(lead.high));
                line += &format!("   Mainstem {mean:>6} points, 95 % interval {low} to {high}");
                blocks = Some(lead.blocks);
            }
            lines.push(line);
        }
        if let Some(blocks) = blocks {
            lines.push(format!(
                "  The intervals are over {blocks} blocks of {}, as neighbouring rows are alike.",
                self.window
            ));
        }
        lines
    }

    fn retrain_table(&self) -> Vec<String> {
        let suppressed: u64 = self.suppressed.values().sum();
        let title = format!(
            "Retrains: {} requested, {} promoted, {} rejected; {} held back",
            self.retrains.len(),
            self.passed(),
            self.rejected(),
            counted(suppressed, "condition", "conditions")
        );
        let header = retrain_row([
            "row",
            "date",
            "reason",
            "version",
            "gate",
            "promoted at row",
        ]);
        let mut lines = vec![String::new(), title, header];
        lines.extend(self.retrains.iter().map(retrain_line));
        lines
    }

    fn drift_table(&self) -> Vec<String> {
        let columns = self.drift.columns();
        let wide = columns
            .iter()
            .map(|(_, name)| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(12);
        let header = format!("  {:<wide$}{:>18}{:>18}", "", "PSI", "KS");
        let mut lines = vec![
            String::new(),
            "Drift, first detected at row (times detected)".into(),
            header,
        ];
        for (subject, feature) in columns {
            let told = |method| self.first_row((subject, feature, method));
            let name = match subject {
                Subject::Features | Subject::Arrivals => feature,
                Subject::Predictions => "predictions",
            };
            lines.push(format!(
                "  {name:<wide$}{:>18}{:>18}",
                told(DriftMethod::Psi),
                told(DriftMethod::Ks)
            ));
        }
        lines
    }

    fn first_row(&self, watched: (Subject, &str, DriftMethod)) -> String {
        let mut detections = self.drift.detections_of(watched);
        let Some(first) = detections.next() else {
            return "–".into();
        };
        format!("{} ({})", thousands(first.at.row), 1 + detections.count())
    }

    fn ending(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        lines.extend(self.audit_line());
        if let Some(seconds) = self.seconds {
            lines.push(format!("Time: {seconds:.1} s"));
        }
        if lines.len() == 1 { Vec::new() } else { lines }
    }

    /// What the audit found, in a line.
    pub(super) fn audit_line(&self) -> Option<String> {
        let audit = self.audit?;
        let verdict = match audit.mismatches {
            0 => "every one as it was".into(),
            some => format!("{} found", counted(some, "mismatch", "mismatches")),
        };
        Some(format!(
            "Audit: {} and {} recomputed, {verdict}",
            counted(audit.turns, "turn", "turns"),
            counted(audit.derived_events, "derived event", "derived events")
        ))
    }
}

fn retrain_row([row, date, reason, version, gate, promoted]: [&str; 6]) -> String {
    format!("  {row:>8}  {date:<10}  {reason:<11}  {version:<8}  {gate:<22}  {promoted:>15}")
}

fn retrain_line(it: &Retrain) -> String {
    let promoted = it
        .promoted
        .map_or_else(|| "–".into(), |at| thousands(at.row));
    let row = thousands(it.requested.row);
    let version = it.version.as_deref().unwrap_or("–");
    retrain_row([
        &row,
        &date(it.requested.time),
        reason_name(it.reason),
        version,
        it.gate.short(),
        &promoted,
    ])
}

fn indented(text: &str) -> Vec<String> {
    wrap(text, WIDTH - 2)
        .iter()
        .map(|line| format!("  {line}"))
        .collect()
}

fn bullet(text: &str) -> Vec<String> {
    let lead = |at: usize| if at == 0 { "  - " } else { "    " };
    wrap(text, WIDTH - 4)
        .iter()
        .enumerate()
        .map(|(at, line)| format!("{}{line}", lead(at)))
        .collect()
}
