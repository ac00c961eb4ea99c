//! The versions that could serve.

use std::collections::BTreeMap;

use mainstem_schemas::EventId;
use mainstem_schemas::events::ModelVersionRegistered;
use serde::{Deserialize, Serialize};

/// Version of the naive forecast.
pub(super) const BASELINE: &str = "baseline";

/// Versions kept; those that serve, or could be rolled back to, are kept beyond it. Five years of weekly retrains.
const MAX_VERSIONS: usize = 256;

/// What is known of a version, in whatever order it came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Version {
    pub registered: Option<ModelVersionRegistered>,
    pub approved: bool,
    pub rejected: bool,
    /// Its retrain was given up.
    pub expired: bool,
    /// It was deployed, in whatever role.
    pub placed: bool,
}

impl Version {
    /// The retrain that made it.
    pub fn run(&self) -> Option<EventId> {
        self.registered.as_ref()?.run
    }
}

/// By name in the order of their numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Versions(BTreeMap<(u32, String), Version>);

/// `v2` comes before `v10`; a name without a number comes first.
fn key(name: &str) -> (u32, String) {
    let number = name.strip_prefix('v').and_then(|n| n.parse().ok());
    (number.unwrap_or(0), name.into())
}

impl Versions {
    pub fn entry(&mut self, name: &str) -> &mut Version {
        self.0.entry(key(name)).or_default()
    }

    pub fn get(&self, name: &str) -> Option<&Version> {
        self.0.get(&key(name))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|(_, name)| name.as_str())
    }

    /// The baseline, where it is known and not deployed.
    pub fn baseline(&self) -> Option<(&str, &Version)> {
        let version = self.get(BASELINE)?;
        (version.registered.is_some() && !version.placed).then_some((BASELINE, version))
    }

    /// The first version that passed the gate and was not deployed.
    pub fn next(&self) -> Option<(&str, &Version)> {
        let due = |version: &Version| {
            version.run().is_some()
                && version.approved
                && !(version.rejected || version.expired || version.placed)
        };
        let found = self.0.iter().find(|(_, version)| due(version))?;
        Some((found.0.1.as_str(), found.1))
    }

    /// A retrain was given up.
    pub fn expire(&mut self, retrain: EventId) {
        for version in self.0.values_mut() {
            version.expired |= version.run() == Some(retrain);
        }
    }

    /// Forgets the oldest beyond the limit that are not needed.
    pub fn prune(&mut self, needed: impl Fn(&str) -> bool) {
        let over = self.0.len().saturating_sub(MAX_VERSIONS);
        let old = self.0.keys().filter(|(_, name)| !needed(name));
        let old: Vec<_> = old.take(over).cloned().collect();
        for key in old {
            self.0.remove(&key);
        }
    }
}
