//! Rollout: how a version comes to serve.
//!
//! The first approved version serves at once, and stays as a control for ever where the definition says so. Every
//! later one predicts beside the champion as a shadow; after `rollout.shadow` of log time, once both have predicted
//! enough of the same labelled rows, the one that had more of them right serves. People may promote a version before
//! its time, and roll back to the champion before.
//!
//! Changes of the champion have distinct log times: a second one waits until log time moves on. So whoever reads the
//! topic knows the present champion by `since` alone, in whatever order a tick releases events to him.

mod asked;
mod gate;
#[cfg(test)]
mod tests;
mod versions;

use mainstem_kernel::decider::{Decider, Decision, Moment, Recent, Taken};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, Event, Promoted, RetrainOutcome, Role};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

pub use asked::Refusal;

use asked::{Ask, Asked};
use gate::Pairs;
use versions::{Version, Versions};

/// Ranks of the inputs.
mod input {
    pub const MODELS: usize = 0;
    pub const PERFORMANCE: usize = 1;
    pub const TRIGGERS: usize = 2;
    pub const REQUESTS: usize = 3;
}

/// Champions that are remembered: as far as one can roll back.
const MAX_CHAMPIONS: usize = 64;

/// Requests that wait for their answer at most; those beyond are not answered. People ask a few times a day.
const MAX_ASKED: usize = 1_000;

/// The rollout of one model.
pub struct RolloutMachine {
    model: String,
}

impl RolloutMachine {
    /// The rollout of that model.
    #[must_use]
    pub fn new(model: &str) -> Self {
        RolloutMachine {
            model: model.into(),
        }
    }
}

/// What the rollout knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    versions: Versions,
    deployed: Deployed,
    /// Champions so far, the present one last; a roll-back takes it off.
    champions: Vec<String>,
    /// Log time of the last change of the champion.
    changed: Option<Millis>,
    pairs: Pairs,
    /// Retrains that were given up, for versions that come after it.
    expired: Recent,
    /// What people asked and is not answered yet, in the order of its release.
    asked: Vec<Asked>,
}

impl State {
    fn champion(&self) -> Option<&DeploymentStarted> {
        self.deployed.champion()
    }

    /// Whether the champion may change at this time.
    fn may_change(&self, now: Millis) -> bool {
        self.changed.is_none_or(|changed| changed < now)
    }

    fn is_shadow(&self, version: &str) -> bool {
        self.deployed.get(Role::Shadow, version).is_some()
    }

    /// Versions that may not be forgotten.
    fn needed(&self, version: &str) -> bool {
        self.champions.iter().any(|champion| champion == version)
            || self
                .deployed
                .active()
                .iter()
                .any(|it| it.version == version)
    }

    fn take_model(&mut self, event: &Event) {
        match event {
            Event::ModelVersionRegistered(registered) => {
                let version = self.versions.entry(&registered.version);
                version.expired |= registered.run.is_some_and(|run| self.expired.has(&run));
                version.registered = Some(registered.clone());
            }
            Event::ModelApproved(approved) => {
                self.versions.entry(&approved.version).approved = true;
            }
            Event::ModelRejected(rejected) => {
                self.versions.entry(&rejected.version).rejected = true;
            }
            _ => return,
        }
        let needed: Vec<String> = self
            .versions
            .names()
            .filter(|name| self.needed(name))
            .map(Into::into)
            .collect();
        self.versions.prune(|name| needed.iter().any(|n| n == name));
    }
}

impl Decider for RolloutMachine {
    const VERSION: u32 = 1;
    type State = State;
    type Refusal = Refusal;

    fn model(&self) -> &str {
        &self.model
    }

    fn take(&self, state: &mut State, at: &Moment<'_>, taken: &Taken) {
        match (taken.input, &taken.event) {
            (input::MODELS, event) => state.take_model(event),
            (input::PERFORMANCE, Event::PerformanceMeasured(measured))
                if measured.role == Role::Shadow && state.is_shadow(&measured.version) =>
            {
                state.pairs.take(measured);
            }
            (input::TRIGGERS, Event::RetrainClosed(closed))
                if closed.outcome == RetrainOutcome::Expired =>
            {
                state.expired.put(closed.retrain);
                state.versions.expire(closed.retrain);
            }
            (input::REQUESTS, event) => {
                if let Some(ask) = Ask::of(event)
                    && state.asked.len() < MAX_ASKED
                {
                    let actor = taken.envelope.actor.clone();
                    state
                        .asked
                        .push(Asked::new(taken.id(), at.now(), ask, actor));
                }
            }
            _ => {}
        }
    }

