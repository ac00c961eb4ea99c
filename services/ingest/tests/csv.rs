//! CSV, good and bad: every refusal by its words.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use apache_avro::types::Value;
use common::{HEADER, csv, field, read, refused, source};
use mainstem_ingest::{KEPT_BYTES, RECORD_LIMIT, Reader};
use mainstem_schemas::definition::{Entity, EventTime, FieldType, Source};
use mainstem_schemas::{Digest, Millis, Span};

fn header_error(text: impl AsRef<[u8]>) -> String {
    csv(text).unwrap_err().to_string()
}

#[test]
fn a_row_becomes_key_time_and_body() {
    let rows = csv(format!("\u{feff}{}", "note,price,at,who,units,open\r\n\"a \"\"b\"\",\r\nc\", 1.5 ,1996-08-19T04:00:00Z,ann, -7,TRUE\r\n\r\n,2,1996-08-19,bob,,0")).unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| (row.row, row.line))
            .collect::<Vec<_>>(),
        [(0, 2), (1, 5)]
    );
    let first = rows[0].outcome.as_ref().unwrap();
    assert_eq!(
        (first.key.as_slice(), first.event_time),
        (&b"ann"[..], Millis(840_427_200_000))
    );
    let some = |value| Value::Union(1, Box::new(value));
    let null = || Value::Union(0, Box::new(Value::Null));
    let values = |row: usize| {
        read(rows[row].outcome.as_ref().unwrap())
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        values(0),
        [
            Value::String("ann".into()),
            Value::String("1996-08-19T04:00:00Z".into()),
            Value::Double(1.5),
            some(Value::Long(-7)),
            some(Value::Boolean(true)),
            some(Value::String("a \"b\",\r\nc".into())),
        ]
    );
    assert_eq!(
        values(1)[2..],
        [
            Value::Double(2.0),
            null(),
            some(Value::Boolean(false)),
            null()
        ]
    );
}

