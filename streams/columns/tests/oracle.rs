//! apache-avro is the oracle: what it writes is read alike, and what is accepted it reads alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_schemas::Millis;
use proptest::prelude::*;
use serde_json::json;

/// The types that a flat field can have, by their JSON and the column that holds them.
const TYPES: [(&str, Option<Kind>); 12] = [
    (r#""null""#, None),
    (r#""boolean""#, Some(Kind::Number)),
    (r#""int""#, Some(Kind::Number)),
    (r#""long""#, Some(Kind::Number)),
    (r#""float""#, Some(Kind::Number)),
    (r#""double""#, Some(Kind::Number)),
    (r#""string""#, Some(Kind::Text)),
    (r#""bytes""#, None),
    (
        r#"{"type":"fixed","name":"F16","size":16}"#,
        Some(Kind::Origin),
    ),
    (r#"{"type":"fixed","name":"F3","size":3}"#, None),
    (
        r#"{"type":"enum","name":"E","symbols":["low","mid","high"]}"#,
        Some(Kind::Text),
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        Some(Kind::Time),
    ),
];

/// A field: positions in `TYPES`, several for a union, and whether a column is wanted.
type Shape = (Vec<usize>, bool);

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let one = (0..TYPES.len()).prop_map(|t| vec![t]);
    // A null branch before or after another type, or several types of one column's kind.
    let optional = (1..TYPES.len(), any::<bool>())
        .prop_map(|(t, first)| if first { vec![0, t] } else { vec![t, 0] });
    let several = Just(vec![2, 5, 0, 4, 1]);
    let field = (
        prop_oneof![2 => one, 2 => optional, 1 => several],
        any::<bool>(),
    );
    proptest::collection::vec(field, 0..8)
}

fn value_of(kind: usize, seed: &[u8; 16], text: &str) -> Value {
    let long = i64::from_le_bytes(seed[..8].try_into().unwrap());
    match kind {
        0 => Value::Null,
        1 => Value::Boolean(seed[0] & 1 == 1),
        2 => Value::Int(long as i32 >> (seed[8] % 32)),
        3 => Value::Long(long >> (seed[8] % 64)),
        4 => Value::Float(f32::from_bits(long as u32)),
        5 => Value::Double(f64::from_bits(long as u64)),
        6 => Value::String(text.to_owned()),
        7 => Value::Bytes(text.as_bytes().to_vec()),
        8 => Value::Fixed(16, seed.to_vec()),
        9 => Value::Fixed(3, seed[..3].to_vec()),
        10 => {
            let symbol = seed[0] % 3;
            Value::Enum(
                u32::from(symbol),
                ["low", "mid", "high"][usize::from(symbol)].into(),
            )
        }
        _ => Value::TimestampMillis(long >> (seed[8] % 64)),
    }
}

fn schema_of(shapes: &[Shape]) -> Schema {
    let mut named = 0;
    let mut json_of = |kind: usize| {
        named += 1;
        let mut json: serde_json::Value = serde_json::from_str(TYPES[kind].0).unwrap();
        if let Some(name) = json
            .get("name")
            .and_then(|n| n.as_str())
            .map(|n| format!("{n}_{named}"))
        {
            json["name"] = json!(name);
        }
        json
    };
    let mut fields = Vec::new();
    for (at, (kinds, _)) in shapes.iter().enumerate() {
        let kind = match kinds.as_slice() {
            [kind] => json_of(*kind),
            several => several.iter().map(|kind| json_of(*kind)).collect(),
        };
        fields.push(json!({"name": format!("f{at}"), "type": kind}));
    }
    let schema = json!({"type": "record", "namespace": "p.q", "name": "R", "fields": fields});
    Schema::parse(&schema).unwrap()
}

fn layout_of(shapes: &[Shape]) -> Layout {
    let kind_of = |kinds: &[usize]| kinds.iter().find_map(|kind| TYPES[*kind].1);
    let mut wanted = Vec::new();
    for (at, (kinds, want)) in shapes.iter().enumerate() {
        if let Some(kind) = kind_of(kinds).filter(|_| *want) {
            wanted.push(Wanted::optional(&format!("f{at}"), kind));
        }
    }
    // Neither the writer's order nor all of its fields.
    wanted.reverse();
    wanted.push(Wanted::optional("nowhere", Kind::Number));
    Layout::new(wanted).unwrap()
}

/// The cell that a value must become, with doubles as bits.
#[derive(Debug, PartialEq)]
enum Cell {
    Null,
    Number(u64),
    Text(String),
    Time(i64),
    Origin(Vec<u8>),
}

fn cell_of(value: &Value) -> Cell {
    let number = |number: f64| Cell::Number(number.to_bits());
    match value {
        Value::Union(_, value) => cell_of(value),
        Value::Null => Cell::Null,
        Value::Boolean(b) => number(f64::from(u8::from(*b))),
        Value::Int(i) => number(f64::from(*i)),
        Value::Long(l) => number(*l as f64),
        Value::Float(f) => number(f64::from(*f)),
        Value::Double(d) => number(*d),
        Value::String(s) => Cell::Text(s.clone()),
        Value::Enum(_, s) => Cell::Text(s.clone()),
        Value::TimestampMillis(t) => Cell::Time(*t),
        Value::Fixed(_, bytes) => Cell::Origin(bytes.clone()),
        other => panic!("{other:?} has no cell"),
    }
}

fn cell(columns: &Columns, column: usize, row: usize) -> Cell {
    let found = match columns.layout().wanted()[column].kind {
        Kind::Number => columns
            .number(column, row)
            .map(|n| Cell::Number(n.to_bits())),
        Kind::Text => columns.text(column, row).map(|t| Cell::Text(t.to_owned())),
        Kind::Time => columns.time(column, row).map(|Millis(t)| Cell::Time(t)),
        // In `nested.rs`.
        Kind::Whole => None,
        Kind::Origin => columns
            .origin(column, row)
            .map(|id| Cell::Origin(id.0.to_vec())),
    };
    found.unwrap_or(Cell::Null)
}

/// The last row of the columns is what apache-avro read.
fn same(columns: &Columns, value: &Value) {
    let Value::Record(fields) = value else {
        panic!("{value:?}")
    };
    for (at, wanted) in columns.layout().wanted().iter().enumerate() {
        let value = fields.iter().find(|(name, _)| *name == wanted.name);
        let want = value.map_or(Cell::Null, |(_, value)| cell_of(value));
        assert_eq!(
            cell(columns, at, columns.rows() - 1),
            want,
            "{}",
            wanted.name
        );
    }
}

fn read(schema: &Schema, mut body: &[u8]) -> Option<Value> {
    let reader = GenericDatumReader::builder(schema).build().unwrap();
    let value = reader.read_value(&mut body).ok()?;
    body.is_empty().then_some(value)
}

#[derive(Debug, Clone)]
enum Mutation {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Remove(usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = 0usize..200;
    let byte = prop_oneof![any::<u8>(), 0u8..8, Just(0xff), Just(0x80)];
    let one = prop_oneof![
        (at.clone(), byte.clone()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        at.clone().prop_map(Mutation::Cut),
        (at.clone(), byte).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at.prop_map(Mutation::Remove),
    ];
    proptest::collection::vec(one, 1..4)
}

fn mutate(body: &mut Vec<u8>, mutation: &Mutation) {
    let length = body.len();
    match mutation {
        Mutation::Insert(at, byte) => body.insert(at % (length + 1), *byte),
        _ if length == 0 => {}
        Mutation::Flip(at, byte) => body[at % length] ^= byte,
        Mutation::Cut(at) => body.truncate(at % length),
        Mutation::Remove(at) => drop(body.remove(at % length)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_apache_avro_writes_is_read_alike_and_damage_is_refused_or_read_alike(
        shapes in shapes(),
        rows in proptest::collection::vec((any::<[u8; 16]>(), "\\PC{0,12}", any::<usize>(), mutations()), 1..12),
    ) {
        let schema = schema_of(&shapes);
        let layout = layout_of(&shapes);
        let decoder = FlatDecoder::compile(&schema, &layout).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let mut columns = Columns::new(&layout);
        let mut accepted = 0;
        for (seed, text, pick, mutations) in &rows {
            let fields = shapes.iter().enumerate().map(|(at, (kinds, _))| {
                let branch = pick % kinds.len();
                let value = value_of(kinds[branch], seed, text);
                let value = if kinds.len() == 1 { value } else { Value::Union(branch as u32, Box::new(value)) };
                (format!("f{at}"), value)
            });
            let mut body = writer.write_value_to_vec(Value::Record(fields.collect())).unwrap();
            decoder.append(&body, &mut columns).unwrap();
            accepted += 1;
            same(&columns, &read(&schema, &body).unwrap());

            for mutation in mutations {
                mutate(&mut body, mutation);
            }
            if decoder.append(&body, &mut columns).is_ok() {
                accepted += 1;
                same(&columns, &read(&schema, &body).expect("apache-avro reads what was accepted"));
            }
            prop_assert_eq!(columns.rows(), accepted);
        }
        let batch = columns.finish().unwrap();
        prop_assert_eq!((batch.num_rows(), columns.rows()), (accepted, 0));
    }

    #[test]
    fn no_bytes_panic(shapes in shapes(), body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let schema = schema_of(&shapes);
        let layout = layout_of(&shapes);
        let mut columns = Columns::new(&layout);
        let decoder = FlatDecoder::compile(&schema, &layout).unwrap();
        if decoder.append(&body, &mut columns).is_ok() {
            same(&columns, &read(&schema, &body).unwrap());
        }
    }
}
