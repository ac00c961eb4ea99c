//! What the registry knows, and how events change it.

use std::collections::BTreeMap;

use mainstem_kernel::decider::Moment;
use mainstem_schemas::events::{
    BaselineBuilt, DatasetBound, DeploymentEnded, Event, Role, RunFinished,
};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

/// Runs that are followed at once; the trainer has fewer. Of those beyond, the one that began first is forgotten.
const MAX_RUNS: usize = 64;

/// What the registry knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Versions that were made of runs so far.
    pub(super) versions: u32,
    /// Runs that have not become a version.
    pub(super) runs: BTreeMap<EventId, Run>,
    pub(super) baseline: Baseline,
    /// Versions that lost as shadows and are not rejected yet.
    pub(super) lost: Vec<Lost>,
    /// Version that serves.
    pub(super) champion: Option<Champion>,
    /// What the alias says.
    pub(super) alias: Option<String>,
}

/// What is known of a run, in whatever order it came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) seen: Millis,
    pub(super) bound: Option<DatasetBound>,
    pub(super) finished: Option<(EventId, RunFinished)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) enum Baseline {
    #[default]
    Absent,
    Built(EventId, BaselineBuilt),
    Registered,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lost {
    pub(super) by: EventId,
    pub(super) version: String,
    pub(super) retrain: EventId,
    pub(super) reason: String,
}

/// Changes of the champion have distinct log times, so the latest is the present one in whatever order they come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Champion {
    pub(super) since: Millis,
    pub(super) version: String,
    pub(super) chain: Option<EventId>,
}

impl State {
    pub(super) fn run(&mut self, run: EventId, now: Millis) -> &mut Run {
        if self.runs.len() >= MAX_RUNS && !self.runs.contains_key(&run) {
            let oldest = self.runs.iter().min_by_key(|(id, run)| (run.seen, **id));
            if let Some((id, _)) = oldest {
                let id = *id;
                self.runs.remove(&id);
            }
        }
        let fresh = || Run {
            seen: now,
            ..Run::default()
        };
        self.runs.entry(run).or_insert_with(fresh)
    }

    pub(super) fn take_run(&mut self, at: &Moment<'_>, id: EventId, event: &Event) {
        match event {
            Event::DatasetBound(bound) => {
                self.run(bound.run, at.now()).bound = Some(bound.clone());
            }
            Event::RunFinished(finished) => {
                self.run(finished.run, at.now()).finished = Some((id, finished.clone()));
            }
            Event::RunFailed(failed) => {
                self.runs.remove(&failed.run);
            }
            _ => {}
        }
    }

    pub(super) fn take_deployment(&mut self, id: EventId, chain: Option<EventId>, event: &Event) {
        match event {
            Event::DeploymentStarted(started) if started.role == Role::Champion => {
                self.serves(&started.version, started.since, chain);
            }
            Event::Promoted(promoted) => self.serves(&promoted.version, promoted.since, chain),
            Event::RolledBack(back) => self.serves(&back.version, back.since, chain),
            Event::DeploymentEnded(DeploymentEnded {
                version,
                retrain: Some(retrain),
                reason,
                ..
            }) => self.lost.push(Lost {
                by: id,
                version: version.clone(),
                retrain: *retrain,
                reason: reason.clone(),
            }),
            _ => {}
        }
    }

    pub(super) fn serves(&mut self, version: &str, since: Millis, chain: Option<EventId>) {
        let later = |champion: &Champion| champion.since <= since;
        if self.champion.as_ref().is_none_or(later) {
            self.champion = Some(Champion {
                since,
                version: version.into(),
                chain,
            });
        }
    }
}
