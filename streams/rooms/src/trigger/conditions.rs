//! The conditions that ask for a retrain of themselves, and what may hold them back.

use std::cmp::Reverse;
use std::fmt;

use mainstem_kernel::decider::Moment;
use mainstem_schemas::events::{DriftDetected, DriftMethod, RetrainReason};
use mainstem_schemas::{EventId, Millis, Span};
use serde::{Deserialize, Serialize};

use super::State;

/// Alarms that a detail spells out; the others are counted.
const SPELLED: usize = 3;

/// Events that a request rests on by name, the newest; 34 KB of ids, for the log takes no more than 1 MiB.
pub(super) const EVIDENCE: usize = 1_000;

/// A condition that holds.
pub(super) struct Condition {
    pub reason: RetrainReason,
    /// In words with the figures.
    pub detail: String,
    pub evidence: Vec<EventId>,
}

impl Condition {
    /// A condition that rests on these, the newest first; where they are too many, the detail says how many there are.
    fn new(reason: RetrainReason, mut detail: String, mut evidence: Vec<EventId>) -> Self {
        if evidence.len() > EVIDENCE {
            let all = evidence.len();
            detail = format!("{detail}; the evidence is the newest {EVIDENCE} events of {all}");
            evidence.truncate(EVIDENCE);
        }
        Condition {
            reason,
            detail,
            evidence,
        }
    }
}

/// Why a condition is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cause {
    /// A retrain is open.
    Open(EventId),
    /// The cool-down lasts until then.
    Cooldown(Millis),
}

impl Cause {
    /// Its part of an id.
    pub fn key(&self) -> String {
        match self {
            Cause::Open(retrain) => format!("open/{retrain}"),
            Cause::Cooldown(until) => format!("cooldown/{until}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Open(retrain) => write!(f, "retrain {retrain} is open"),
            Cause::Cooldown(until) => write!(f, "the cool-down lasts until {until}"),
        }
    }
}

/// What holds a condition back now. A cool-down of nothing still is longer than no time at all: else a retrain that
/// fails at once would be requested again in the next round of the same time, for ever.
pub(super) fn cause(state: &State, at: &Moment<'_>) -> Option<Cause> {
    if let Some(open) = &state.open {
        return Some(Cause::Open(open.retrain));
    }
    let cooldown = Span(at.model().retrain.cooldown.at_least_one());
    let until = state.last?.plus(cooldown);
    (at.now() < until).then_some(Cause::Cooldown(until))
}

/// The conditions that hold, drift first.
pub(super) fn holding(state: &State, at: &Moment<'_>) -> Vec<Condition> {
    drift(state, at)
        .into_iter()
        .chain(performance(state, at))
        .collect()
}

/// An alarm of the present champion is open whose test the policy follows. Alarms against an older champion's data are
/// about to be cleared, and say nothing of the present one.
fn drift(state: &State, at: &Moment<'_>) -> Option<Condition> {
    let champion = state.champion.as_ref()?;
    let methods = &at.model().retrain.drift;
    let counts = |alarm: &DriftDetected| {
        alarm.version == champion.version && methods.contains(&alarm.method)
    };
    let mut open: Vec<_> = state
        .alarms
        .iter()
        .filter(|(_, alarm)| counts(alarm))
        .collect();
    open.sort_by_key(|(_, alarm)| Reverse(alarm.window_end));
    let spelled: Vec<String> = open
        .iter()
        .take(SPELLED)
        .map(|(_, alarm)| spell(alarm))
        .collect();
    let more = open.len().saturating_sub(SPELLED);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    (!open.is_empty()).then(|| {
        let detail = format!("{}{more}", spelled.join("; "));
        let evidence = open.iter().map(|(id, _)| **id).collect();
        Condition::new(RetrainReason::Drift, detail, evidence)
    })
}

fn spell(alarm: &DriftDetected) -> String {
    let method = match alarm.method {
        DriftMethod::Psi => "PSI",
        DriftMethod::Ks => "KS",
    };
    format!(
        "{method} of {} is {:.4}, threshold {}, in {} windows up to {}",
        alarm.feature, alarm.statistic, alarm.threshold, alarm.windows, alarm.window_end
    )
}

/// Over the last windows the champion had a smaller share right than the baseline, by more than the tolerance. What was
/// measured up to the champion's promotion was answered by it, and what a request rested on is not followed twice.
fn performance(state: &State, at: &Moment<'_>) -> Option<Condition> {
    let champion = state.champion.as_ref()?;
    let policy = at.model().retrain.performance.as_ref()?;
    let last = state
        .measured
        .last(policy.windows, at.project().partitions)?;
    let behind = last.champion.accuracy()? < last.baseline.accuracy()? - policy.tolerance;
    let detail = format!(
        "champion {}, baseline {}, in {} windows up to {}; tolerance {}",
        last.champion, last.baseline, policy.windows, last.until, policy.tolerance
    );
    let condition = Condition::new(RetrainReason::Performance, detail, last.evidence);
    let news = last.until > champion.since && condition.evidence != state.followed;
    (behind && news).then_some(condition)
}

pub(super) fn name(reason: RetrainReason) -> &'static str {
    match reason {
        RetrainReason::Initial => "initial",
        RetrainReason::OnDemand => "on_demand",
        RetrainReason::Performance => "performance",
        RetrainReason::Drift => "drift",
    }
}