#[test]
fn a_header_that_does_not_fit_stops_the_file() {
    let cases = [
        (
            "",
            "line 1, the header: the file is empty; its first line must name the columns: who,at,price,units,open,note",
        ),
        (
            "\u{feff}\n\r\n",
            "line 1, the header: the file is empty; its first line must name the columns: who,at,price,units,open,note",
        ),
        (
            "ann,1996-08-19,1.5\n",
            "line 1, the header: it is \"ann,1996-08-19,1.5\" and names no column of source sales; the first line must name them, with commas between: who,at,price,units,open,note",
        ),
        (
            "who;at;price\n",
            "line 1, the header: it is \"who;at;price\" and names no column of source sales; the first line must name them, with commas between: who,at,price,units,open,note",
        ),
        (
            "who,at\n",
            "line 1, the header: column price of source sales is missing; add it to the file, or declare the field optional (`double?`)",
        ),
        (
            "who,at,price,at\n",
            "line 1, the header: column at is named twice; remove or rename one of them",
        ),
        (
            "who,at,price,colour\n",
            "line 1, the header: column \"colour\" is not declared in source sales; add it to the source's fields, or remove it from the file",
        ),
        (
            "who,at, Price\n",
            "line 1, the header: column \" Price\" is not declared in source sales; write it as price",
        ),
        (
            "who,\"at\n",
            "line 1, the header: it is no line of column names in CSV (it is too long, or a quote is not closed); write: who,at,price,units,open,note",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(header_error(text), want);
    }
    assert_eq!(
        header_error(b"\xff\xfew\0h\0o\0\n\0"),
        "line 1, the header: the file is UTF-16; save it as UTF-8"
    );
    assert_eq!(
        header_error(b"who,\xe9\n"),
        "line 1, the header: it is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(
        csv("who,at,price").unwrap(),
        [],
        "a header without rows is no error"
    );
}

#[test]
fn every_refusal_names_field_value_limit_and_remedy() {
    let cases = [
        (
            "ann,1996-08-19,\"12,5\",,,",
            Some("price"),
            "price is \"12,5\", which is no number; write it with digits and a point, as in 12.5, or declare the field string",
        ),
        (
            "ann,1996-08-19,nan,,,",
            Some("price"),
            "price is \"nan\", and a number must be finite; leave it empty if it is missing and declare the field `double?`",
        ),
        (
            "ann,1996-08-19,-inf,,,",
            Some("price"),
            "price is \"-inf\", and a number must be finite; leave it empty if it is missing and declare the field `double?`",
        ),
        (
            "ann,1996-08-19,1e999,,,",
            Some("price"),
            "price is \"1e999\", beyond 1.8e308, the range of a 64-bit float; scale it, or declare the field string",
        ),
        (
            "ann,1996-08-19,,,,",
            Some("price"),
            "price is missing and must have a value; write one, or declare the field `double?`",
        ),
        (
            "ann,1996-08-19,1,9223372036854775808,,",
            Some("units"),
            "units is \"9223372036854775808\", outside -9223372036854775808 to 9223372036854775807, the range of a long; declare the field string to keep all digits, or double",
        ),
        (
            "ann,1996-08-19,1,1.0,,",
            Some("units"),
            "units is \"1.0\", which is no whole number; write it without point and exponent, or declare the field double",
        ),
        (
            "ann,1996-08-19,1,many,,",
            Some("units"),
            "units is \"many\", which is no number; write it with digits and a point, as in 12.5, or declare the field string",
        ),
        (
            "ann,1996-08-19,1,NaN,,",
            Some("units"),
            "units is \"NaN\", and a number must be finite; leave it empty if it is missing",
        ),
        (
            "ann,1996-08-19,1,,yes,",
            Some("open"),
            "open is \"yes\", which is neither true nor false; write true or false, or declare the field as what it is",
        ),
        (
            ",1996-08-19,1,,,",
            Some("who"),
            "who is missing and must have a value; write one, or declare the field `string?`",
        ),
        (
            "ann,yesterday,1,,,",
            Some("at"),
            "at is \"yesterday\", which is no time; write it as 1996-08-19T04:00:00Z, or declare the field long and write milliseconds since 1970",
        ),
        (
            "ann,9999-12-31T23:59:00-18:00,1,,,",
            Some("at"),
            "at is \"9999-12-31T23:59:00-18:00\", outside 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z; write the event time in milliseconds since 1970, or as 1996-08-19T04:00:00Z; log time begins in 1970, so move older times, all by the same span",
        ),
        (
            "ann,1969-12-31T23:59:59.999Z,1,,,",
            Some("at"),
            "at is \"1969-12-31T23:59:59.999Z\", outside 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z; write the event time in milliseconds since 1970, or as 1996-08-19T04:00:00Z; log time begins in 1970, so move older times, all by the same span",
        ),
        (
            "ann,1996-08-19,1,5",
            None,
            "the record has 4 columns and the header 6; quote a value that holds a comma, and leave a missing value empty between its commas",
        ),
        (
            "ann,1996-08-19,1,,,\"a\"b",
            None,
            "text follows a closing quote; put a comma between them, or write a quote inside quotes twice (\"\")",
        ),
        (
            "ann,1996-08-19,1,,,\"a",
            None,
            "a quote is opened and not closed; close it, and write a quote inside quotes twice (\"\")",
        ),
    ];
    for (line, field, reason) in cases {
        let reject = refused(line);
        assert_eq!(
            (reject.field.as_deref(), reject.reason.as_str()),
            (field, reason)
        );
        assert_eq!(
            (reject.bytes.as_slice(), reject.length),
            (line.as_bytes(), line.len() as u64)
        );
        assert_eq!(reject.digest, Digest::of(line.as_bytes()));
    }
    let reason = refused(format!("ann,1996-08-19,{},,,", "é".repeat(100))).reason;
    assert!(
        reason.starts_with(&format!("price is \"{}\"…, which", "é".repeat(80))),
        "{reason}"
    );
}

#[test]
fn a_line_that_is_not_utf8_is_refused_and_the_others_go_on() {
    let text = [
        HEADER.as_bytes(),
        b"ann,1996-08-19,1,,,a\xffb\r\nbob,1996-08-19,1,,,x\n",
    ]
    .concat();
    let rows = csv(text).unwrap();
    let reject = rows[0].outcome.as_ref().unwrap_err();
    assert_eq!(
        reject.reason,
        "note is \"a\u{fffd}b\", whose byte 1 is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(reject.bytes, b"ann,1996-08-19,1,,,a\xffb");
    assert!(rows[1].outcome.is_ok());
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line() {
    let good = "bob,1996-08-19,1,,,x\n";
    let rows = csv(format!(
        "{HEADER}ann,1996-08-19,1,,,\"open\n{}",
        good.repeat(3)
    ))
    .unwrap();
    let bad: Vec<bool> = rows.iter().map(|row| row.outcome.is_err()).collect();
    assert_eq!(bad, [true, false, false, false]);

    // The same beyond the limit: the file goes on below it.
    let many = 3 * RECORD_LIMIT / good.len();
    let rows = csv(format!(
        "{HEADER}ann,1996-08-19,1,,,\"open\n{}",
        good.repeat(many)
    ))
    .unwrap();
    assert_eq!(rows.len(), many + 1);
    assert_eq!(rows.iter().filter(|row| row.outcome.is_err()).count(), 1);
    assert_eq!(rows.last().map(|row| row.line), Some(many as u64 + 2));
}

/// A line that is made while it is read.
struct Long {
    left: u64,
    chunk: Vec<u8>,
}

impl std::io::Read for Long {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = (self.left.min(self.chunk.len() as u64) as usize).min(out.len());
        out[..count].copy_from_slice(&self.chunk[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

#[test]
fn a_line_of_a_gibibyte_is_skipped() {
    let length = if cfg!(debug_assertions) {
        64 << 20
    } else {
        1u64 << 30
    };
    let long = Long {
        left: length,
        chunk: vec![b'x'; 1 << 16],
    };
    let (before, after) = (HEADER.as_bytes(), b"\r\nann,1996-08-19,1,,,\n".as_slice());
    let input = std::io::Read::chain(std::io::Read::chain(before, long), after);
    let rows = Reader::csv("sales", &source(), std::io::BufReader::new(input)).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    let reject = rows[0].outcome.as_ref().unwrap_err();
    assert_eq!(
        reject.reason,
        format!(
            "the record has {length} bytes, and at most 1048576 are taken, for a broker refuses more by default; shorten it, or keep large values elsewhere and publish where they are"
        )
    );
    assert_eq!((reject.length, reject.bytes.len()), (length, KEPT_BYTES));
    let mut hasher = blake3::Hasher::new();
    for _ in 0..length >> 16 {
        hasher.update(&[b'x'; 1 << 16]);
    }
    assert_eq!(reject.digest, Digest(*hasher.finalize().as_bytes()));
    assert!(rows[1].outcome.is_ok());
    assert_eq!((rows.len(), rows[1].line), (2, 3));
}

#[test]
fn a_record_of_just_the_limit_is_taken() {
    let begin = "ann,1996-08-19,1,,,";
    // A kibibyte is left for the headers, and the key counts beside the body.
    let some = csv(format!("{HEADER}{begin}{}\n", "x".repeat(1_000_000))).unwrap();
    let good = some[0].outcome.as_ref().unwrap();
    let left = RECORD_LIMIT - 1_024 - good.key.len() - good.body.len();
    let fits = "x".repeat(1_000_000 + left);
    for (note, good) in [(fits.clone(), true), (fits + "x", false)] {
        let rows = csv(format!("{HEADER}{begin}{note}\n{begin}\n")).unwrap();
        assert_eq!(rows[0].outcome.is_ok(), good);
        assert!(rows[1].outcome.is_ok());
        if let Err(reject) = &rows[0].outcome {
            assert_eq!(reject.bytes.len(), KEPT_BYTES);
            assert_eq!(
                reject.digest,
                Digest::of(format!("{begin}{note}").as_bytes())
            );
        }
    }
}

#[test]
fn rows_can_give_the_time_and_one_entity_all() {
    let mut source = Source {
        number: 1,
        fields: vec![field("x", FieldType::Double, true)],
        entity: Entity::Constant("all".into()),
        time: EventTime::Row {
            start: "1996-05-07T00:00".parse().unwrap(),
            every: Span(1_800_000),
        },
        topic: None,
    };
    let read = |source: &Source, text: &str| -> Vec<_> {
        let rows = Reader::csv("s", source, text.as_bytes()).unwrap();
        rows.map(|row| row.unwrap().outcome.map_err(|reject| reject.reason))
            .collect()
    };
    let rows = read(&source, "x\n1\nbad\n2\n");
    let third = rows[2].as_ref().unwrap();
    assert_eq!(third.key, b"all");
    assert_eq!(
        third.event_time.to_string(),
        "1996-05-07T01:00:00Z",
        "a bad row takes its time too"
    );

    source.time = EventTime::Row {
        start: Millis(0),
        every: Span(i64::MAX),
    };
    assert_eq!(
        read(&source, "x\n1\n2\n")[1],
        Err("row 1 would lie 1 times 9223372036854775807ms after 1970-01-01T00:00:00Z, outside 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z; declare a shorter `every`, or a later `start`: log time begins in 1970, so move older times, all by the same span".into())
    );
}

#[test]
fn a_number_can_be_entity_and_time() {
    let mut source = Source {
        number: 1,
        fields: vec![
            field("id", FieldType::Long, false),
            field("ms", FieldType::Long, true),
        ],
        entity: Entity::Column("id".into()),
        time: EventTime::Column("ms".into()),
        topic: None,
    };
    let rows = Reader::csv(
        "s",
        &source,
        "id,ms\n7,1000\n7,\n7,840427200000000000\n".as_bytes(),
    )
    .unwrap();
    let rows: Vec<_> = rows.map(|row| row.unwrap().outcome).collect();
    let first = rows[0].as_ref().unwrap();
    assert_eq!(
        (first.key.as_slice(), first.event_time),
        (&b"7"[..], Millis(1000))
    );
    let reason = |row: usize| rows[row].as_ref().unwrap_err().reason.as_str();
    assert_eq!(
        reason(1),
        "ms is empty, and it is the event time; write it as 1996-08-19T04:00:00Z"
    );
    assert_eq!(
        reason(2),
        "ms is 840427200000000000, outside 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z; write the event time in milliseconds since 1970, or as 1996-08-19T04:00:00Z; log time begins in 1970, so move older times, all by the same span"
    );

    source.entity = Entity::Column("name".into());
    let error = Reader::csv("s", &source, &b""[..]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source s: entity names the column name, which is not declared; declare it"
    );
    source.entity = Entity::Constant("all".into());
    source.fields[1].kind = FieldType::Double;
    let error = Reader::csv("s", &source, &b""[..]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source s: time names the column ms, a double; declare it string or long"
    );
}

#[test]
fn a_failing_disk_ends_the_rows() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let input = std::io::BufReader::new(std::io::Read::chain(HEADER.as_bytes(), Fails));
    let mut rows = Reader::csv("sales", &source(), input).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading failed: the disk is gone; see to the file or the connection, then publish again"
    );
    assert!(rows.next().is_none());
}