    fn decide(&self, state: &State, at: &Moment<'_>) -> Result<Vec<Decision>, Refusal> {
        if let Some(decision) = self.place_baseline(state, at) {
            return Ok(vec![decision]);
        }
        let answer = self.answer(state, at)?;
        if !answer.is_empty() {
            return Ok(answer);
        }
        if let Some(decisions) = self.place(state, at) {
            return Ok(decisions);
        }
        Ok(self.judge(state, at).into_iter().collect())
    }

    fn evolve(&self, state: &mut State, at: &Moment<'_>, _id: EventId, event: &Event) {
        state.deployed.take(&self.model, event);
        match event {
            Event::DeploymentStarted(started) => {
                state.versions.entry(&started.version).placed = true;
            }
            Event::Promoted(promoted) => {
                state.changed = Some(at.now());
                state.champions.push(promoted.version.clone());
                let over = state.champions.len().saturating_sub(MAX_CHAMPIONS);
                state.champions.drain(..over);
                state.pairs.forget(&promoted.version);
                // Who asked for it has it, whatever brought it about.
                state
                    .asked
                    .retain(|asked| !asked.promotes(&promoted.version));
            }
            Event::RolledBack(_) => {
                state.changed = Some(at.now());
                state.champions.pop();
                if let Some(first) = state.asked.iter().position(Asked::rolls_back) {
                    state.asked.remove(first);
                }
            }
            Event::DeploymentEnded(ended) => state.pairs.forget(&ended.version),
            _ => {}
        }
    }

    fn refuse(&self, state: &mut State, refusal: &Refusal) {
        state.asked.retain(|asked| asked.id != refusal.asked());
    }
}

impl RolloutMachine {
    fn place_baseline(&self, state: &State, at: &Moment<'_>) -> Option<Decision> {
        let (name, version) = state.versions.baseline()?;
        let started = self.started(name, version, Role::Baseline, at)?;
        Some(Decision::root(
            started,
            self.model.as_bytes(),
            "started/baseline",
        ))
    }

    /// An approved version begins: the first one as the champion, the others as shadows. One whose retrain was given
    /// up meanwhile does not.
    fn place(&self, state: &State, at: &Moment<'_>) -> Option<Vec<Decision>> {
        let (name, version) = state.versions.next()?;
        let run = version.run()?;
        if state.champion().is_none() {
            return self.first(name, version, Some(run), run, "the first version", at);
        }
        let shadow = self.started(name, version, Role::Shadow, at)?;
        Some(vec![Decision::new(shadow, run, "started/shadow")])
    }

    /// The first champion, with its control. `origin` is what led to it.
    fn first(
        &self,
        name: &str,
        version: &Version,
        retrain: Option<EventId>,
        origin: EventId,
        detail: &str,
        at: &Moment<'_>,
    ) -> Option<Vec<Decision>> {
        let champion = self.started(name, version, Role::Champion, at)?;
        let promoted = self.promoted(name, None, retrain, detail.into(), at);
        let mut decisions = vec![
            Decision::new(champion, origin, "started/champion"),
            Decision::new(promoted, origin, "promoted"),
        ];
        if at.model().control {
            let control = self.started(name, version, Role::Control, at)?;
            decisions.push(Decision::new(control, origin, "started/control"));
        }
        Some(decisions)
    }

    fn started(
        &self,
        name: &str,
        version: &Version,
        role: Role,
        at: &Moment<'_>,
    ) -> Option<DeploymentStarted> {
        let registered = version.registered.as_ref()?;
        Some(DeploymentStarted {
            model: self.model.clone(),
            version: name.into(),
            role,
            onnx: registered.onnx,
            features: registered.features.clone(),
            view: registered.view,
            profile: registered.profile,
            prediction_profile: registered.prediction_profile,
            since: at.now(),
        })
    }

    fn promoted(
        &self,
        version: &str,
        previous: Option<String>,
        retrain: Option<EventId>,
        detail: String,
        at: &Moment<'_>,
    ) -> Promoted {
        Promoted {
            model: self.model.clone(),
            version: version.into(),
            previous,
            retrain,
            detail,
            since: at.now(),
        }
    }
}
