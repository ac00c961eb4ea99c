//! The definition in force, looked up again when another was applied. Requests that wait for a look share the next one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mainstem_kernel::log::{Partition, Reader};
use mainstem_schemas::definition::Project;
use mainstem_schemas::topics;

use super::lock;
use super::problem::Problem;
use crate::store::{Store, StoreError};

/// The project, as the topic `definitions` says up to some offset.
#[derive(Default)]
pub(super) struct Projects {
    known: Mutex<Option<Known>>,
    /// How often it was asked for.
    asked: AtomicU64,
}

struct Known {
    project: Arc<Project>,
    end: u64,
    /// Whoever asked earlier than this many others may have it as it is: the look began after that.
    good_for: u64,
    at: Partition,
    /// Kept: every request looks, and on Kafka a reader takes a tenth of a second to come and go.
    reader: Box<dyn Reader>,
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
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut place = lock(&self.known);
        if let Some(known) = place.as_ref().filter(|known| turn < known.good_for) {
            return Ok(Arc::clone(&known.project));
        }
        let good_for = self.asked.load(Ordering::SeqCst);
        // Whatever an error leaves behind is looked up anew.
        let known = match place.take() {
            Some(known) => known.again(store)?,
            None => Known::first(store)?,
        };
        let known = place.insert(Known { good_for, ..known });
        Ok(Arc::clone(&known.project))
    }
}

impl Known {
    fn first(store: &Store) -> Result<Self, StoreError> {
        let project = store.project()?;
        let at = Partition::new(&topics::fixed(&project.name, "definitions"), 0);
        let known = Known {
            project: Arc::new(project),
            end: 0,
            good_for: 0,
            at,
            reader: store.log.reader()?,
        };
        known.again(store)
    }

    /// Looks for a newer definition.
    fn again(mut self, store: &Store) -> Result<Self, StoreError> {
        if !self.reader.at_end(&self.at, self.end)? {
            // One that is applied meanwhile is seen at the next look: the end is taken before.
            self.end = self.reader.range(&self.at)?.end;
            self.project = Arc::new(store.project()?);
        }
        Ok(self)
    }
}
