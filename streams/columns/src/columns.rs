//! The columns that decoders fill: plain vectors, from which a bad row can be taken back.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Field, Schema};
use mainstem_schemas::{EventId, Millis};

use crate::body::Reason;
use crate::nulls::Nulls;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number as 64-bit float: of int, long (rounded to the nearest beyond 2^53), float, double; true is 1, false 0.
    Number,
    /// A text: of string, or an enum's symbol.
    Text,
    /// A time in milliseconds since 1970: of long, or a timestamp of any precision (rounded down).
    Time,
    /// A whole number with all its digits: of int and long.
    Whole,
    /// An event's id: of fixed(16).
    Origin,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Text => "text",
            Kind::Time => "time",
            Kind::Whole => "whole number",
            Kind::Origin => "16-byte id",
        }
    }
}

/// A column that a room wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the field.
    pub name: String,
    /// What the column holds.
    pub kind: Kind,
    /// Whether it may be null, or its field be absent from a writer's schema.
    pub optional: bool,
}

impl Wanted {
    /// A column that must have a value in every row.
    #[must_use]
    pub fn required(name: &str, kind: Kind) -> Self {
        Wanted {
            name: name.into(),
            kind,
            optional: false,
        }
    }

    /// A column that may be null.
    #[must_use]
    pub fn optional(name: &str, kind: Kind) -> Self {
        Wanted {
            name: name.into(),
            kind,
            optional: true,
        }
    }
}

/// The columns that a room wants, in its order; decoders of any writer's schema fill the same ones.
#[derive(Clone, Debug)]
pub struct Layout(Arc<[Wanted]>);

/// A layout that names a field twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {0} is wanted twice; name it once and read its column twice")]
pub struct WantedTwice(String);

impl Layout {
    /// The layout of some columns.
    ///
    /// # Errors
    /// [`WantedTwice`] where two have the same name.
    pub fn new(wanted: impl IntoIterator<Item = Wanted>) -> Result<Self, WantedTwice> {
        let wanted: Arc<[Wanted]> = wanted.into_iter().collect();
        let twice = |(at, column): &(usize, &Wanted)| {
            wanted
                .iter()
                .take(*at)
                .any(|other| other.name == column.name)
        };
        match wanted.iter().enumerate().find(twice) {
            Some((_, column)) => Err(WantedTwice(column.name.clone())),
            None => Ok(Layout(wanted)),
        }
    }

    /// The columns in order.
    #[must_use]
    pub fn wanted(&self) -> &[Wanted] {
        &self.0
    }

    #[inline]
    pub(crate) fn is(&self, other: &Layout) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

/// Rows in columns. Null is told by validity, never by NaN.
#[derive(Debug)]
pub struct Columns {
    layout: Layout,
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Debug)]
struct Column {
    cells: Cells,
    nulls: Nulls,
}

#[derive(Debug)]
enum Cells {
    Numbers(Vec<f64>),
    /// All texts in a row, and where each ends; the first end is 0.
    Texts(String, Vec<i32>),
    Times(Vec<i64>),
    Wholes(Vec<i64>),
    Origins(Vec<[u8; 16]>),
}

impl Columns {
    /// No rows.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let columns = layout.wanted().iter().map(|w| Column::new(w.kind, 0));
        Columns {
            layout: layout.clone(),
            columns: columns.collect(),
            rows: 0,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What the columns are.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Keeps the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
    }

    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// The numbers of a column, 0 where they are null; empty where the column is of another kind.
    #[must_use]
    #[inline]
    pub fn numbers(&self, column: usize) -> &[f64] {
        match self.columns.get(column).map(|column| &column.cells) {
            Some(Cells::Numbers(numbers)) => numbers,
            _ => &[],
        }
    }

    /// The number at a row, where there is one.
    #[must_use]
    #[inline]
    pub fn number(&self, column: usize, row: usize) -> Option<f64> {
        let number = self.numbers(column).get(row)?;
        self.is_valid(column, row).then_some(*number)
    }

    /// The text at a row, where there is one.
    #[must_use]
    pub fn text(&self, column: usize, row: usize) -> Option<&str> {
        let Cells::Texts(texts, ends) = &self.columns.get(column)?.cells else {
            return None;
        };
        let (from, to) = (*ends.get(row)?, *ends.get(row + 1)?);
        let text = texts.get(from as usize..to as usize)?;
        self.is_valid(column, row).then_some(text)
    }

    /// The time at a row, where there is one.
    #[must_use]
    pub fn time(&self, column: usize, row: usize) -> Option<Millis> {
        let Cells::Times(times) = &self.columns.get(column)?.cells else {
            return None;
        };
        let time = Millis(*times.get(row)?);
        self.is_valid(column, row).then_some(time)
    }

    /// The whole number at a row, where there is one.
    #[must_use]
    pub fn whole(&self, column: usize, row: usize) -> Option<i64> {
        let Cells::Wholes(wholes) = &self.columns.get(column)?.cells else {
            return None;
        };
        let whole = *wholes.get(row)?;
        self.is_valid(column, row).then_some(whole)
    }

    /// The id at a row, where there is one.
    #[must_use]
    pub fn origin(&self, column: usize, row: usize) -> Option<EventId> {
        let Cells::Origins(origins) = &self.columns.get(column)?.cells else {
            return None;
        };
        let id = EventId(*origins.get(row)?);
        self.is_valid(column, row).then_some(id)
    }

