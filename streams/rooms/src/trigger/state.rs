//! What the trigger knows, and how events change it.

use std::collections::BTreeMap;

use mainstem_kernel::decider::Recent;
use mainstem_schemas::events::{DriftDetected, Event, RetrainOutcome, RetrainReason, Role};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

use super::conditions::Cause;
use super::windows::Measured;

/// Alarms kept at most: tests times columns; a view of 2,000 features with two tests.
const MAX_ALARMS: usize = 4_000;

/// Requests that wait for their answer at most; those beyond are not answered. People ask a few times a day.
const MAX_ASKED: usize = 1_000;

/// What the trigger knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Log time of the last request.
    pub(super) last: Option<Millis>,
    pub(super) open: Option<Open>,
    /// Requests of people that are not answered yet, in the order of their release.
    pub(super) asked: Vec<Asked>,
    /// Requests of people that were answered: the same again is the same request.
    pub(super) answered: Recent,
    /// Open alarms.
    pub(super) alarms: BTreeMap<EventId, DriftDetected>,
    /// Alarms that were cleared before they came.
    pub(super) cleared: Recent,
    pub(super) measured: Measured,
    pub(super) champion: Option<Champion>,
    /// Evidence of the last request for performance: the same is not followed twice.
    pub(super) followed: Vec<EventId>,
    /// What was said last of a condition that was not followed.
    pub(super) noted: BTreeMap<RetrainReason, (Cause, Vec<EventId>)>,
}

/// A retrain that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) retrain: EventId,
    pub(super) since: Millis,
    /// How it ended, once that is known.
    pub(super) outcome: Option<RetrainOutcome>,
    /// The event that ended it.
    pub(super) ended_by: Option<EventId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) id: EventId,
    pub(super) words: String,
}

/// The version that serves. Changes of the champion have distinct log times (the rollout sees to it), so the latest is
/// the present one in whatever order they come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Champion {
    pub(super) since: Millis,
    pub(super) version: String,
}

impl State {
    pub(super) fn serves(&mut self, version: &str, since: Millis) {
        if self
            .champion
            .as_ref()
            .is_none_or(|champion| champion.since <= since)
        {
            self.champion = Some(Champion {
                since,
                version: version.into(),
            });
        }
    }

    pub(super) fn ask(&mut self, id: EventId, words: String) {
        let again = self.answered.has(&id) || self.asked.iter().any(|asked| asked.id == id);
        if !again && self.asked.len() < MAX_ASKED {
            self.asked.push(Asked { id, words });
        }
    }

    /// A request was answered, by an event that names it as evidence.
    pub(super) fn answers(&mut self, evidence: &[EventId]) {
        let (answered, asked) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition(|asked| evidence.contains(&asked.id));
        self.asked = asked;
        let answered: Vec<Asked> = answered;
        answered
            .iter()
            .for_each(|asked| self.answered.put(asked.id));
    }

    pub(super) fn ends(&mut self, retrain: EventId, outcome: RetrainOutcome, by: EventId) {
        if let Some(open) = &mut self.open
            && open.retrain == retrain
            && open.outcome.is_none()
        {
            open.outcome = Some(outcome);
            open.ended_by = Some(by);
        }
    }

    pub(super) fn take_drift(&mut self, id: EventId, event: &Event) {
        match event {
            Event::DriftDetected(alarm) => {
                let cleared = self.cleared.remove(&id);
                if !cleared && self.alarms.len() < MAX_ALARMS {
                    self.alarms.insert(id, alarm.clone());
                }
            }
            Event::DriftCleared(cleared) => {
                let known = self.alarms.remove(&cleared.detected).is_some();
                if !known {
                    self.cleared.put(cleared.detected);
                }
            }
            _ => {}
        }
    }

    pub(super) fn take_deployment(&mut self, id: EventId, event: &Event) {
        match event {
            Event::DeploymentStarted(started) if started.role == Role::Champion => {
                self.serves(&started.version, started.since);
            }
            Event::Promoted(promoted) => {
                self.serves(&promoted.version, promoted.since);
                if let Some(retrain) = promoted.retrain {
                    self.ends(retrain, RetrainOutcome::Promoted, id);
                }
            }
            Event::RolledBack(back) => self.serves(&back.version, back.since),
            Event::DeploymentEnded(ended) => {
                if let Some(retrain) = ended.retrain {
                    self.ends(retrain, RetrainOutcome::Rejected, id);
                }
            }
            _ => {}
        }
    }
}
