//! Events in words, with their figures.

use mainstem_schemas::events::{DriftMethod, Event, RetrainReason, Role, Subject};

/// What an event says, in a line.
pub(super) fn of(event: &Event) -> String {
    match event {
        Event::DriftDetected(e) => format!(
            "{} of {} reached {:?} over {} windows up to {}; the threshold is {:?}",
            method(e.method),
            column(e.subject, &e.feature),
            e.statistic,
            e.windows,
            e.window_end,
            e.threshold
        ),
        Event::DriftMeasured(e) => format!(
            "{} of {} was {:?} of {} rows from {} to {}; the threshold is {:?}",
            method(e.method),
            column(e.subject, &e.feature),
            e.statistic,
            e.rows,
            e.window_start,
            e.window_end,
            e.threshold
        ),
        Event::PerformanceMeasured(e) => format!(
            "{} ({}) had {} of {} right from {} to {}",
            e.version,
            role_name(e.role),
            e.true_positives + e.true_negatives,
            e.rows,
            e.window_start,
            e.window_end
        ),
        Event::RetrainRequested(e) => {
            format!("{}: {}; data as of {}", reason(e.reason), e.detail, e.as_of)
        }
        Event::DatasetBound(e) => format!(
            "{} labelled rows from {} to {}, as of {}",
            e.rows, e.from, e.to, e.as_of
        ),
        Event::RunFinished(e) => format!(
            "{} of {} validation rows right, the majority class {}",
            e.validation_correct, e.validation_rows, e.majority_correct
        ),
        Event::TrainingCompleted(e) => format!("{} trained it", e.trainer),
        Event::ModelVersionRegistered(e) => {
            format!("{} takes {}", e.version, e.features.join(", "))
        }
        Event::ModelApproved(e) => format!("{} was approved: {}", e.version, e.detail),
        Event::ModelRejected(e) => format!("{} was rejected: {}", e.version, e.detail),
        Event::DeploymentStarted(e) => {
            format!(
                "{} deployed as {} since {}",
                e.version,
                role_name(e.role),
                e.since
            )
        }
        Event::Promoted(e) => format!(
            "{} promoted to champion since {}{}: {}",
            e.version,
            e.since,
            e.previous
                .as_ref()
                .map_or(String::new(), |before| format!(" in the place of {before}")),
            e.detail
        ),
        Event::RolledBack(e) => format!(
            "rolled back from {} to {} since {}: {}",
            e.previous, e.version, e.since, e.detail
        ),
        Event::DeploymentEnded(e) => format!(
            "{} ended as {} at {}: {}",
            e.version,
            role_name(e.role),
            e.since,
            e.reason
        ),
        other => format!("{} {}", other.name(), other.to_json()),
    }
}

fn column(subject: Subject, feature: &str) -> String {
    match subject {
        Subject::Features => format!("the feature {feature}"),
        Subject::Predictions => "the predicted probability".into(),
        Subject::Arrivals => format!("the column {feature}"),
    }
}

fn method(method: DriftMethod) -> &'static str {
    match method {
        DriftMethod::Psi => "PSI",
        DriftMethod::Ks => "KS",
    }
}

fn reason(reason: RetrainReason) -> &'static str {
    match reason {
        RetrainReason::Initial => "the first training",
        RetrainReason::OnDemand => "somebody asked",
        RetrainReason::Performance => "the champion fell behind",
        RetrainReason::Drift => "a distribution changed",
    }
}

/// A role as events write it.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Champion => "champion",
        Role::Shadow => "shadow",
        Role::Control => "control",
        Role::Baseline => "baseline",
    }
}
