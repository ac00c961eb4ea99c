//! Trigger: when a model is to be retrained.
//!
//! In come drift alarms, performance, what people ask, and how retrains ended; out go `RetrainRequested`,
//! `RetrainSuppressed` and `RetrainClosed`. One retrain of a model is open at a time; it ends when its version is
//! promoted or rejected, when its run fails, or when it is older than the policy's expiry. The next room is
//! [`crate::training`].
//!
//! On a tick everything released is taken first, so that a retrain which ends and a condition which holds on the same
//! tick meet; then, in this order: closing, what people asked, the first training, drift, performance.

mod conditions;
mod state;
#[cfg(test)]
mod tests;
mod windows;

use std::convert::Infallible;

use mainstem_kernel::decider::{Decider, Decision, Moment, Taken};
use mainstem_schemas::EventId;
use mainstem_schemas::events::{
    Event, RetrainClosed, RetrainOutcome, RetrainReason, RetrainRequested, RetrainSuppressed,
};

use crate::words;
use conditions::{Cause, Condition};
use state::Open;
pub use state::State;

/// Ranks of the inputs.
mod input {
    pub const DEPLOYMENTS: usize = 0;
    pub const PERFORMANCE: usize = 1;
    pub const DRIFT: usize = 2;
    pub const MODELS: usize = 3;
    pub const RUNS: usize = 4;
    pub const REQUESTS: usize = 5;
}

/// The trigger of one model.
pub struct TriggerMachine {
    model: String,
}

impl TriggerMachine {
    /// The trigger of that model.
    #[must_use]
    pub fn new(model: &str) -> Self {
        TriggerMachine {
            model: model.into(),
        }
    }
}

impl Decider for TriggerMachine {
    const VERSION: u32 = 1;
    type State = State;
    type Refusal = Infallible;

    fn model(&self) -> &str {
        &self.model
    }

    fn take(&self, state: &mut State, at: &Moment<'_>, taken: &Taken) {
        match (taken.input, &taken.event) {
            (input::DEPLOYMENTS, event) => state.take_deployment(taken.id(), event),
            (input::DRIFT, event) => state.take_drift(taken.id(), event),
            (input::PERFORMANCE, Event::PerformanceMeasured(measured)) => {
                state
                    .measured
                    .take(taken.id(), measured, &at.model().retrain)
            }
            (input::MODELS, Event::ModelRejected(rejected)) => {
                state.ends(rejected.retrain, RetrainOutcome::Rejected, taken.id());
            }
            (input::RUNS, Event::RunFailed(failed)) => {
                state.ends(failed.run, RetrainOutcome::Failed, taken.id());
            }
            (input::REQUESTS, Event::RetrainAsked(asked)) => {
                let words = words::asked(taken.envelope.actor.as_deref(), &asked.note);
                state.ask(taken.id(), words);
            }
            _ => {}
        }
    }

    fn decide(&self, state: &State, at: &Moment<'_>) -> Result<Vec<Decision>, Infallible> {
        let next = self
            .close(state, at)
            .or_else(|| self.answer(state, at))
            .or_else(|| self.first(state, at))
            .or_else(|| self.follow(state, at));
        Ok(next.into_iter().collect())
    }

    fn evolve(&self, state: &mut State, at: &Moment<'_>, id: EventId, event: &Event) {
        match event {
            Event::RetrainClosed(_) => state.open = None,
            Event::RetrainRequested(requested) => {
                let (retrain, since) = (id, at.now());
                state.open = Some(Open {
                    retrain,
                    since,
                    outcome: None,
                    ended_by: None,
                });
                state.last = Some(since);
                state.answers(&requested.evidence);
                if requested.reason == RetrainReason::Performance {
                    state.followed.clone_from(&requested.evidence);
                }
                // Whatever holds at this moment is what the retrain is for; it is not said again that it is open.
                for held in conditions::holding(state, at) {
                    let noted = (Cause::Open(retrain), held.evidence);
                    state.noted.insert(held.reason, noted);
                }
            }
            Event::RetrainSuppressed(suppressed) => {
                state.answers(&suppressed.evidence);
                if let Some(cause) = conditions::cause(state, at) {
                    let noted = (cause, suppressed.evidence.clone());
                    state.noted.insert(suppressed.reason, noted);
                }
            }
            _ => {}
        }
    }
}

