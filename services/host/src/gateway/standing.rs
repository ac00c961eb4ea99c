//! How a model stands: its versions and champions, read from the log before something is asked about them.

use std::collections::BTreeMap;

use mainstem_kernel::log::{LogError, Partition};
use mainstem_schemas::Catalog;
use mainstem_schemas::definition::Project;
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::Event;
use mainstem_schemas::topics;

use crate::store::{Store, each_event};

/// The name of the naive forecast among the versions.
const BASELINE: &str = "baseline";

/// What the log says of a model now.
#[derive(Default)]
pub(super) struct Standing {
    /// Versions that are registered, and whether a gate rejected them.
    pub versions: BTreeMap<String, bool>,
    /// What is deployed.
    pub deployed: Deployed,
    /// Champions so far, the present one last; a roll-back takes it off.
    pub champions: Vec<String>,
}

impl Standing {
    /// Reads the topics `models` and `deployments`.
    ///
    /// # Errors
    /// The log's.
    pub fn read(
        store: &Store,
        catalog: &Catalog,
        project: &Project,
        model: &str,
    ) -> Result<Self, LogError> {
        let mut standing = Standing::default();
        let mut reader = store.log.reader()?;
        let at = |topic: &str| Partition::new(&topics::fixed(&project.name, topic), 0);
        each_event(
            reader.as_mut(),
            catalog,
            &at("models"),
            |_, event| match event {
                Event::ModelVersionRegistered(e) if e.model == model => {
                    standing.versions.entry(e.version).or_insert(false);
                }
                Event::ModelRejected(e) if e.model == model => {
                    standing.versions.insert(e.version, true);
                }
                _ => {}
            },
        )?;
        each_event(reader.as_mut(), catalog, &at("deployments"), |_, event| {
            standing.deployed.take(model, &event);
            match event {
                Event::Promoted(e) if e.model == model => standing.champions.push(e.version),
                Event::RolledBack(e) if e.model == model => {
                    standing.champions.pop();
                }
                _ => {}
            }
        })?;
        Ok(standing)
    }

    /// Why a version cannot be promoted, if it cannot.
    pub fn refuses(&self, version: &str) -> Option<Refused> {
        let name = version.to_owned();
        match self.versions.get(version) {
            _ if version == BASELINE => Some(Refused::Baseline),
            None => {
                let known = self.versions.keys().filter(|known| *known != BASELINE);
                let known = known.cloned().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() {
                    "none yet".to_owned()
                } else {
                    known
                };
                Some(Refused::UnknownVersion {
                    version: name,
                    known,
                })
            }
            Some(true) => Some(Refused::Rejected(name)),
            Some(false)
                if self
                    .deployed
                    .champion()
                    .is_some_and(|c| c.version == version) =>
            {
                Some(Refused::Champion(name))
            }
            Some(false) => None,
        }
    }
}

/// Why a version cannot be promoted, or nothing be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such version.
    #[error("there is no version {version:?}; registered are: {known}")]
    UnknownVersion {
        /// What was asked for.
        version: String,
        /// What there is.
        known: String,
    },
    /// A gate said no.
    #[error("version {0} was rejected by a gate and may not serve; retrain instead")]
    Rejected(String),
    /// The naive forecast never serves.
    #[error("the baseline is compared with and never serves; ask for a version that was trained")]
    Baseline,
    /// Nothing would change.
    #[error("version {0} is the champion already; nothing is to be done")]
    Champion(String),
    /// There was no champion before.
    #[error(
        "there is no champion before the present one to roll back to; promote another version instead"
    )]
    NothingBefore,
}
