//! Retrains from request to end, and the changes of the champion.

use std::collections::BTreeMap;
use std::fmt;

use mainstem_schemas::events::{Event, RetrainOutcome, RetrainReason, RetrainRequested, Role};
use mainstem_schemas::{EventId, Millis};

use super::At;
use super::evidence::{Evidence, Texts};

/// A retrain.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrain {
    /// Id of the request.
    pub id: EventId,
    /// When it was requested; the training data end there.
    pub requested: At,
    /// Why.
    pub reason: RetrainReason,
    /// What it rests on, in words with the figures.
    pub detail: String,
    /// The events that it rests on.
    pub evidence: Vec<Evidence>,
    /// Labelled rows of its data set.
    pub training_rows: Option<i64>,
    /// Version that it made.
    pub version: Option<String>,
    /// What the gate on the validation rows said of a version that passed it.
    pub validation: Option<String>,
    /// How it ended.
    pub gate: Gate,
    /// When it ended.
    pub ended: Option<At>,
    /// When its version came to serve.
    pub promoted: Option<At>,
}

/// How a retrain ended, with the figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Its version came to serve.
    Passed(String),
    /// Its version did not pass the gate on its validation rows.
    RejectedOnValidation(String),
    /// Its version did not do better than the champion.
    RejectedInShadow(String),
    /// It could not be trained.
    Failed(String),
    /// It took too long and was given up.
    Expired,
    /// It has not ended: where it is.
    Open(Stage),
}

/// Where an open retrain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No version yet.
    Training,
    /// The version is not deployed yet.
    Registered,
    /// The version predicts beside the champion.
    Shadow,
}

impl Gate {
    /// In few words, without figures.
    #[must_use]
    pub fn short(&self) -> &'static str {
        match self {
            Gate::Passed(_) => "passed",
            Gate::RejectedOnValidation(_) => "rejected on validation",
            Gate::RejectedInShadow(_) => "rejected in the shadow",
            Gate::Failed(_) => "failed",
            Gate::Expired => "expired",
            Gate::Open(Stage::Training) => "open: in training",
            Gate::Open(Stage::Registered) => "open: registered",
            Gate::Open(Stage::Shadow) => "open: in the shadow",
        }
    }

    /// The figures, or the error.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Gate::Passed(detail)
            | Gate::RejectedOnValidation(detail)
            | Gate::RejectedInShadow(detail)
            | Gate::Failed(detail) => detail,
            Gate::Expired | Gate::Open(_) => "",
        }
    }

    pub(super) fn passed(&self) -> bool {
        matches!(self, Gate::Passed(_))
    }

    pub(super) fn rejected(&self) -> bool {
        matches!(
            self,
            Gate::RejectedOnValidation(_) | Gate::RejectedInShadow(_)
        )
    }
}

/// The short form; a rejection or failure with its figures.
impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Passed(_) | Gate::Expired | Gate::Open(_) => f.write_str(self.short()),
            _ => write!(f, "{} ({})", self.short(), self.detail()),
        }
    }
}

/// The champion changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The champion from then on.
    pub version: String,
    /// The champion until then.
    pub previous: Option<String>,
    /// When.
    pub at: At,
    /// The figures, or the asker's words.
    pub detail: String,
}

/// How the champion changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A version was promoted.
    Promoted,
    /// The one before serves again.
    RolledBack,
}

/// As an event's attribute has it.
pub(super) fn reason_name(reason: RetrainReason) -> &'static str {
    match reason {
        RetrainReason::Initial => "initial",
        RetrainReason::OnDemand => "on_demand",
        RetrainReason::Performance => "performance",
        RetrainReason::Drift => "drift",
    }
}

/// Takes the events of `triggers` first, then those of `runs`, `models` and `deployments`.
#[derive(Default)]
pub(super) struct LifeCycle {
    pub suppressed: BTreeMap<RetrainReason, u64>,
    pub changes: Vec<Change>,
    order: Vec<EventId>,
    drafts: BTreeMap<EventId, Draft>,
    made_by: BTreeMap<String, EventId>,
}

/// What is known of a retrain; words go with the time at which they were said.
#[derive(Default)]
struct Draft {
    requested: Option<RetrainRequested>,
    closed: Option<(RetrainOutcome, Millis)>,
    rows: Option<i64>,
    failed: Option<(String, Millis)>,
    version: Option<String>,
    approved: Option<String>,
    rejected: Option<(String, Millis)>,
    shadowed: bool,
    lost: Option<(String, Millis)>,
    promoted: Option<(String, Millis)>,
}

