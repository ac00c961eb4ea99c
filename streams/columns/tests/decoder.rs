//! What decoders refuse, and in which words; columns that several writers fill; the schemas of sources and views.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use apache_avro::Schema;
use arrow_array::{Array, cast::AsArray, types::Float64Type};
use mainstem_columns::put::{put_boolean, put_double, put_long, put_null, put_some, put_text};
use mainstem_columns::{
    Columns, FEATURE_FIELDS, FlatDecoder, Kind, Layout, Wanted, put_features, source_schema,
    view_schema,
};
use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, Source};
use mainstem_schemas::{EventId, Millis, Span, wire};

fn schema(fields: &str) -> Schema {
    Schema::parse_str(&format!(
        r#"{{"type":"record","name":"R","fields":[{fields}]}}"#
    ))
    .unwrap()
}

fn layout(wanted: &[Wanted]) -> Layout {
    Layout::new(wanted.iter().cloned()).unwrap()
}

/// The words with which a body is refused.
fn refusal(fields: &str, wanted: Wanted, body: &[u8]) -> String {
    let layout = layout(&[wanted]);
    let decoder = FlatDecoder::compile(&schema(fields), &layout).unwrap();
    let mut columns = Columns::new(&layout);
    let error = decoder.append(body, &mut columns).unwrap_err();
    assert_eq!(columns.rows(), 0);
    error.to_string()
}

fn unreadable(fields: &str, wanted: Wanted) -> String {
    let error = FlatDecoder::compile(&schema(fields), &layout(&[wanted])).unwrap_err();
    error.to_string()
}

