//! The definition in force, looked up again when another was applied.

use std::sync::{Arc, Mutex};

use mainstem_kernel::log::Partition;
use mainstem_schemas::definition::Project;
use mainstem_schemas::topics;

use super::lock;
use super::problem::Problem;
use crate::store::{Store, StoreError};

/// The project, and the end of the topic `definitions` that it was read up to.
#[derive(Default)]
pub(super) struct Projects {
    known: Mutex<Option<(u64, Arc<Project>)>>,
}

impl Projects {
    /// The definition in force.
    ///
    /// # Errors
    /// 503 where there is none, or the log cannot be read.
    pub fn current(&self, store: &Store) -> Result<Arc<Project>, Problem> {
        self.look(store).map_err(|error| match error {
            StoreError::Empty(_) => Problem::unavailable(error.to_string()),
            error => Problem::unavailable(format!("the log cannot be read: {error}")),
        })
    }

    /// The same, in the store's words.
    ///
    /// # Errors
    /// The store's.
    pub fn look(&self, store: &Store) -> Result<Arc<Project>, StoreError> {
        let mut known = lock(&self.known);
        if let Some((end, project)) = known.as_ref()
            && self.end(store, project)? == *end
        {
            return Ok(Arc::clone(project));
        }
        // One that is applied meanwhile is seen at the next look: the end was taken before.
        let first = match known.take() {
            Some((_, project)) => project,
            None => Arc::new(store.project()?),
        };
        let end = self.end(store, &first)?;
        let project = Arc::new(store.project()?);
        *known = Some((end, Arc::clone(&project)));
        Ok(project)
    }

    fn end(&self, store: &Store, project: &Project) -> Result<u64, StoreError> {
        let topic = topics::fixed(&project.name, "definitions");
        Ok(store.log.reader()?.range(&Partition::new(&topic, 0))?.end)
    }
}
