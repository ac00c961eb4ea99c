//! The summary for programs. Rows count arrivals; shares lie between 0 and 1; times are RFC 3339 in UTC.

use mainstem_schemas::events::Subject;
use mainstem_statistics::blocks::MeanDifference;
use serde_json::{Map, Value, json};

use super::drift::method_name;
use super::lifecycle::reason_name;
use super::{At, Change, ChangeKind, Detection, Forecast, Retrain, Summary, Window};

impl Summary {
    /// The summary as JSON: the same log gives the same text, but for `seconds`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let first = self.drift.first();
        let audit = self.audit.map(|audit| {
            json!({
                "turns": audit.turns,
                "derived_events": audit.derived_events,
                "mismatches": audit.mismatches,
            })
        });
        json!({
            "project": self.project,
            "model": self.model,
            "definition": self.definition.to_string(),
            "rows": self.counts.rows,
            "predictions": self.counts.predictions,
            "labels_joined": self.accuracy.labels_joined,
            "accuracy": {
                "no_change": self.accuracy.share(Forecast::NoModel),
                "first_model": self.accuracy.share(Forecast::FirstModel),
                "mainstem": self.accuracy.share(Forecast::Mainstem),
            },
            "accuracy_rows": self.accuracy.total().rows,
            "intervals": {
                "mainstem_minus_no_change": self.accuracy.lead_over(Forecast::NoModel).map(interval),
                "mainstem_minus_first_model": self.accuracy.lead_over(Forecast::FirstModel).map(interval),
            },
            "first_model_as_good_until_row": self.accuracy.first_model_leads_until().map(|window| window.end.row),
            "retrains": self.retrains.iter().map(retrain).collect::<Vec<_>>(),
            "suppressed": self.suppressed.iter()
                .map(|(reason, count)| (reason_name(*reason).to_owned(), json!(count)))
                .collect::<Map<_, _>>(),
            "champions": self.changes.iter().map(change).collect::<Vec<_>>(),
            "drift": first.into_iter().map(first_detection).collect::<Vec<_>>(),
            "drift_detections": self.drift.detections.iter().map(detection).collect::<Vec<_>>(),
            "windows": self.accuracy.windows.iter().map(window).collect::<Vec<_>>(),
            "labels_corrected": self.accuracy.corrected,
            "labels_orphaned": self.accuracy.orphaned,
            "rejects": self.counts.rejects,
            "quarantined": self.counts.quarantined,
            "turns": self.counts.turns,
            "records": self.counts.topics,
            "audit": audit,
            "seconds": self.seconds,
        })
    }
}

fn interval(lead: MeanDifference) -> Value {
    json!({
        "mean": lead.mean,
        "low": lead.low,
        "high": lead.high,
        "standard_error": lead.standard_error,
        "blocks": lead.blocks,
        "rows": lead.records,
    })
}

fn retrain(it: &Retrain) -> Value {
    let evidence = it
        .evidence
        .iter()
        .map(|found| json!({"id": found.id.to_string(), "text": found.text}));
    json!({
        "id": it.id.to_string(),
        "requested_at_row": it.requested.row,
        "requested_at": it.requested.time.to_string(),
        "reason": reason_name(it.reason),
        "detail": it.detail,
        "evidence": evidence.collect::<Vec<_>>(),
        "training_rows": it.training_rows,
        "model_version": it.version,
        "validation": it.validation,
        "gate": it.gate.to_string(),
        "gate_detail": it.gate.detail(),
        "ended_at_row": row(it.ended),
        "ended_at": time(it.ended),
        "promoted_at_row": row(it.promoted),
        "promoted_at": time(it.promoted),
    })
}

fn change(it: &Change) -> Value {
    let how = match it.kind {
        ChangeKind::Promoted => "promoted",
        ChangeKind::RolledBack => "rolled_back",
    };
    json!({
        "version": it.version,
        "previous": it.previous,
        "how": how,
        "row": it.at.row,
        "at": it.at.time.to_string(),
        "detail": it.detail,
    })
}

fn first_detection(it: &Detection) -> Value {
    json!({
        "subject": subject_name(it.subject),
        "feature": it.feature,
        "method": method_name(it.method).to_lowercase(),
        "first_detected_row": it.at.row,
        "first_detected_at": it.at.time.to_string(),
    })
}

fn detection(it: &Detection) -> Value {
    json!({
        "subject": subject_name(it.subject),
        "feature": it.feature,
        "method": method_name(it.method).to_lowercase(),
        "row": it.at.row,
        "at": it.at.time.to_string(),
        "version": it.version,
        "statistic": it.statistic,
        "threshold": it.threshold,
    })
}

fn window(it: &Window) -> Value {
    json!({
        "end": it.end.time.to_string(),
        "row": it.end.row,
        "rows": it.tally.rows,
        "no_change_right": it.tally.right(Forecast::NoModel),
        "first_model_right": it.tally.right(Forecast::FirstModel),
        "mainstem_right": it.tally.right(Forecast::Mainstem),
    })
}

fn subject_name(subject: Subject) -> &'static str {
    match subject {
        Subject::Features => "features",
        Subject::Predictions => "predictions",
        Subject::Arrivals => "arrivals",
    }
}

fn row(at: Option<At>) -> Option<u64> {
    at.map(|at| at.row)
}

fn time(at: Option<At>) -> Option<String> {
    at.map(|at| at.time.to_string())
}
