//! Records that were fetched once and are shared by the tasks that take them.

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mainstem_schemas::Batch;
use mainstem_schemas::events::RunTaken;

use crate::log::Partition;
use crate::turn;

/// Records of a partition, and what a turn says of them: computed once, whoever takes them.
#[derive(Debug, Default)]
pub struct Fetched {
    records: Batch,
    taken: OnceLock<RunTaken>,
    memo: Memo,
}

/// What a task makes of records for whichever takes them next: at most one thing.
#[derive(Debug, Default)]
pub struct Memo(Mutex<Option<Arc<dyn Any + Send + Sync>>>);

impl Memo {
    /// What was made of the records, or is made now; nothing where something of another type was. Whoever asks sees to it
    /// that it would have made the same.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.get_or_insert_with(|| Arc::new(make()));
        Arc::clone(made).downcast().ok()
    }

    /// Forgets it: it takes memory, and who comes later makes it anew.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Fetched {
    /// What a turn says that takes these records of `partition`; there is one at least.
    pub(crate) fn taken(&self, partition: &Partition) -> &RunTaken {
        let taken = || turn::run_taken(partition, &self.records);
        self.taken.get_or_init(taken)
    }

    /// What a task made of these records.
    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Appends records to those of a place.
    pub(crate) fn extend(place: &mut Arc<Fetched>, rest: &Batch) {
        let fetched = Arc::make_mut(place);
        fetched.forget();
        fetched.records.push_rows(rest, 0..rest.len());
    }

    /// The memory of a place for records: emptied where nobody shares it, else new.
    pub(crate) fn emptied(place: &mut Arc<Fetched>) -> &mut Batch {
        if Arc::get_mut(place).is_none() {
            *place = Arc::default();
        }
        let fetched = Arc::make_mut(place);
        fetched.forget();
        fetched.records.clear();
        &mut fetched.records
    }

    fn forget(&mut self) {
        (self.taken, self.memo) = (OnceLock::new(), Memo::default());
    }
}

/// A copy is of the records: what was said of them is said anew.
impl Clone for Fetched {
    fn clone(&self) -> Self {
        Fetched::from(self.records.clone())
    }
}

impl From<Batch> for Fetched {
    fn from(records: Batch) -> Self {
        Fetched {
            records,
            ..Fetched::default()
        }
    }
}

impl Deref for Fetched {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.records
    }
}
