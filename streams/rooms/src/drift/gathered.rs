//! A window, as far as its partitions have come.

use std::collections::BTreeMap;

use mainstem_schemas::events::{ColumnCounts, ProfileMeasured};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

/// Windows of a subject that are gathered at once. A partition whose task stands still holds up drift for that many
/// windows; then the oldest is given up, unmeasured. 16 windows of a hundred columns are 6 MB.
pub const PATIENCE: usize = 16;

/// The profiles of a window, merged.
#[derive(Serialize, Deserialize)]
pub(super) struct Gathered {
    pub end: Millis,
    pub whole: bool,
    pub rows: i64,
    /// Cells per column, in the order of the reference.
    pub columns: Vec<Vec<i64>>,
    /// Partitions and the ids of their profiles.
    pub profiles: BTreeMap<i32, EventId>,
}

impl Gathered {
    /// A window without profiles, of the form of this one.
    pub fn like(profile: &ProfileMeasured) -> Self {
        let columns = profile.columns.iter();
        Gathered {
            end: profile.window_end,
            whole: true,
            rows: 0,
            columns: columns.map(|column| vec![0; column.cells.len()]).collect(),
            profiles: BTreeMap::new(),
        }
    }

    /// Adds a partition's profile.
    ///
    /// # Errors
    /// A second one, or one of other cells.
    pub fn take(&mut self, id: EventId, profile: &ProfileMeasured) -> Result<(), String> {
        if self.profiles.insert(profile.partition, id).is_some() {
            return Err(format!(
                "partition {} sent its profile of {} twice",
                profile.partition, profile.window_start
            ));
        }
        self.whole &= profile.whole;
        self.rows += profile.rows;
        let same = |(sum, column): (&Vec<i64>, &ColumnCounts)| sum.len() == column.cells.len();
        if self.columns.len() != profile.columns.len()
            || !self.columns.iter().zip(&profile.columns).all(same)
        {
            return Err(format!(
                "the partitions' profiles under {} have different cells",
                profile.reference
            ));
        }
        for (sum, column) in self.columns.iter_mut().zip(&profile.columns) {
            sum.iter_mut()
                .zip(&column.cells)
                .for_each(|(sum, count)| *sum += count);
        }
        Ok(())
    }
}
