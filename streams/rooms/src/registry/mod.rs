//! Registry: runs become model versions, versions pass a gate, names mean versions.
//!
//! A run that ended well becomes the next version, `v1`, `v2` …, and at once meets the offline gate: on its validation
//! rows it must be right more often than the majority class of the rows before them. The naive forecast becomes the
//! version `baseline`, which no gate holds back and nobody promotes. The next room is [`crate::rollout`]; what it
//! decides comes back: a version that lost as a shadow is rejected, and the alias `champion` follows the one that
//! serves.

mod state;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use mainstem_kernel::decider::{Decider, Decision, Moment, Taken};
use mainstem_schemas::definition;
use mainstem_schemas::events::{
    AliasSet, BaselineBuilt, Event, ModelApproved, ModelRejected, ModelVersionRegistered,
    RunFinished,
};
use mainstem_schemas::{Digest, EventId};

pub use state::State;
use state::{Baseline, Lost, Run};

/// Ranks of the inputs. The fourth, `requests.registry`, holds nothing that this version acts on.
mod input {
    pub const DEPLOYMENTS: usize = 0;
    pub const RUNS: usize = 1;
    pub const OUTCOMES: usize = 2;
}

/// Version of the naive forecast.
const BASELINE: &str = "baseline";

/// The alias of the version that serves.
const CHAMPION: &str = "champion";

/// The registry of one model.
pub struct RegistryMachine {
    model: String,
}

impl RegistryMachine {
    /// The registry of that model.
    #[must_use]
    pub fn new(model: &str) -> Self {
        RegistryMachine {
            model: model.into(),
        }
    }
}

impl Decider for RegistryMachine {
    const VERSION: u32 = 1;
    type State = State;
    type Refusal = Infallible;

    fn model(&self) -> &str {
        &self.model
    }

    fn take(&self, state: &mut State, at: &Moment<'_>, taken: &Taken) {
        match (taken.input, &taken.event) {
            (input::DEPLOYMENTS, event) => {
                state.take_deployment(taken.id(), taken.envelope.correlation, event);
            }
            (input::RUNS, event) => state.take_run(at, taken.id(), event),
            (input::OUTCOMES, Event::BaselineBuilt(built)) => {
                if matches!(state.baseline, Baseline::Absent) {
                    state.baseline = Baseline::Built(taken.id(), built.clone());
                }
            }
            _ => {}
        }
    }

    fn decide(&self, state: &State, at: &Moment<'_>) -> Result<Vec<Decision>, Infallible> {
        if let Baseline::Built(id, built) = &state.baseline {
            return Ok(vec![self.register_baseline(at, *id, built)]);
        }
        for (id, run) in &state.runs {
            if let Some(decisions) = self.register(state, *id, run) {
                return Ok(decisions);
            }
        }
        if let Some(lost) = state.lost.first() {
            return Ok(vec![self.reject(lost)]);
        }
        Ok(self.alias(state).into_iter().collect())
    }

    fn evolve(&self, state: &mut State, _at: &Moment<'_>, _id: EventId, event: &Event) {
        match event {
            Event::ModelVersionRegistered(registered) => match registered.run {
                None => state.baseline = Baseline::Registered,
                Some(run) => {
                    state.versions += 1;
                    state.runs.remove(&run);
                }
            },
            Event::ModelRejected(rejected) => {
                state.lost.retain(|lost| lost.version != rejected.version);
            }
            Event::AliasSet(set) => state.alias = Some(set.version.clone()),
            _ => {}
        }
    }
}

impl RegistryMachine {
    fn register_baseline(&self, at: &Moment<'_>, id: EventId, built: &BaselineBuilt) -> Decision {
        let view = at.project().views.get(&at.model().view);
        let registered = ModelVersionRegistered {
            model: self.model.clone(),
            version: BASELINE.into(),
            run: None,
            onnx: built.onnx,
            features: built.features.clone(),
            view: view.map_or_else(Digest::default, definition::digest_of),
            content: None,
            profile: None,
            prediction_profile: None,
        };
        Decision::root(registered, self.model.as_bytes(), "registered/baseline")
            .because_of(Some(id))
    }

    /// A version of a run of which everything is known, and what the gate says of it.
    fn register(&self, state: &State, id: EventId, run: &Run) -> Option<Vec<Decision>> {
        let bound = run.bound.as_ref()?;
        let (cause, finished) = run.finished.as_ref()?;
        let version = format!("v{}", state.versions + 1);
        let registered = ModelVersionRegistered {
            model: self.model.clone(),
            version: version.clone(),
            run: Some(id),
            onnx: finished.onnx,
            features: bound.features.clone(),
            view: bound.view,
            content: Some(finished.content),
            profile: Some(finished.profile),
            prediction_profile: Some(finished.prediction_profile),
        };
        let registered = Decision::new(registered, id, "registered");
        let verdict = self.gate(version, id, finished);
        Some(vec![
            registered.because_of(Some(*cause)),
            verdict.because_of(Some(*cause)),
        ])
    }

    fn gate(&self, version: String, run: EventId, finished: &RunFinished) -> Decision {
        let (right, majority) = (finished.validation_correct, finished.majority_correct);
        let detail = format!(
            "{right} of {} validation rows right, the majority class {majority}",
            finished.validation_rows
        );
        let model = self.model.clone();
        if right > majority {
            let approved = ModelApproved {
                model,
                version,
                detail,
            };
            return Decision::new(approved, run, "approved");
        }
        let rejected = ModelRejected {
            model,
            version,
            retrain: run,
            detail,
        };
        Decision::new(rejected, run, "rejected")
    }

    fn reject(&self, lost: &Lost) -> Decision {
        let rejected = ModelRejected {
            model: self.model.clone(),
            version: lost.version.clone(),
            retrain: lost.retrain,
            detail: lost.reason.clone(),
        };
        Decision::new(rejected, lost.retrain, "rejected").because_of(Some(lost.by))
    }

    fn alias(&self, state: &State) -> Option<Decision> {
        let champion = state.champion.as_ref()?;
        if state.alias.as_ref() == Some(&champion.version) {
            return None;
        }
        let set = AliasSet {
            model: self.model.clone(),
            alias: CHAMPION.into(),
            version: champion.version.clone(),
        };
        let key = [self.model.as_bytes(), champion.version.as_bytes()].join(&b'/');
        let discriminator = format!("alias/{CHAMPION}/{}", champion.since);
        let decision = Decision::root(set, key, discriminator);
        Some(decision.in_chain(champion.chain).because_of(champion.chain))
    }
}
