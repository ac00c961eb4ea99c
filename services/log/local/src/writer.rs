//! Appends facts under a name; the latest writer of a name fences the earlier ones.

use std::sync::Arc;

use mainstem_kernel::log::{CommitError, LogError, Partition, Writer};
use mainstem_schemas::Batch;
use rusqlite::OptionalExtension;

use crate::error::of_commit;
use crate::rows::Rows;
use crate::shared::Shared;

pub(crate) struct LocalWriter {
    shared: Arc<Shared>,
    name: String,
    epoch: i64,
}

impl LocalWriter {
    pub(crate) fn open(shared: &Arc<Shared>, name: &str) -> Result<Self, LogError> {
        let own = name.to_owned();
        let epoch = shared.submit(0, move |store| {
            let text = "INSERT INTO writers (name, epoch) VALUES (?1, 1)
                ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch";
            let mut raise = store.connection().prepare_cached(text)?;
            Ok(raise.query_row([&own], |row| row.get(0))?)
        });
        Ok(LocalWriter {
            shared: Arc::clone(shared),
            name: name.to_owned(),
            epoch: epoch.map_err(of_commit)?,
        })
    }
}

impl Writer for LocalWriter {
    fn append(&mut self, records: &[(Partition, Batch)]) -> Result<(), CommitError> {
        let mut rows = Rows::of(records)?;
        let (name, epoch) = (self.name.clone(), self.epoch);
        self.shared.submit(rows.bytes, move |store| {
            let latest: Option<i64> = store
                .connection()
                .prepare_cached("SELECT epoch FROM writers WHERE name = ?1")?
                .query_row([&name], |row| row.get(0))
                .optional()?;
            if latest != Some(epoch) {
                return Err(CommitError::Fenced(format!("writer {name}")).into());
            }
            store.append(&mut rows)
        })
    }
}
