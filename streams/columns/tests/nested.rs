//! Fields that nobody wants may hold anything; whole numbers keep their digits; keys stand by themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted, key_text};
use proptest::prelude::*;

/// A record whose second field holds every nested type, and names a type that a later field refers to.
const NESTED: &str = r#"{"type":"record","name":"R","namespace":"p","fields":[
    {"name":"before","type":"long"},
    {"name":"deep","type":["null",{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"tags","type":{"type":"map","values":["null","string","Item2"]}},
        {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["a","b"]}},
        {"name":"nothing","type":{"type":"array","items":"null"}},
        {"name":"bits","type":{"type":"fixed","name":"F","size":3}},
        {"name":"flag","type":"boolean"},
        {"name":"real","type":"float"}]}}]},
    {"name":"also","type":["null","Item"]},
    {"name":"after","type":"Kind"}]}"#;

fn nested() -> Schema {
    let text = NESTED.replace(r#","Item2""#, "");
    Schema::parse_str(&text).unwrap()
}

fn item() -> impl Strategy<Value = Value> {
    let tag = prop_oneof![
        Just(Value::Union(0, Box::new(Value::Null))),
        ".{0,8}".prop_map(|text| Value::Union(1, Box::new(Value::String(text)))),
    ];
    let tags = proptest::collection::hash_map("[a-z]{1,4}", tag, 0..4);
    (
        tags,
        any::<bool>(),
        0usize..5,
        any::<[u8; 3]>(),
        any::<f32>(),
    )
        .prop_map(|(tags, flag, nulls, bits, real)| {
            Value::Record(vec![
                ("tags".into(), Value::Map(tags)),
                ("kind".into(), kind(flag)),
                ("nothing".into(), Value::Array(vec![Value::Null; nulls])),
                ("bits".into(), Value::Fixed(3, bits.to_vec())),
                ("flag".into(), Value::Boolean(flag)),
                ("real".into(), Value::Float(real)),
            ])
        })
}

fn kind(b: bool) -> Value {
    Value::Enum(u32::from(b), if b { "b" } else { "a" }.into())
}

fn layout() -> Layout {
    Layout::new([
        Wanted::required("after", Kind::Text),
        Wanted::required("before", Kind::Whole),
    ])
    .unwrap()
}

proptest! {
    #[test]
    fn what_nobody_wants_is_passed_by_whatever_it_holds(
        before: i64,
        items in proptest::option::of(proptest::collection::vec(item(), 0..4)),
        also in proptest::option::of(item()),
        after: bool,
        cut in 0.0..1.0,
    ) {
        let (schema, layout) = (nested(), layout());
        let optional = |value: Option<Value>| match value {
            None => Value::Union(0, Box::new(Value::Null)),
            Some(value) => Value::Union(1, Box::new(value)),
        };
        let record = Value::Record(vec![
            ("before".into(), Value::Long(before)),
            ("deep".into(), optional(items.map(Value::Array))),
            ("also".into(), optional(also)),
            ("after".into(), kind(after)),
        ]);
        let body = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(record).unwrap();
        let decoder = FlatDecoder::compile(&schema, &layout).unwrap();
        let mut columns = Columns::new(&layout);
        decoder.append(&body, &mut columns).unwrap();
        prop_assert_eq!(columns.text(0, 0), Some(if after { "b" } else { "a" }));
        prop_assert_eq!(columns.whole(1, 0), Some(before));
        let shorter = &body[..(body.len() as f64 * cut) as usize];
        prop_assert!(decoder.append(shorter, &mut columns).is_err());
        prop_assert_eq!(columns.rows(), 1);
    }

    #[test]
    fn no_bytes_panic_or_go_on_for_ever(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (schema, layout) = (nested(), layout());
        let mut columns = Columns::new(&layout);
        let decoder = FlatDecoder::compile(&schema, &layout).unwrap();
        let taken = decoder.append(&body, &mut columns).is_ok();
        prop_assert_eq!(columns.rows(), usize::from(taken));
    }
}

#[test]
fn a_type_without_an_end_is_refused_and_not_unrolled() {
    let compile = |field: &str| {
        let text = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"deep","type":{field}}},{{"name":"x","type":"long"}}]}}"#
        );
        let layout = Layout::new([Wanted::required("x", Kind::Whole)]).unwrap();
        FlatDecoder::compile(&Schema::parse_str(&text).unwrap(), &layout)
    };
    let list =
        r#"{"type":"record","name":"List","fields":[{"name":"next","type":["null","List"]}]}"#;
    let told = compile(list).unwrap_err().to_string();
    assert!(told.contains("field deep"), "{told}");
    // Each record holds the one before it twice: 2^40 types in all.
    let mut doubled = r#"{"type":"record","name":"T0","fields":[]}"#.to_owned();
    for n in 1..=40 {
        doubled = format!(
            r#"{{"type":"record","name":"T{n}","fields":[{{"name":"a","type":{doubled}}},{{"name":"b","type":"T{}"}}]}}"#,
            n - 1
        );
    }
    assert!(compile(&doubled).is_err());
}

#[test]
fn a_count_of_items_without_bytes_is_not_counted_out() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"n","type":{"type":"array","items":"null"}},{"name":"x","type":"int"}]}"#;
    let layout = Layout::new([Wanted::required("x", Kind::Whole)]).unwrap();
    let decoder = FlatDecoder::compile(&Schema::parse_str(text).unwrap(), &layout).unwrap();
    let mut columns = Columns::new(&layout);
    // 2^62 nulls, the end of the array, and 7.
    let body = [
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 14,
    ];
    decoder.append(&body, &mut columns).unwrap();
    assert_eq!(columns.whole(0, 0), Some(7));
}

#[test]
fn a_key_is_a_string_or_a_whole_number() {
    let read = |schema: &str, body: &[u8]| {
        key_text(&Schema::parse_str(schema).unwrap(), body).map_err(|why| why.to_string())
    };
    assert_eq!(read(r#""string""#, b"\x06ada"), Ok("ada".into()));
    assert_eq!(read(r#""int""#, &[3]), Ok("-2".into()));
    assert_eq!(read(r#""long""#, &[2]), Ok("1".into()));
    for (schema, body) in [
        (r#""string""#, &b"\x06ad"[..]),
        (r#""long""#, &[2, 0]),
        (r#""double""#, &[0; 8]),
    ] {
        assert!(read(schema, body).is_err(), "{schema}");
    }
}
