//! What people ask: a promotion before its time, a roll-back.

use mainstem_kernel::decider::{Decision, Moment};
use mainstem_schemas::events::{Event, Role, RolledBack};
use mainstem_schemas::{EventId, Millis, Span};
use serde::{Deserialize, Serialize};

use super::versions::BASELINE;
use super::{RolloutMachine, State};
use crate::words;

/// How long a request waits for a version that is not known yet: its registration was committed before the request, but
/// may be read after it.
const PATIENCE: Span = Span(60_000);

/// A request that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub id: EventId,
    taken: Millis,
    ask: Ask,
    words: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    Promote { version: String, note: String },
    RollBack { note: String },
}

/// Why something asked is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such version.
    #[error("there is no version {version}; ask for one that is registered")]
    UnknownVersion {
        /// The request.
        asked: EventId,
        /// The version.
        version: String,
    },
    /// A gate said no.
    #[error("version {version} was rejected by a gate; retrain instead")]
    Rejected {
        /// The request.
        asked: EventId,
        /// The version.
        version: String,
    },
    /// The naive forecast has no training profile to watch drift by.
    #[error("the baseline is compared with and never serves; ask for a version of a run")]
    Baseline {
        /// The request.
        asked: EventId,
    },
    /// Nothing would change.
    #[error("version {version} is the champion already")]
    AlreadyChampion {
        /// The request.
        asked: EventId,
        /// The version.
        version: String,
    },
    /// There was no champion before.
    #[error("there is no champion before the present one to roll back to")]
    NothingBefore {
        /// The request.
        asked: EventId,
    },
}

impl Refusal {
    /// The request that is refused.
    #[must_use]
    pub fn asked(&self) -> EventId {
        match self {
            Refusal::UnknownVersion { asked, .. }
            | Refusal::Rejected { asked, .. }
            | Refusal::Baseline { asked }
            | Refusal::AlreadyChampion { asked, .. }
            | Refusal::NothingBefore { asked } => *asked,
        }
    }
}

impl Ask {
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::PromotionAsked(asked) => Some(Ask::Promote {
                version: asked.version.clone(),
                note: asked.note.clone(),
            }),
            Event::RollbackAsked(asked) => Some(Ask::RollBack {
                note: asked.note.clone(),
            }),
            _ => None,
        }
    }
}

impl Asked {
    pub fn new(id: EventId, taken: Millis, ask: Ask, actor: Option<String>) -> Self {
        let (Ask::Promote { note, .. } | Ask::RollBack { note }) = &ask;
        let words = words::asked(actor.as_deref(), note);
        Asked {
            id,
            taken,
            ask,
            words,
        }
    }

    pub fn promotes(&self, of: &str) -> bool {
        matches!(&self.ask, Ask::Promote { version, .. } if version == of)
    }

    pub fn rolls_back(&self) -> bool {
        matches!(self.ask, Ask::RollBack { .. })
    }
}

impl RolloutMachine {
    /// The answer to the first request that has one; nothing while they wait.
    pub(super) fn answer(&self, state: &State, at: &Moment<'_>) -> Result<Vec<Decision>, Refusal> {
        if !state.may_change(at.now()) {
            return Ok(Vec::new());
        }
        for asked in &state.asked {
            let answer = match &asked.ask {
                Ask::Promote { version, .. } => self.promote(state, at, asked, version)?,
                Ask::RollBack { .. } => self.roll_back(state, at, asked)?,
            };
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
        Ok(Vec::new())
    }

    fn promote(
        &self,
        state: &State,
        at: &Moment<'_>,
        asked: &Asked,
        name: &str,
    ) -> Result<Vec<Decision>, Refusal> {
        let refuse = |refusal: fn(EventId, String) -> Refusal| refusal(asked.id, name.into());
        if name == BASELINE {
            return Err(Refusal::Baseline { asked: asked.id });
        }
        let known = state
            .versions
            .get(name)
            .filter(|version| version.registered.is_some());
        let Some(version) = known else {
            if at.now() < asked.taken.plus(PATIENCE) {
                return Ok(Vec::new());
            }
            return Err(refuse(|asked, version| Refusal::UnknownVersion {
                asked,
                version,
            }));
        };
        if version.rejected {
            return Err(refuse(|asked, version| Refusal::Rejected {
                asked,
                version,
            }));
        }
        let previous = state.champion().map(|champion| champion.version.clone());
        if previous.as_deref() == Some(name) {
            return Err(refuse(|asked, version| Refusal::AlreadyChampion {
                asked,
                version,
            }));
        }
        // The retrain of a version that was never in force ends here.
        let retrain = version
            .run()
            .filter(|_| !version.placed || state.is_shadow(name));
        let words = asked.words.clone();
        if previous.is_none() {
            let first = self.first(name, version, retrain, asked.id, &words, at);
            return Ok(first.unwrap_or_default());
        }
        let promoted = self.promoted(name, previous, retrain, words, at);
        let promoted = Decision::new(promoted, asked.id, "promoted");
        if state.is_shadow(name) {
            return Ok(vec![promoted]);
        }
        let started = self.started(name, version, Role::Champion, at);
        let started = started.map(|it| Decision::new(it, asked.id, "started/champion"));
        Ok(started.into_iter().chain([promoted]).collect())
    }

    fn roll_back(
        &self,
        state: &State,
        at: &Moment<'_>,
        asked: &Asked,
    ) -> Result<Vec<Decision>, Refusal> {
        let nothing = || Refusal::NothingBefore { asked: asked.id };
        let [.., name, present] = state.champions.as_slice() else {
            return Err(nothing());
        };
        let version = state.versions.get(name).ok_or_else(nothing)?;
        let started = self.started(name, version, Role::Champion, at);
        let back = RolledBack {
            model: self.model.clone(),
            version: name.clone(),
            previous: present.clone(),
            detail: asked.words.clone(),
            since: at.now(),
        };
        Ok(vec![
            Decision::new(started.ok_or_else(nothing)?, asked.id, "started/champion"),
            Decision::new(back, asked.id, "rolled_back"),
        ])
    }
}
