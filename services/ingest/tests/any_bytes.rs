//! Any bytes are rows or rejects: none is lost, none stops the rest; the csv crate is the oracle of good files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::io::BufReader;

use apache_avro::types::Value;
use common::{HEADER, csv, field, jsonl, read, source};
use mainstem_ingest::{Reader, Row};
use mainstem_schemas::definition::{Entity, EventTime, FieldType, Source};
use mainstem_schemas::{Millis, Span};
use proptest::prelude::*;

/// Bytes of which many matter to CSV and JSON.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = proptest::sample::select(b"\",\n\r{}:[]1.e-nta \\\xef\xbb\xbf\xff".to_vec());
    proptest::collection::vec(prop_oneof![4 => telling, 1 => any::<u8>()], 0..300)
}

fn numbered(rows: &[Row]) {
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row.row, at as u64);
        assert!(at == 0 || row.line > rows[at - 1].line);
    }
}

/// Texts only, so that no value is refused.
fn texts() -> Source {
    Source {
        number: 1,
        fields: ["a", "b"]
            .map(|name| field(name, FieldType::String, true))
            .into(),
        entity: Entity::Constant("all".into()),
        time: EventTime::Row {
            start: Millis(0),
            every: Span(1),
        },
        topic: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_line_of_json_is_a_row(bytes in bytes(), buffer in 1usize..40) {
        let input = BufReader::with_capacity(buffer, bytes.as_slice());
        let rows: Vec<Row> = Reader::jsonl("sales", &source(), input).unwrap().map(Result::unwrap).collect();
        numbered(&rows);
        prop_assert_eq!(&rows, &jsonl(&bytes), "whatever the reads return at once");
        let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let lines = unmarked.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        prop_assert_eq!(rows.len(), lines.count());
    }

    #[test]
    fn every_line_of_csv_is_a_row_or_part_of_one(bytes in bytes(), buffer in 1usize..40) {
        let file = [HEADER.as_bytes(), &bytes].concat();
        let rows = csv(&file).unwrap();
        numbered(&rows);
        let input = BufReader::with_capacity(buffer, file.as_slice());
        let again: Vec<Row> = Reader::csv("sales", &source(), input).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(&rows, &again, "whatever the reads return at once");
        // Rejects hold all that good rows do not: here, every byte but ends of lines.
        if rows.iter().all(|row| row.outcome.is_err()) {
            let kept: usize = rows.iter().map(|row| row.outcome.as_ref().unwrap_err().bytes.iter().filter(|b| !b"\r\n".contains(b)).count()).sum();
            prop_assert_eq!(kept, bytes.iter().filter(|b| !b"\r\n".contains(b)).count());
        }
        if !bytes.contains(&b'"') {
            // A carriage return belongs to a line's end only before a line feed.
            let blank = |line: &&[u8]| matches!(*line, b"" | b"\n" | b"\r\n");
            let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !blank(line));
            prop_assert_eq!(rows.len(), lines.count());
        }
    }

    #[test]
    fn what_the_csv_crate_writes_is_read_alike(rows in proptest::collection::vec(["[a\",\n\r é]{0,6}", "[b\",\n\r]{1,6}"], 0..20)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let file = writer.into_inner().unwrap();
        let schema = mainstem_columns::source_schema("p", "s", &texts());
        let schema = apache_avro::Schema::parse_str(&schema).unwrap();
        let mut found = Vec::new();
        for row in Reader::csv("s", &texts(), file.as_slice()).unwrap() {
            let body = row.unwrap().outcome.unwrap().body;
            let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
            let Value::Record(fields) = reader.read_value(&mut body.as_slice()).unwrap() else { panic!() };
            found.push(fields.into_iter().map(|(_, value)| match value {
                Value::Union(1, text) => match *text { Value::String(text) => text, other => panic!("{other:?}") },
                _ => String::new(),
            }).collect::<Vec<_>>());
        }
        prop_assert_eq!(found, rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_come_back(price in any::<f64>().prop_filter("finite", |p| p.is_finite()), units in any::<i64>()) {
        let rows = csv(format!("{HEADER}ann,1996-08-19,{price:?},{units},,\n")).unwrap();
        let fields = read(rows[0].outcome.as_ref().unwrap());
        prop_assert_eq!(&fields[2].1, &Value::Double(price));
        let rows = jsonl(format!(r#"{{"who":"a","at":"1996-08-19","price":{price:?},"units":{units}}}"#));
        let fields = read(rows[0].outcome.as_ref().unwrap());
        prop_assert_eq!(&fields[3].1, &Value::Union(1, Box::new(Value::Long(units))));
    }
}