impl LifeCycle {
    /// Takes an event of a model, its id and time.
    pub fn take(&mut self, model: &str, (id, time): (EventId, Millis), event: Event) {
        match event {
            Event::RetrainRequested(it) if it.model == model => {
                self.order.push(id);
                self.drafts.entry(id).or_default().requested = Some(it);
            }
            Event::RetrainSuppressed(it) if it.model == model => {
                *self.suppressed.entry(it.reason).or_default() += 1;
            }
            Event::RetrainClosed(it) => {
                self.amend(it.retrain, |draft| draft.closed = Some((it.outcome, time)))
            }
            Event::DatasetBound(it) => self.amend(it.run, |draft| draft.rows = Some(it.rows)),
            Event::RunFailed(it) => {
                self.amend(it.run, |draft| draft.failed = Some((it.reason, time)))
            }
            Event::ModelVersionRegistered(it) if it.model == model => {
                if let Some(run) = it.run {
                    self.made_by.insert(it.version.clone(), run);
                    self.amend(run, |draft| draft.version = Some(it.version));
                }
            }
            Event::ModelApproved(it) if it.model == model => {
                self.amend_version(&it.version, |draft| draft.approved = Some(it.detail));
            }
            Event::ModelRejected(it) => {
                self.amend(it.retrain, |draft| draft.rejected = Some((it.detail, time)))
            }
            other => self.take_deployment(model, other),
        }
    }

    fn take_deployment(&mut self, model: &str, event: Event) {
        match event {
            Event::DeploymentStarted(it) if it.model == model && it.role == Role::Shadow => {
                self.amend_version(&it.version, |draft| draft.shadowed = true);
            }
            Event::DeploymentEnded(it) => {
                if let Some(retrain) = it.retrain {
                    self.amend(retrain, |draft| draft.lost = Some((it.reason, it.since)));
                }
            }
            Event::Promoted(it) if it.model == model => {
                if let Some(retrain) = it.retrain {
                    let words = (it.detail.clone(), it.since);
                    self.amend(retrain, |draft| draft.promoted = Some(words));
                }
                self.changes.push(Change {
                    kind: ChangeKind::Promoted,
                    version: it.version,
                    previous: it.previous,
                    at: it.since.into(),
                    detail: it.detail,
                });
            }
            Event::RolledBack(it) if it.model == model => self.changes.push(Change {
                kind: ChangeKind::RolledBack,
                version: it.version,
                previous: Some(it.previous),
                at: it.since.into(),
                detail: it.detail,
            }),
            _ => {}
        }
    }

    /// A retrain that this model did not request is none of its own.
    fn amend(&mut self, id: EventId, amend: impl FnOnce(&mut Draft)) {
        if let Some(draft) = self.drafts.get_mut(&id) {
            amend(draft);
        }
    }

    fn amend_version(&mut self, version: &str, amend: impl FnOnce(&mut Draft)) {
        if let Some(run) = self.made_by.get(version).copied() {
            self.amend(run, amend);
        }
    }

    /// Ids of the events that the requests rest on.
    pub fn evidence(&self) -> Vec<EventId> {
        let requests = self
            .drafts
            .values()
            .filter_map(|draft| draft.requested.as_ref());
        requests
            .flat_map(|requested| requested.evidence.iter().copied())
            .collect()
    }

    /// The retrains in the order of their requests.
    pub fn retrains(&mut self, texts: &Texts) -> Vec<Retrain> {
        let drafts = &mut self.drafts;
        let one = |id: &EventId| drafts.remove(id)?.finish(*id, texts);
        self.order.iter().filter_map(one).collect()
    }
}

impl Draft {
    fn finish(self, id: EventId, texts: &Texts) -> Option<Retrain> {
        let (gate, ended) = self.gate();
        let requested = self.requested?;
        Some(Retrain {
            id,
            requested: requested.as_of.into(),
            reason: requested.reason,
            evidence: texts.of(&requested.evidence),
            detail: requested.detail,
            training_rows: self.rows,
            version: self.version,
            validation: self.approved,
            gate,
            ended: ended.map(At::from),
            promoted: self.promoted.map(|(_, since)| since.into()),
        })
    }

    fn gate(&self) -> (Gate, Option<Millis>) {
        let told = |words: &Option<(String, Millis)>, gate: fn(String) -> Gate| {
            words.clone().map(|(words, time)| (gate(words), Some(time)))
        };
        if let Some(passed) = told(&self.promoted, Gate::Passed) {
            return passed;
        }
        if let Some((RetrainOutcome::Expired, time)) = self.closed {
            return (Gate::Expired, Some(time));
        }
        told(&self.failed, Gate::Failed)
            .or_else(|| told(&self.lost, Gate::RejectedInShadow))
            .or_else(|| told(&self.rejected, Gate::RejectedOnValidation))
            .unwrap_or((Gate::Open(self.stage()), None))
    }

    fn stage(&self) -> Stage {
        match (&self.version, self.shadowed) {
            (None, _) => Stage::Training,
            (Some(_), false) => Stage::Registered,
            (Some(_), true) => Stage::Shadow,
        }
    }
}
