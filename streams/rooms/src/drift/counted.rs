//! Records into columns, and columns into the cells of a reference.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use mainstem_columns::{Columns, FlatDecoder, Layout};
use mainstem_kernel::{Context, Run};
use mainstem_schemas::events::ColumnCounts;
use mainstem_schemas::wire;
use mainstem_statistics::Counts;
use serde::{Deserialize, Serialize};

use super::ReferenceProfile;
use super::rows::Rows;

/// The rows of a run in columns.
pub(super) fn decoded(cx: &Context<'_>, run: &Run<'_>, layout: &Layout) -> Result<Columns, String> {
    let mut columns = Columns::new(layout);
    let mut decoders: BTreeMap<u32, FlatDecoder> = BTreeMap::new();
    for record in run.batch.iter() {
        let fail = |why: String| format!("the record at offset {}: {why}", record.offset);
        let (id, body) = wire::split(record.value.unwrap_or_default())
            .map_err(|error| fail(error.to_string()))?;
        let decoder = match decoders.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let known = cx.catalog.known(id);
                let known =
                    known.ok_or_else(|| fail(format!("schema id {id} is not registered")))?;
                let decoder = FlatDecoder::compile(known.schema().map_err(fail)?, layout);
                entry.insert(decoder.map_err(|error| fail(error.to_string()))?)
            }
        };
        let appended = decoder.append(body, &mut columns);
        appended.map_err(|error| fail(error.to_string()))?;
    }
    Ok(columns)
}

/// A window's rows, counted into the cells of a reference.
#[derive(Serialize, Deserialize)]
pub(super) struct Counted {
    pub rows: u64,
    /// In the order of the reference.
    columns: Vec<Counts>,
}

impl Counted {
    pub fn empty(reference: &ReferenceProfile) -> Self {
        let columns = reference.columns().iter();
        Counted {
            rows: 0,
            columns: columns.map(|column| Counts::new(&column.grid)).collect(),
        }
    }

    /// Adds rows; a column that they do not have is missing in each.
    pub fn add(
        &mut self,
        reference: &ReferenceProfile,
        rows: &Rows,
        range: Range<usize>,
    ) -> Result<(), String> {
        self.rows += range.len() as u64;
        for (column, counts) in reference.columns().iter().zip(&mut self.columns) {
            let added = match rows.column(&column.name, range.clone()) {
                Some(values) => counts.add_column(&column.grid, values),
                None => counts.add_column(&column.grid, &vec![f32::NAN; range.len()]),
            };
            added.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The counts as events carry them, the missing values last.
    pub fn cells(&self, reference: &ReferenceProfile) -> Vec<ColumnCounts> {
        let columns = reference.columns().iter().zip(&self.columns);
        let columns = columns.map(|(column, counts)| ColumnCounts {
            name: column.name.clone(),
            cells: cells(counts),
        });
        columns.collect()
    }
}

/// Counts as events carry them, the missing values last.
pub(super) fn cells(counts: &Counts) -> Vec<i64> {
    let all = counts.cells().iter().copied().chain([counts.missing()]);
    all.map(|count| count as i64).collect()
}