    #[inline]
    fn is_valid(&self, column: usize, row: usize) -> bool {
        self.columns
            .get(column)
            .is_some_and(|column| !column.nulls.is_null(row))
    }

    /// The rows as Arrow arrays (Float64, Utf8, Int64, FixedSizeBinary(16)), which take the memory over; no rows are
    /// left.
    ///
    /// # Errors
    /// Those of Arrow, which the layout rules out.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (wanted, column) in self.layout.wanted().iter().zip(&mut self.columns) {
            let full = std::mem::replace(column, Column::new(wanted.kind, rows));
            let array = full.into_array()?;
            fields.push(Field::new(
                &wanted.name,
                array.data_type().clone(),
                wanted.optional,
            ));
            arrays.push(array);
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
    }

    /// A row is complete: every column got a cell.
    #[inline]
    pub(crate) fn row_done(&mut self) {
        self.rows += 1;
        debug_assert!(
            self.columns
                .iter()
                .all(|column| column.cells.len() == self.rows)
        );
    }

    #[inline]
    pub(crate) fn put_number(&mut self, column: usize, number: f64) {
        if let Some(Column {
            cells: Cells::Numbers(numbers),
            ..
        }) = self.columns.get_mut(column)
        {
            numbers.push(number);
        }
    }

    /// A whole number, in a column of such or as a 64-bit float.
    #[inline]
    pub(crate) fn put_whole(&mut self, column: usize, whole: i64) {
        match self.columns.get_mut(column).map(|column| &mut column.cells) {
            Some(Cells::Numbers(numbers)) => numbers.push(whole as f64),
            Some(Cells::Wholes(wholes)) => wholes.push(whole),
            _ => {}
        }
    }

    #[inline]
    pub(crate) fn put_time(&mut self, column: usize, time: i64) {
        if let Some(Column {
            cells: Cells::Times(times),
            ..
        }) = self.columns.get_mut(column)
        {
            times.push(time);
        }
    }

    pub(crate) fn put_origin(&mut self, column: usize, id: [u8; 16]) {
        if let Some(Column {
            cells: Cells::Origins(origins),
            ..
        }) = self.columns.get_mut(column)
        {
            origins.push(id);
        }
    }

    #[inline]
    pub(crate) fn put_text(&mut self, column: usize, text: &str) -> Result<(), Reason> {
        if let Some(Column {
            cells: Cells::Texts(texts, ends),
            ..
        }) = self.columns.get_mut(column)
        {
            let end = i32::try_from(texts.len() + text.len()).map_err(|_| Reason::Full)?;
            texts.push_str(text);
            ends.push(end);
        }
        Ok(())
    }

    pub(crate) fn put_null(&mut self, column: usize) {
        let Some(Column { cells, nulls }) = self.columns.get_mut(column) else {
            return;
        };
        match cells {
            Cells::Numbers(numbers) => numbers.push(0.0),
            Cells::Texts(_, ends) => ends.push(ends.last().copied().unwrap_or(0)),
            Cells::Times(wholes) | Cells::Wholes(wholes) => wholes.push(0),
            Cells::Origins(origins) => origins.push([0; 16]),
        }
        nulls.set(cells.len() - 1);
    }
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Cells::Numbers(numbers) => numbers.len(),
            Cells::Texts(_, ends) => ends.len() - 1,
            Cells::Times(wholes) | Cells::Wholes(wholes) => wholes.len(),
            Cells::Origins(origins) => origins.len(),
        }
    }
}

impl Column {
    fn new(kind: Kind, rows: usize) -> Self {
        let cells = match kind {
            Kind::Number => Cells::Numbers(Vec::with_capacity(rows)),
            Kind::Text => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Cells::Texts(String::new(), ends)
            }
            Kind::Time => Cells::Times(Vec::with_capacity(rows)),
            Kind::Whole => Cells::Wholes(Vec::with_capacity(rows)),
            Kind::Origin => Cells::Origins(Vec::with_capacity(rows)),
        };
        Column {
            cells,
            nulls: Nulls::default(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.cells {
            Cells::Numbers(numbers) => numbers.truncate(rows),
            Cells::Texts(texts, ends) => {
                ends.truncate(rows + 1);
                texts.truncate(ends.last().map_or(0, |end| *end as usize));
            }
            Cells::Times(wholes) | Cells::Wholes(wholes) => wholes.truncate(rows),
            Cells::Origins(origins) => origins.truncate(rows),
        }
        self.nulls.truncate(rows);
    }

    fn into_array(self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.into_arrow(self.cells.len());
        Ok(match self.cells {
            Cells::Numbers(numbers) => {
                Arc::new(Float64Array::try_new(ScalarBuffer::from(numbers), nulls)?)
            }
            Cells::Texts(texts, ends) => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                let texts = Buffer::from_vec(texts.into_bytes());
                Arc::new(StringArray::try_new(ends, texts, nulls)?)
            }
            Cells::Times(wholes) | Cells::Wholes(wholes) => {
                Arc::new(Int64Array::try_new(ScalarBuffer::from(wholes), nulls)?)
            }
            Cells::Origins(origins) => {
                let bytes = Buffer::from_vec(origins.into_flattened());
                Arc::new(FixedSizeBinaryArray::try_new(16, bytes, nulls)?)
            }
        })
    }
}
