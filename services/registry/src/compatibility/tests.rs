//! The rules, each with what breaks it; and the walk's cost.

use super::*;

fn types(text: &str) -> Types {
    Types::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"a.R","fields":[{fields}]}}"#)
}

fn broken(reader: &str, writer: &str) -> Vec<Incompatibility> {
    can_read(&types(reader), &types(writer), Which::NewReads)
}

fn kinds(reader: &str, writer: &str) -> Vec<&'static str> {
    broken(reader, writer)
        .into_iter()
        .map(|one| one.kind)
        .collect()
}

#[test]
fn numbers_widen_and_texts_are_bytes() {
    let all = [
        "null", "boolean", "int", "long", "float", "double", "bytes", "string",
    ];
    let wider = [
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    ];
    for writer in all {
        for reader in all {
            let fits = writer == reader || wider.contains(&(writer, reader));
            let found = kinds(&format!("\"{reader}\""), &format!("\"{writer}\""));
            assert_eq!(found.is_empty(), fits, "{writer} as {reader}: {found:?}");
        }
    }
}

/// The Avro library resolves as the walk says.
#[test]
fn logical_types_are_what_they_are_written_as() {
    let time = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    assert_eq!(kinds(time, "\"long\""), [""; 0]);
    assert_eq!(kinds("\"long\"", time), [""; 0]);
    assert_eq!(kinds(time, "\"string\""), ["TYPE_MISMATCH"]);
}