impl TriggerMachine {
    fn close(&self, state: &State, at: &Moment<'_>) -> Option<Decision> {
        let open = state.open.as_ref()?;
        let expired = at.now().since(open.since) >= at.model().retrain.expiry;
        let expired = expired.then_some(RetrainOutcome::Expired);
        let closed = RetrainClosed {
            model: self.model.clone(),
            retrain: open.retrain,
            outcome: open.outcome.or(expired)?,
        };
        let because = open.ended_by.or(Some(open.retrain));
        Some(Decision::new(closed, open.retrain, "closed").because_of(because))
    }

    /// What people ask is not held back by the cool-down: they know why they ask.
    fn answer(&self, state: &State, at: &Moment<'_>) -> Option<Decision> {
        let asked = state.asked.first()?;
        let condition = Condition {
            reason: RetrainReason::OnDemand,
            detail: asked.words.clone(),
            evidence: vec![asked.id],
        };
        let decision = match &state.open {
            Some(open) => self.suppress(&Cause::Open(open.retrain), &condition),
            None => self.request(at, condition, asked.id.0.to_vec(), "requested"),
        };
        Some(decision)
    }

    fn first(&self, state: &State, at: &Moment<'_>) -> Option<Decision> {
        let initial = at.model().retrain.initial?;
        if state.last.is_some() || at.now() < initial {
            return None;
        }
        let condition = Condition {
            reason: RetrainReason::Initial,
            detail: format!("the first training, due at {initial}"),
            evidence: Vec::new(),
        };
        Some(self.request(
            at,
            condition,
            self.model.clone().into_bytes(),
            "requested/initial",
        ))
    }

    /// Drift before performance: it is the earlier sign, and its alarms name the columns.
    fn follow(&self, state: &State, at: &Moment<'_>) -> Option<Decision> {
        let cause = conditions::cause(state, at);
        let held = conditions::holding(state, at);
        let Some(cause) = cause else {
            let condition = held.into_iter().next()?;
            let origin = origin_of(&condition.evidence);
            let name = conditions::name(condition.reason);
            let discriminator = format!("requested/{name}/{}", at.now());
            return Some(self.request(at, condition, origin, &discriminator));
        };
        let news = |held: &&Condition| match state.noted.get(&held.reason) {
            Some((noted, evidence)) => {
                *noted != cause || held.evidence.iter().any(|id| !evidence.contains(id))
            }
            None => true,
        };
        let condition = held.iter().find(news)?;
        Some(self.suppress(&cause, condition))
    }

    fn request(
        &self,
        at: &Moment<'_>,
        condition: Condition,
        origin: Vec<u8>,
        discriminator: &str,
    ) -> Decision {
        let because = condition.evidence.first().copied();
        let requested = RetrainRequested {
            model: self.model.clone(),
            reason: condition.reason,
            detail: condition.detail,
            evidence: condition.evidence,
            as_of: at.now(),
        };
        Decision::root(requested, origin, discriminator).because_of(because)
    }

    fn suppress(&self, cause: &Cause, condition: &Condition) -> Decision {
        let reason = condition.reason;
        let suppressed = RetrainSuppressed {
            model: self.model.clone(),
            reason,
            because: cause.to_string(),
            evidence: condition.evidence.clone(),
        };
        let name = conditions::name(reason);
        let discriminator = format!("suppressed/{name}/{}", cause.key());
        Decision::root(suppressed, origin_of(&condition.evidence), discriminator)
            .because_of(condition.evidence.first().copied())
    }
}

fn origin_of(evidence: &[EventId]) -> Vec<u8> {
    evidence.iter().flat_map(|id| id.0).collect()
}
