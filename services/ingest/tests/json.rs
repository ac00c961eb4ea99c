//! JSON Lines and the door's records, good and bad: every refusal by its words.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use apache_avro::types::Value;
use common::{jsonl, read, refused_json, source};
use mainstem_ingest::{Encoder, RECORD_LIMIT};
use mainstem_schemas::{Digest, Millis};

/// A record with one more field.
fn with(rest: &str) -> String {
    format!(r#"{{"who":"ann","at":"1996-08-19T04:00:00Z",{rest}}}"#)
}

#[test]
fn an_object_becomes_key_time_and_body() {
    let text = format!(
        "\u{feff}{}\r\n  \n{}",
        r#"{"note":"\u00e9","price":2,"at":"1996-08-19T04:00:00Z","who":"ann","units":-7,"open":true}"#,
        with(r#""price":1e3,"units":null"#)
    );
    let rows = jsonl(text);
    assert_eq!(
        rows.iter()
            .map(|row| (row.row, row.line))
            .collect::<Vec<_>>(),
        [(0, 1), (1, 3)]
    );
    let first = rows[0].outcome.as_ref().unwrap();
    assert_eq!(
        (first.key.as_slice(), first.event_time),
        (&b"ann"[..], Millis(840_427_200_000))
    );
    let some = |value| Value::Union(1, Box::new(value));
    let fields = read(first);
    assert_eq!(fields[2].1, Value::Double(2.0));
    assert_eq!(fields[3].1, some(Value::Long(-7)));
    assert_eq!(fields[4].1, some(Value::Boolean(true)));
    assert_eq!(fields[5].1, some(Value::String("é".into())));
    let second = read(rows[1].outcome.as_ref().unwrap());
    assert_eq!(
        (&second[2].1, &second[3].1),
        (
            &Value::Double(1000.0),
            &Value::Union(0, Box::new(Value::Null))
        )
    );
}

#[test]
fn every_refusal_names_field_value_limit_and_remedy() {
    let cases = [
        (
            with(r#""price":"dear""#),
            Some("price"),
            "price is \"dear\", which is no number; write it with digits and a point, as in 12.5, or declare the field string",
        ),
        (
            with(r#""price":"12.5""#),
            Some("price"),
            "price is the text \"12.5\", and the field is a double; write the number without quotes",
        ),
        (
            with(r#""price":NaN"#),
            Some("price"),
            "price is \"NaN\", and a number must be finite; write null if it is missing and declare the field `double?`",
        ),
        (
            with(r#""price": -Infinity"#),
            Some("price"),
            "price is \"Infinity\", and a number must be finite; write null if it is missing and declare the field `double?`",
        ),
        (
            with(r#""price":"inf""#),
            Some("price"),
            "price is \"inf\", and a number must be finite; write null if it is missing and declare the field `double?`",
        ),
        (
            with(r#""price":-1e999"#),
            Some("price"),
            "price is \"-1e999\", beyond 1.8e308, the range of a 64-bit float; scale it, or declare the field string",
        ),
        (
            with(r#""price":null"#),
            Some("price"),
            "price is missing and must have a value; write one, or declare the field `double?`",
        ),
        (
            with(r#""units":1"#),
            Some("price"),
            "price is missing and must have a value; write one, or declare the field `double?`",
        ),
        (
            with(r#""price":true"#),
            Some("price"),
            "price is true, which is no number; write it with digits and a point, as in 12.5, or declare the field string",
        ),
        (
            with(r#""price":[1]"#),
            Some("price"),
            "price is an array, and records are flat; write its parts as fields of their own",
        ),
        (
            with(r#""price":{"eur":1}"#),
            Some("price"),
            "price is an object, and records are flat; write its parts as fields of their own",
        ),
        (
            with(r#""units":1.5"#),
            Some("units"),
            "units is 1.5, which is no whole number; write it without point and exponent, or declare the field double",
        ),
        (
            with(r#""units":9223372036854775808"#),
            Some("units"),
            "units is 9223372036854775808, outside -9223372036854775808 to 9223372036854775807, the range of a long; declare the field string to keep all digits, or double",
        ),
        (
            with(r#""units":-99999999999999999999"#),
            Some("units"),
            "units is -100000000000000000000, outside -9223372036854775808 to 9223372036854775807, the range of a long; declare the field string to keep all digits, or double",
        ),
        (
            with(r#""open":1"#),
            Some("open"),
            "open is 1, which is neither true nor false; write true or false, or declare the field as what it is",
        ),
        (
            with(r#""note":5"#),
            Some("note"),
            "note is 5, and the field is a string; write it in quotes, or declare the field as what it is",
        ),
        (
            with(r#""price":1,"price":2"#),
            Some("price"),
            "price is there twice; leave one of them out",
        ),
        (
            with(r#""price":1,"colour":"red""#),
            None,
            "key \"colour\" is not declared in source sales; add it to the source's fields, or leave it out",
        ),
        (
            r#"{"who":"","at":"1996-08-19","price":1}"#.into(),
            Some("who"),
            "who is empty, and it says whom the record is about, its key; write the entity",
        ),
        (
            r#"{"who":"ann","at":"","price":1}"#.into(),
            Some("at"),
            "at is \"\", which is no time; write it as 1996-08-19T04:00:00Z, or declare the field long and write milliseconds since 1970",
        ),
        (
            with(r#""price":1"#) + " x",
            None,
            "the record is not JSON: trailing characters at column 53; write one object a line, as {\"a\": 1}",
        ),
        (
            with(r#""price":x,"note":"NaN""#),
            None,
            "the record is not JSON: expected value at column 50; write one object a line, as {\"a\": 1}",
        ),
        (
            r#"{"who":"ann""#.into(),
            None,
            "the record is not JSON: EOF while parsing an object at column 12; write one object a line, as {\"a\": 1}",
        ),
        (
            "[1]".into(),
            None,
            "the record is no object: invalid type: sequence, expected an object; write one object a line, as {\"a\": 1}",
        ),
        (
            "7".into(),
            None,
            "the record is no object: invalid type: integer `7`, expected an object; write one object a line, as {\"a\": 1}",
        ),
    ];
    for (line, field, reason) in cases {
        let reject = refused_json(&line);
        assert_eq!(
            (reject.field.as_deref(), reject.reason.as_str()),
            (field, reason),
            "{line}"
        );
        assert_eq!(
            (reject.bytes.as_slice(), reject.digest),
            (line.as_bytes(), Digest::of(line.as_bytes()))
        );
    }
    let reject = refused_json(b"{\"who\":\"\xff\"}");
    assert_eq!(
        reject.reason,
        "byte 8 of the record is not UTF-8; write JSON as UTF-8"
    );
}

#[test]
fn a_bad_line_does_not_stop_the_others() {
    let good = with(r#""price":1"#);
    let rows = jsonl(format!(
        "{good}\nnonsense\n{}\n{good}\n",
        "x".repeat(2 * RECORD_LIMIT)
    ));
    let bad: Vec<bool> = rows.iter().map(|row| row.outcome.is_err()).collect();
    assert_eq!(bad, [false, true, true, false]);
    assert_eq!(rows[3].line, 4);
}

#[test]
fn the_door_reads_as_the_file_does() {
    let line = with(r#""price":1,"note":"x""#);
    let row = jsonl(&line).remove(0).outcome.unwrap();
    let mut encoder = Encoder::new("sales", &source()).unwrap();
    assert_eq!(encoder.json(0, line.as_bytes()), Ok(row.clone()));
    encoder.json(0, b"{").unwrap_err();
    assert_eq!(
        encoder.json(1, line.as_bytes()),
        Ok(row),
        "a bad record leaves nothing behind"
    );
    let reject = encoder.json(2, &vec![b' '; RECORD_LIMIT + 1]).unwrap_err();
    assert_eq!(
        (reject.length, reject.reason.as_str()),
        (
            RECORD_LIMIT as u64 + 1,
            "the record has 1048577 bytes, and at most 1048576 are taken, for a broker refuses more by default; shorten it, or keep large values elsewhere and publish where they are"
        )
    );
}