#[test]
fn a_field_without_a_default_must_have_been_written() {
    let (old, new) = (
        record(r#"{"name":"x","type":"int"}"#),
        record(r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#),
    );
    let found = broken(&new, &old);
    let words = "The field 'y' at path '/fields/1' in the new schema has no default value and is missing in the old schema";
    assert_eq!((found.len(), found[0].description.as_str()), (1, words));
    assert_eq!(found[0].info, "y");
    assert_eq!(
        kinds(&old, &new),
        [""; 0],
        "what nobody reads is passed over"
    );
    let with_default =
        record(r#"{"name":"x","type":"int"},{"name":"y","type":["null","int"],"default":null}"#);
    assert_eq!(kinds(&with_default, &old), [""; 0]);
    let forward = can_read(&types(&new), &types(&old), Which::OldReads);
    assert!(
        forward[0]
            .description
            .contains("in the old schema has no default")
    );
}

#[test]
fn a_fields_type_is_named_with_the_field() {
    let inner = |kind: &str| {
        record(&format!(
            r#"{{"name":"in","type":{{"type":"record","name":"I","fields":[{{"name":"x","type":"{kind}"}}]}}}}"#
        ))
    };
    let found = broken(&inner("long"), &inner("string"));
    let words = "The type of field 'in.x' (path '/fields/0/type/fields/0/type') in the new schema, long, does not match \
                 with the old schema, string";
    assert_eq!(
        (found[0].kind, found[0].description.as_str()),
        ("TYPE_MISMATCH", words)
    );
    assert_eq!(
        found[0].info,
        "reader type: LONG not compatible with writer type: STRING"
    );
}

#[test]
fn aliases_rename_fields_and_types() {
    let old = record(r#"{"name":"amount","type":"int"}"#);
    let new = record(r#"{"name":"cost","aliases":["amount"],"type":"long"}"#);
    assert_eq!(kinds(&new, &old), [""; 0]);
    assert_eq!(
        kinds(&old, &new),
        ["READER_FIELD_MISSING_DEFAULT_VALUE"],
        "only a reader's aliases count"
    );
    let renamed = r#"{"type":"record","name":"b.S","fields":[]}"#;
    assert_eq!(kinds(renamed, &record("")), ["NAME_MISMATCH"]);
    let aliased = r#"{"type":"record","name":"b.S","aliases":["a.R"],"fields":[]}"#;
    assert_eq!(kinds(aliased, &record("")), [""; 0]);
    let moved = r#"{"type":"record","name":"b.R","fields":[]}"#;
    assert_eq!(
        kinds(moved, &record("")),
        [""; 0],
        "the namespace does not count"
    );
}

#[test]
fn unions_read_what_some_branch_reads() {
    assert_eq!(kinds(r#"["null","long"]"#, r#""int""#), [""; 0]);
    assert_eq!(kinds(r#""long""#, r#"["int","long"]"#), [""; 0]);
    assert_eq!(kinds(r#""long""#, r#"["null","long"]"#), ["TYPE_MISMATCH"]);
    assert_eq!(
        kinds(r#"["null","string","int"]"#, r#"["int","null"]"#),
        [""; 0]
    );
    let found = broken(
        &record(r#"{"name":"x","type":["null","int"]}"#),
        &record(r#"{"name":"x","type":["null","string"]}"#),
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, "MISSING_UNION_BRANCH");
    assert!(
        found[0].description.contains("string") && found[0].description.contains("'x'"),
        "{}",
        found[0]
    );
}

#[test]
fn enums_lose_no_symbol_unless_they_have_a_default() {
    let suit = |symbols: &str, default: &str| {
        format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]{default}}}"#)
    };
    let (old, new) = (suit(r#""A","B""#, ""), suit(r#""B""#, ""));
    assert_eq!(broken(&new, &old)[0].info, "[A]");
    assert_eq!(kinds(&new, &old), ["MISSING_ENUM_SYMBOLS"]);
    assert_eq!(kinds(&old, &new), [""; 0]);
    assert_eq!(kinds(&suit(r#""B""#, r#","default":"B""#), &old), [""; 0]);
}

#[test]
fn fixed_keep_their_size_and_lists_their_items() {
    let fixed = |size| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
    assert_eq!(kinds(&fixed(4), &fixed(8)), ["FIXED_SIZE_MISMATCH"]);
    assert_eq!(kinds(&fixed(8), &fixed(8)), [""; 0]);
    let (list, map) = (
        |of: &str| format!(r#"{{"type":"array","items":"{of}"}}"#),
        |of: &str| format!(r#"{{"type":"map","values":"{of}"}}"#),
    );
    assert_eq!(kinds(&list("long"), &list("int")), [""; 0]);
    assert_eq!(kinds(&list("int"), &list("long")), ["TYPE_MISMATCH"]);
    assert_eq!(kinds(&map("double"), &map("float")), [""; 0]);
    assert_eq!(kinds(&map("int"), &list("int")), ["TYPE_MISMATCH"]);
    assert_eq!(kinds(&fixed(4), &record("")), ["TYPE_MISMATCH"]);
}

#[test]
fn a_type_may_hold_itself() {
    let list = |kind: &str| {
        record(&format!(
            r#"{{"name":"x","type":"{kind}"}},{{"name":"next","type":["null","R"]}}"#
        ))
    };
    assert_eq!(kinds(&list("long"), &list("int")), [""; 0]);
    assert_eq!(kinds(&list("int"), &list("long")), ["TYPE_MISMATCH"]);
}

/// Types by name, each of which holds the next one twice, in unions.
fn ladder(length: usize, last: &str) -> String {
    let rung = |at: usize| {
        let next = match at {
            0 => format!("\"{last}\""),
            _ => format!("\"N{}\"", at - 1),
        };
        format!(
            r#"{{"name":"f{at}","type":{{"type":"record","name":"N{at}","fields":[
                {{"name":"a","type":["null",{next}]}},{{"name":"b","type":["null",{next}]}}]}}}}"#
        )
    };
    // The last rung comes first, so that the walk goes down the whole ladder only from the field at the end.
    let top = format!(r#"{{"name":"all","type":["null","N{}"]}}"#, length - 1);
    let rungs: Vec<String> = (0..length).map(rung).chain([top]).collect();
    let fields = rungs.join(",");
    record(&fields)
}

/// 2^60 ways down, a hundred pairs.
#[test]
fn the_walk_takes_each_pair_once() {
    let (one, other) = (types(&ladder(60, "int")), types(&ladder(60, "string")));
    assert_eq!(can_read(&one, &one, Which::NewReads), []);
    assert!(!can_read(&one, &other, Which::NewReads).is_empty());
}

/// A client's schema must not take the stack.
#[test]
fn a_ladder_too_long_is_refused() {
    let chain = |length: usize| {
        let rung = |at: usize| {
            let next = if at == 0 {
                "int".into()
            } else {
                format!("N{}", at - 1)
            };
            let fields = format!(r#"{{"name":"a","type":"{next}"}}"#);
            format!(
                r#"{{"name":"f{at}","type":{{"type":"record","name":"N{at}","fields":[{fields}]}}}}"#
            )
        };
        let rungs: Vec<String> = (0..length).map(rung).collect();
        let mut types = types(&record(&rungs.join(",")));
        types.root = Type::Named(format!("a.N{}", length - 1));
        types
    };
    let short = chain(100);
    assert_eq!(can_read(&short, &short, Which::NewReads), []);
    let long = chain(2_000);
    assert_eq!(can_read(&long, &long, Which::NewReads)[0].kind, "TOO_DEEP");
}

#[test]
fn what_is_nested_too_deeply_or_is_no_schema_is_refused() {
    let deep = |levels: usize| {
        format!(
            "{}\"int\"{}",
            r#"{"type":"array","items":"#.repeat(levels),
            "}".repeat(levels)
        )
    };
    assert!(Types::parse(&deep(50)).is_ok());
    assert!(Types::parse(&deep(120)).unwrap_err().0.contains("nested"));
    for text in [
        "",
        "7",
        "{}",
        r#"{"type":"record","name":"R"}"#,
        r#""who""#,
        r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
    ] {
        assert!(Types::parse(text).is_err(), "{text}");
    }
}
