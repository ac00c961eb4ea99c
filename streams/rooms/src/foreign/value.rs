//! The value of a foreign record as a row of the source.

use std::collections::BTreeMap;

use mainstem_columns::rows::RECORD_LIMIT;
use mainstem_columns::rows::{Cell, Encoder, Fault, Good, Others, json_row, name, too_long};
use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Unreadable, Wanted};
use mainstem_schemas::Catalog;
use mainstem_schemas::definition::{EventTime, Field, FieldType, Format, Source};

use super::wire_schema::Writers;
use crate::arrivals::Refusal;

/// Reads values.
#[derive(Debug)]
pub(super) struct Values {
    format: Format,
    layout: Layout,
    decoders: BTreeMap<u32, Result<FlatDecoder, Unreadable>>,
    columns: Columns,
}

impl Values {
    pub(super) fn new(format: Format, source: &Source) -> Result<Self, String> {
        let kind = |field: &Field| match field.kind {
            FieldType::Double | FieldType::Boolean => Kind::Number,
            FieldType::String => Kind::Text,
            FieldType::Long if source.time == EventTime::Column(field.name.clone()) => Kind::Time,
            FieldType::Long => Kind::Whole,
        };
        let wanted = source.fields.iter().map(|field| Wanted {
            name: field.name.clone(),
            kind: kind(field),
            optional: field.optional,
        });
        let layout = Layout::new(wanted).map_err(|error| error.to_string())?;
        Ok(Values {
            format,
            columns: Columns::new(&layout),
            layout,
            decoders: BTreeMap::new(),
        })
    }

    /// Reads a value into a row.
    ///
    /// # Errors
    /// [`Refusal`], by field where it is about one.
    pub(super) fn row(
        &mut self,
        catalog: &Catalog,
        writers: &mut Writers,
        encoder: &mut Encoder,
        value: &[u8],
    ) -> Result<Good, Refusal> {
        match self.format {
            Format::Json if value.len() > RECORD_LIMIT => Err(too_long(value.len() as u64).into()),
            Format::Json => Ok(json_row(encoder, 0, value, Others::Ignored)?),
            Format::Avro => self.avro(catalog, writers, encoder, value),
        }
    }

    fn avro(
        &mut self,
        catalog: &Catalog,
        writers: &mut Writers,
        encoder: &mut Encoder,
        value: &[u8],
    ) -> Result<Good, Refusal> {
        let (id, body, schema) = writers.schema(catalog, value)?;
        let decoder = self
            .decoders
            .entry(id)
            .or_insert_with(|| FlatDecoder::compile(schema, &self.layout));
        let decoder = decoder.as_ref().map_err(|why| Refusal::Schema {
            id,
            why: why.clone(),
        })?;
        self.columns.clear();
        decoder.append(body, &mut self.columns)?;
        encoder.begin();
        for at in 0..self.layout.wanted().len() {
            let field = encoder.fields().get(at);
            let cell = field.map_or(Ok(Cell::Missing), |field| cell(&self.columns, at, field))?;
            encoder.set(at, cell);
        }
        Ok(encoder.finish(0)?)
    }
}

fn cell<'c>(columns: &'c Columns, at: usize, field: &Field) -> Result<Cell<'c>, Fault> {
    let cell = match field.kind {
        FieldType::Double => columns.number(at, 0).map(Cell::Double),
        FieldType::String => columns.text(at, 0).map(Cell::Text),
        FieldType::Long => columns
            .whole(at, 0)
            .or_else(|| Some(columns.time(at, 0)?.0))
            .map(Cell::Long),
        FieldType::Boolean => match columns.number(at, 0) {
            Some(1.0) => Some(Cell::Boolean(true)),
            Some(0.0) => Some(Cell::Boolean(false)),
            Some(number) => return Err(not_boolean(field, number)),
            None => None,
        },
    };
    Ok(cell.unwrap_or(Cell::Missing))
}

fn not_boolean(field: &Field, number: f64) -> Fault {
    let what = format!(
        "is {number}, and a {} is true or false, 1 or 0; declare the field as what it is",
        name(field.kind)
    );
    Fault::field(&field.name, &what)
}
