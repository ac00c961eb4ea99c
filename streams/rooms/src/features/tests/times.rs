//! Records of producers that write no header: their event time is a column.

use mainstem_columns::put;
use mainstem_schemas::definition::EventTime;
use mainstem_schemas::{Batch, Millis, wire};
use serde_json::json;

use super::refusals::quarantined;
use super::{DAY, bench, rows};
use crate::harness::{project, put_optional};

/// A record with these columns, and the header if there is one.
fn push(batch: &mut Batch, schema: u32, n: i64, note: &str, header: Option<Millis>) {
    let mut value = Vec::new();
    wire::put_header(&mut value, schema);
    put_optional(&mut value, None);
    put::put_long(&mut value, n);
    put::put_boolean(&mut value, true);
    put_optional(&mut value, None);
    put::put_text(&mut value, note);
    let time = header.map(|time| time.to_string());
    let headers = time.iter().map(|time| ("ce_time", time.as_bytes()));
    batch.push(Some(b"e"), Some(&value), headers);
}

#[test]
fn the_column_tells_the_event_time_where_no_header_does() {
    let mut project = project(json!([{"name": "n", "of": {"column": "n"}}]));
    project.sources.get_mut("s").unwrap().time = EventTime::Column("n".into());
    let mut bench = bench(&project);
    let schema = bench.catalog.id_of("s").unwrap();
    let mut batch = Batch::new();
    push(&mut batch, schema, 1000, "", None);
    push(&mut batch, schema, 3000, "", Some(Millis(2000)));
    push(&mut batch, schema, 2500, "", None);
    push(&mut batch, schema, 2500, "", None);
    push(&mut batch, schema, -1, "", None);
    push(&mut batch, schema, 2 * DAY + 1, "", None);
    bench.feed(0, &batch);

    // The header goes before the column: 2,500 is later than the record before it.
    assert_eq!(rows(&bench, &project), [[1000.0], [3000.0], [2500.0]]);
    let reasons: Vec<String> = quarantined(&bench)
        .into_iter()
        .map(|it| it.reason)
        .collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons[0].contains("equal to or older"), "{reasons:?}");
    assert!(
        reasons[1].contains("field n: -1 is no time of 1970 or later"),
        "{reasons:?}"
    );
    assert!(reasons[2].contains("more than a day ahead"), "{reasons:?}");
}

#[test]
fn a_text_column_tells_it_as_publications_write_it() {
    let mut project = project(json!([{"name": "n", "of": {"column": "n"}}]));
    project.sources.get_mut("s").unwrap().time = EventTime::Column("note".into());
    let mut bench = bench(&project);
    let schema = bench.catalog.id_of("s").unwrap();
    let mut batch = Batch::new();
    push(&mut batch, schema, 1, "1970-01-01T00:00:01Z", None);
    push(&mut batch, schema, 2, "noon", None);
    push(&mut batch, schema, 3, "1970-01-01T00:00:00.999Z", None);
    push(&mut batch, schema, 4, " 1970-01-01T00:00:01.001Z", None);
    bench.feed(0, &batch);

    assert_eq!(rows(&bench, &project), [[1.0], [4.0]]);
    let reasons: Vec<String> = quarantined(&bench)
        .into_iter()
        .map(|it| it.reason)
        .collect();
    assert_eq!(reasons.len(), 2);
    assert!(
        reasons[0].contains("field note: noon is no time"),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("equal to or older"), "{reasons:?}");
}
