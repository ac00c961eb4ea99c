//! What is deployed: the reading of the topic `deployments` that every room shares.

use serde::{Deserialize, Serialize};

use crate::events::{DeploymentStarted, Event, Role};

/// The deployed versions of one model, in (role, version) order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    active: Vec<DeploymentStarted>,
}

impl Deployed {
    /// Takes an event of the topic; those of other models and other topics change nothing. Says whether anything
    /// changed.
    pub fn take(&mut self, model: &str, event: &Event) -> bool {
        match event {
            Event::DeploymentStarted(started) if started.model == model => {
                if started.role == Role::Champion {
                    self.active.retain(|other| other.role != Role::Champion);
                }
                self.end(started.role, &started.version);
                self.active.push(started.clone());
            }
            Event::Promoted(promoted) if promoted.model == model => {
                let of_version = |other: &&DeploymentStarted| other.version == promoted.version;
                let Some(mut champion) = self.active.iter().find(of_version).cloned() else {
                    return false;
                };
                self.end(Role::Shadow, &promoted.version);
                self.active.retain(|other| other.role != Role::Champion);
                champion.role = Role::Champion;
                champion.since = promoted.since;
                self.active.push(champion);
            }
            Event::DeploymentEnded(ended) if ended.model == model => {
                self.end(ended.role, &ended.version)
            }
            _ => return false,
        }
        self.active
            .sort_by(|a, b| (a.role, &a.version).cmp(&(b.role, &b.version)));
        true
    }

    fn end(&mut self, role: Role, version: &str) {
        self.active
            .retain(|other| (other.role, other.version.as_str()) != (role, version));
    }

    /// All deployed versions; one that is champion and control stands twice.
    #[must_use]
    pub fn active(&self) -> &[DeploymentStarted] {
        &self.active
    }

    /// The version whose predictions are the answer.
    #[must_use]
    pub fn champion(&self) -> Option<&DeploymentStarted> {
        self.active
            .iter()
            .find(|deployed| deployed.role == Role::Champion)
    }

    /// A version in a role.
    #[must_use]
    pub fn get(&self, role: Role, version: &str) -> Option<&DeploymentStarted> {
        self.active
            .iter()
            .find(|deployed| deployed.role == role && deployed.version == version)
    }
}