#[test]
fn every_damage_is_named() {
    let x = || Wanted::required("x", Kind::Number);
    let s = || Wanted::required("s", Kind::Text);
    let double = r#"{"name":"x","type":"double"}"#;
    let long = r#"{"name":"x","type":"long"}"#;
    let string = r#"{"name":"s","type":"string"}"#;
    let cases = [
        (
            refusal(double, x(), &[1, 2, 3]),
            "field x: the record ends after 3 of 8 bytes; it was cut, or written with another schema",
        ),
        (
            refusal(long, x(), &[2, 0, 0]),
            "2 bytes follow the last field; the record was written with another schema",
        ),
        (
            refusal(long, x(), &[0xff; 10]),
            "field x: its integer takes more than 64 bits; the record is damaged or was written with another schema",
        ),
        (
            refusal(long, x(), &[0xff; 3]),
            "field x: the record ends after 3 of 4 bytes; it was cut, or written with another schema",
        ),
        (
            refusal(
                r#"{"name":"x","type":"int"}"#,
                x(),
                &[0x80, 0x80, 0x80, 0x80, 0x10],
            ),
            "field x: 2147483648 is outside the 32 bits of an int; declare the field long",
        ),
        (
            refusal(r#"{"name":"x","type":"boolean"}"#, x(), &[2]),
            "field x: byte 0x02 is no boolean, which is 0x00 or 0x01; the record is damaged or was written with another schema",
        ),
        (
            refusal(string, s(), &[1]),
            "field s: its length is -1; the record is damaged or was written with another schema",
        ),
        (
            refusal(string, s(), &[6, b'a', 0xff, b'b']),
            "field s: byte 1 of its text is not UTF-8; write the text as UTF-8, or declare the field bytes",
        ),
        (
            refusal(r#"{"name":"x","type":["null","double"]}"#, x(), &[4]),
            "field x: branch 2 of a union of 2; the record is damaged or was written with another schema",
        ),
        (
            refusal(
                r#"{"name":"s","type":{"type":"enum","name":"E","symbols":["a"]}}"#,
                s(),
                &[2],
            ),
            "field s: symbol 1 of an enum of 1; the record is damaged or was written with another schema",
        ),
        (
            refusal(r#"{"name":"x","type":["null","double"]}"#, x(), &[0]),
            "field x: it is null, and the field must have a value; write one, or declare the field optional (`double?`)",
        ),
        (
            refusal(
                r#"{"name":"x","type":["string","double"]}"#,
                x(),
                &[0, 2, b'a'],
            ),
            "field x: a string was written where a number is wanted; write the number branch of the union",
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
}

#[test]
fn schemas_that_cannot_fill_a_layout_are_refused_by_name() {
    let x = || Wanted::required("x", Kind::Number);
    let double = r#"{"name":"x","type":"double"},"#;
    let cases = [
        (
            unreadable(r#"{"name":"y","type":"double"}"#, x()),
            "the writer's schema has no field x, which must have a value: write it, or declare it optional (`double?`)",
        ),
        (
            unreadable(r#"{"name":"x","type":{"type":"array","items":"int"}}"#, x()),
            "field x has the type array; columns are read from flat records: write its parts as fields of their own",
        ),
        (
            unreadable(
                &format!(r#"{double}{{"name":"next","type":["null","R"]}}"#),
                x(),
            ),
            "field next has the type recursive record; columns are read from flat records: write its parts as fields of their own",
        ),
        (
            unreadable(r#"{"name":"x","type":"string"}"#, x()),
            "field x is a string where a number is wanted; write it as one, or declare what is written",
        ),
        (
            unreadable(
                r#"{"name":"x","type":["null","bytes"]}"#,
                Wanted::optional("x", Kind::Text),
            ),
            "field x is a union where a text is wanted; write it as one, or declare what is written",
        ),
        (
            unreadable(
                r#"{"name":"x","type":{"type":"fixed","name":"F","size":8}}"#,
                Wanted::required("x", Kind::Origin),
            ),
            "field x is a fixed where a 16-byte id is wanted; write it as one, or declare what is written",
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
    let error = FlatDecoder::compile(&Schema::Long, &layout(&[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the writer's schema is a long; columns are read from records: write a record"
    );
    let error = Layout::new([x(), x()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field x is wanted twice; name it once and read its column twice"
    );
}

#[test]
fn writers_of_several_schemas_alternate_and_a_bad_row_leaves_no_trace() {
    let layout = layout(&[
        Wanted::optional("x", Kind::Number),
        Wanted::required("s", Kind::Text),
    ]);
    let old = schema(r#"{"name":"s","type":"string"}"#);
    let new = schema(
        r#"{"name":"x","type":["double","null"]},{"name":"n","type":"long"},{"name":"s","type":"string"}"#,
    );
    let old = FlatDecoder::compile(&old, &layout).unwrap();
    let new = FlatDecoder::compile(&new, &layout).unwrap();

    let mut columns = Columns::new(&layout);
    old.append(b"\x02a", &mut columns).unwrap();
    let mut body = vec![0];
    put_double(&mut body, 1.5);
    put_long(&mut body, -3);
    put_text(&mut body, "b");
    new.append(&body, &mut columns).unwrap();
    new.append(&body[..body.len() - 1], &mut columns)
        .unwrap_err();
    old.append(b"\x02c", &mut columns).unwrap();

    assert_eq!(columns.number(0, 1), Some(1.5));
    assert_eq!((columns.number(0, 2), columns.number(0, 3)), (None, None));
    assert_eq!(columns.text(1, 2), Some("c"));
    let batch = columns.finish().unwrap();
    let numbers = batch.column(0).as_primitive::<Float64Type>();
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [None, Some(1.5), None]);
    let texts = batch.column(1).as_string::<i32>();
    assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((texts.null_count(), columns.rows()), (0, 0));
    old.append(b"\x02d", &mut columns).unwrap();
    assert_eq!((columns.rows(), columns.text(1, 0)), (1, Some("d")));
}

#[test]
fn columns_of_another_layout_are_refused() {
    let decoder = FlatDecoder::compile(&schema(""), &layout(&[])).unwrap();
    let mut other = Columns::new(&layout(&[Wanted::optional("x", Kind::Number)]));
    let error = decoder.append(b"", &mut other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the columns have another layout than the decoder; make both from one layout"
    );
}

#[test]
fn timestamps_become_milliseconds_rounded_down() {
    let layout = layout(&[Wanted::required("t", Kind::Time)]);
    for (logical, value, want) in [
        ("timestamp-millis", 7, 7),
        ("timestamp-micros", -1, -1),
        ("timestamp-micros", 1_999, 1),
        ("local-timestamp-nanos", 1_999_999, 1),
    ] {
        let field = format!(r#"{{"name":"t","type":{{"type":"long","logicalType":"{logical}"}}}}"#);
        let decoder = FlatDecoder::compile(&schema(&field), &layout).unwrap();
        let (mut body, mut columns) = (Vec::new(), Columns::new(&layout));
        put_long(&mut body, value);
        decoder.append(&body, &mut columns).unwrap();
        assert_eq!(columns.time(0, 0), Some(Millis(want)), "{logical}");
    }
}

#[test]
fn a_type_that_was_named_before_is_found_again() {
    let layout = layout(&[Wanted::required("b", Kind::Origin)]);
    let fields = r#"{"name":"a","type":{"type":"fixed","name":"Id","size":16}},{"name":"b","type":["null","Id"]}"#;
    let decoder = FlatDecoder::compile(&schema(fields), &layout).unwrap();
    let mut columns = Columns::new(&layout);
    let mut body = vec![1; 16];
    put_some(&mut body);
    body.extend([2; 16]);
    decoder.append(&body, &mut columns).unwrap();
    assert_eq!(columns.origin(0, 0), Some(EventId([2; 16])));
}

#[test]
fn features_are_read_as_written() {
    let features = ["a", "b"].map(String::from);
    let view = view_schema("shop", "demand", &features);
    let parsed = Schema::parse_str(&view).unwrap();
    let layout = layout(&[
        Wanted::optional("b", Kind::Number),
        Wanted::optional("a", Kind::Number),
        Wanted::required("origin", Kind::Origin),
        Wanted::required("event_time", Kind::Time),
        Wanted::required("entity", Kind::Text),
    ]);
    let decoder = FlatDecoder::compile(&parsed, &layout).unwrap();
    let (origin, time) = (EventId::row(1, 2, 3), Millis(-840_427_200_000));
    let mut value = Vec::new();
    put_features(&mut value, 7, &origin, time, "é", [Some(-0.5), None]);
    let (id, body) = wire::split(&value).unwrap();
    assert_eq!(id, 7);

    let mut columns = Columns::new(&layout);
    decoder.append(body, &mut columns).unwrap();
    assert_eq!(
        (columns.number(0, 0), columns.number(1, 0)),
        (None, Some(-0.5))
    );
    assert_eq!(columns.origin(2, 0), Some(origin));
    assert_eq!(
        (columns.time(3, 0), columns.text(4, 0)),
        (Some(time), Some("é"))
    );

    let Schema::Record(record) = parsed else {
        panic!("{view}")
    };
    let names: Vec<&str> = record
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(names[..3], FEATURE_FIELDS);
    assert_eq!(
        record.name.fullname(None),
        "shop.features.demand.FeaturesComputed"
    );
}

#[test]
fn arrivals_are_written_as_declared() {
    let field = |name: &str, kind, optional| Field {
        name: name.into(),
        kind,
        optional,
    };
    let mut source = Source {
        number: 1,
        fields: vec![
            field("region", FieldType::String, false),
            field("price", FieldType::Double, true),
            field("units", FieldType::Long, false),
            field("open", FieldType::Boolean, true),
            field("at", FieldType::String, false),
        ],
        entity: Entity::Column("region".into()),
        time: EventTime::Column("at".into()),
        topic: None,
    };
    let text = source_schema("shop", "market", &source);
    assert_eq!(
        text,
        concat!(
            r#"{"type":"record","namespace":"shop.arrivals","name":"market","doc":"An arrival of the source market.","#,
            r#""fields":[{"name":"region","type":"string","doc":"Text; whom the record is about, its key."},"#,
            r#"{"name":"price","type":["null","double"],"default":null,"doc":"Number; null where it is missing."},"#,
            r#"{"name":"units","type":"long","doc":"Whole number."},"#,
            r#"{"name":"open","type":["null","boolean"],"default":null,"doc":"True or false; null where it is missing."},"#,
            r#"{"name":"at","type":"string","doc":"Text; the event time, by RFC 3339."}]}"#,
        )
    );
    let layout = layout(&[
        Wanted::optional("price", Kind::Number),
        Wanted::required("units", Kind::Number),
        Wanted::optional("open", Kind::Number),
    ]);
    let decoder = FlatDecoder::compile(&Schema::parse_str(&text).unwrap(), &layout).unwrap();
    let mut body = Vec::new();
    put_text(&mut body, "north");
    put_null(&mut body);
    put_long(&mut body, i64::MIN);
    put_some(&mut body);
    put_boolean(&mut body, true);
    put_text(&mut body, "1996-05-07");
    let mut columns = Columns::new(&layout);
    decoder.append(&body, &mut columns).unwrap();
    let row = [0, 1, 2].map(|column| columns.number(column, 0));
    assert_eq!(row, [None, Some(i64::MIN as f64), Some(1.0)]);

    // Neither entity nor time need be a column.
    source.entity = Entity::Constant("all".into());
    source.time = EventTime::Row {
        start: Millis(0),
        every: Span(1),
    };
    assert!(!source_schema("shop", "market", &source).contains("event time"));
}

#[test]
fn a_field_that_its_writer_renamed_fills_the_column_of_its_old_name() {
    let layout = layout(&[
        Wanted::required("amount", Kind::Number),
        Wanted::optional("note", Kind::Text),
    ]);
    let read = |fields: &str, body: &[u8]| {
        let decoder = FlatDecoder::compile(&schema(fields), &layout)?;
        let mut columns = Columns::new(&layout);
        decoder.append(body, &mut columns).unwrap();
        Ok::<f64, mainstem_columns::Unreadable>(columns.number(0, 0).unwrap())
    };
    let renamed = r#"{"name":"cost","aliases":["price","amount"],"type":"long"}"#;
    assert_eq!(read(renamed, &[14]), Ok(7.0));
    let both =
        r#"{"name":"cost","aliases":["amount"],"type":"long"},{"name":"amount","type":"long"}"#;
    let text = format!(r#"{{"type":"record","name":"R","fields":[{both}]}}"#);
    assert!(
        Schema::parse_str(&text).is_err(),
        "which of the two is not asked"
    );
    // The parser sees it in this order only.
    let both =
        r#"{"name":"amount","type":"long"},{"name":"cost","aliases":["amount"],"type":"long"}"#;
    let twice = read(both, &[14, 16]).unwrap_err();
    assert!(
        twice
            .to_string()
            .starts_with("field cost is the column amount by its alias"),
        "{twice}"
    );
    let missing = read(r#"{"name":"cost","type":"long"}"#, &[14]).unwrap_err();
    assert!(missing.to_string().contains("no field amount"), "{missing}");
}
