//! Rows as a Parquet file: what any other trainer and any notebook can read.
//!
//! Columns: `entity` (text), `event_time` (timestamp in milliseconds, UTC), the features (32-bit floats, null where they
//! are missing), `label` (32-bit integer, 0 or 1; with underscores behind it where a feature has that name). Equal rows
//! give equal bytes: the settings are fixed, and neither a time nor the writing library's version is in the file.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use axum::body::Bytes;
use mainstem_schemas::Millis;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::failure::Failure;
use super::rows::Rows;

/// Rows of a row group: the library's default, written down because it shapes the bytes.
const ROW_GROUP: usize = 1 << 20;

/// The file of these rows.
pub(super) fn write(rows: &Rows) -> Result<Vec<u8>, Failure> {
    written(rows).map_err(|error| {
        Failure::lasting(format!("the rows cannot be written as Parquet: {error}"))
    })
}

fn written(rows: &Rows) -> Result<Vec<u8>, ParquetError> {
    let batch = batch(rows)?;
    let properties = WriterProperties::builder()
        .set_created_by("mainstem".into())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP));
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)?;
    writer.write(&batch)?;
    writer.into_inner()
}

fn batch(rows: &Rows) -> Result<RecordBatch, ArrowError> {
    let timestamp = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("entity", DataType::Utf8, false),
        Field::new("event_time", timestamp, false),
    ];
    let times = TimestampMillisecondArray::from_iter_values(rows.times.iter().map(|time| time.0));
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(&rows.entities)),
        Arc::new(times.with_timezone("UTC")),
    ];
    for (name, column) in rows.features.iter().zip(rows.columns()) {
        fields.push(Field::new(name, DataType::Float32, true));
        let values = column
            .into_iter()
            .map(|value| (!value.is_nan()).then_some(value));
        arrays.push(Arc::new(values.collect::<Float32Array>()));
    }
    let mut label = "label".to_owned();
    while rows.features.contains(&label) {
        label.push('_');
    }
    fields.push(Field::new(label, DataType::Int32, false));
    arrays.push(Arc::new(Int32Array::from_iter_values(
        rows.labels.iter().map(|label| i32::from(*label)),
    )));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// The rows of a file.
pub(super) fn read(bytes: Arc<[u8]>) -> Result<Rows, Failure> {
    let bytes = Bytes::from_owner(bytes);
    let damaged = |why: String| {
        Failure::lasting(format!(
            "the data set cannot be read: {why}; build it again"
        ))
    };
    let batches = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(ParquetRecordBatchReaderBuilder::build);
    let mut rows: Option<Rows> = None;
    for batch in batches.map_err(|error| damaged(error.to_string()))? {
        let batch = batch.map_err(|error| damaged(error.to_string()))?;
        let rows = rows.get_or_insert_with(|| Rows::new(&features(&batch)));
        append(&batch, rows)
            .ok_or_else(|| damaged("its columns are not those of a data set".into()))?;
    }
    rows.ok_or_else(|| damaged("it has no rows".into()))
}

fn features(batch: &RecordBatch) -> Vec<String> {
    let last = batch.num_columns().saturating_sub(1);
    let fields = batch.schema_ref().fields().iter().take(last).skip(2);
    fields.map(|field| field.name().clone()).collect()
}

fn append(batch: &RecordBatch, rows: &mut Rows) -> Option<()> {
    let (label, columns) = batch.columns().split_last()?;
    let ([entity, time], features) = columns.split_at_checked(2)? else {
        return None;
    };
    let (entity, time) = (
        entity.as_string_opt::<i32>()?,
        time.as_primitive_opt::<TimestampMillisecondType>()?,
    );
    let label = label.as_primitive_opt::<Int32Type>()?;
    let features: Option<Vec<_>> = features
        .iter()
        .map(|column| column.as_primitive_opt::<Float32Type>())
        .collect();
    let features = features?;
    let mut values = Vec::with_capacity(features.len());
    for row in 0..batch.num_rows() {
        values.clear();
        values.extend(features.iter().map(|column| {
            if column.is_null(row) {
                f32::NAN
            } else {
                column.value(row)
            }
        }));
        let label = u8::try_from(label.value(row))
            .ok()
            .filter(|label| *label <= 1)?;
        rows.push(Millis(time.value(row)), entity.value(row), &values, label);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new(&["a".into(), "label".into()]);
        for at in 0..3_000u16 {
            let value = if at % 7 == 0 {
                f32::NAN
            } else {
                f32::from(at) / 3.0
            };
            rows.push(
                Millis(840_427_200_000 + i64::from(at)),
                &format!("e{}", at % 5),
                &[value, 1.0],
                (at % 2) as u8,
            );
        }
        rows
    }

    #[test]
    fn rows_come_back_and_equal_rows_are_equal_bytes() {
        let file = write(&rows()).unwrap();
        assert_eq!(file, write(&rows()).unwrap());
        let back = read(file.into()).unwrap();
        assert_eq!(
            (back.content(), &back.features),
            (rows().content(), &rows().features)
        );
        assert_eq!(
            (back.times, back.entities, back.labels),
            (rows().times, rows().entities, rows().labels)
        );
    }

    #[test]
    fn what_is_no_data_set_is_told() {
        for bytes in [&b"PAR1"[..], b""] {
            let failure = read(bytes.into()).unwrap_err();
            assert!(
                failure.reason.contains("cannot be read") && !failure.retriable,
                "{failure:?}"
            );
        }
        let empty = write(&Rows::new(&["a".into()])).unwrap();
        assert!(read(empty.into()).unwrap_err().reason.contains("no rows"));
    }
}
