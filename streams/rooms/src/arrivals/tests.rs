//! What a task does with arrivals that another task decoded: the same as with its own.

use mainstem_columns::{put, source_schema};
use mainstem_kernel::Machine;
use mainstem_kernel::fetched::Memo;
use mainstem_schemas::definition::{EventTime, Project};
use mainstem_schemas::{Batch, Millis, wire};
use proptest::prelude::*;
use serde_json::json;

use super::Sheet;
use crate::drift::SourceProfileMachine;
use crate::features::FeatureMachine;
use crate::harness::{Bench, body, project, spec};

/// View `v` reads `x` and `up`, monitor `w` reads `x` and `label`; `n` is the event time.
fn shared() -> Project {
    let mut project = project(json!([
        {"name": "before", "of": {"lag": {"of": "x", "by": 1}}},
        {"name": "up", "of": {"column": "up"}},
    ]));
    project.sources.get_mut("s").unwrap().time = EventTime::Column("n".into());
    let monitor = json!({
        "source": "s",
        "windows": {"origin": "1970-01-01T00:00:00Z", "length": "10s"},
        "drift": {"psi": {"detect": 0.2, "clear": 0.1}, "windows": 1, "min_rows": 1},
        "columns": [
            {"name": "label", "edges": [0.0], "shares": [0.5, 0.5], "missing": 0.0},
            {"name": "x", "edges": [0.0, 1.0], "shares": [0.2, 0.3, 0.5], "missing": 0.0},
        ],
    });
    project.monitors = [("w".to_owned(), serde_json::from_value(monitor).unwrap())].into();
    project
}

fn view(project: &Project) -> Bench<FeatureMachine> {
    let machine = FeatureMachine::new("p", "v");
    begun(Bench::new(machine, spec(project, "features/v/0"), project))
}

fn monitor(project: &Project) -> Bench<SourceProfileMachine> {
    let machine = SourceProfileMachine::new("w", 0);
    begun(Bench::new(
        machine,
        spec(project, "profile_source/w/0"),
        project,
    ))
}

fn begun<M: Machine>(mut bench: Bench<M>) -> Bench<M> {
    bench.tick(Millis(1_000));
    bench
}

/// What other writers make of the source: `label` was `x` once, nothing is `up`, `label` is a text.
const WRITERS: [&str; 3] = [
    r#"{"name": "n", "type": "long"}, {"name": "up", "type": "boolean"},
       {"name": "label", "aliases": ["x"], "type": "double"}"#,
    r#"{"name": "n", "type": "long"}, {"name": "x", "type": "double"}"#,
    r#"{"name": "n", "type": "long"}, {"name": "up", "type": "boolean"},
       {"name": "label", "type": "string"}, {"name": "x", "type": "double"}"#,
];

/// Learns the schemas of those writers; the source's own and theirs.
fn writers<M: Machine>(bench: &mut Bench<M>) -> [u32; 4] {
    let own = bench.catalog.id_of("s").unwrap();
    let [a, b, c] = WRITERS.map(|fields| {
        let schema = format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
        bench.register("s", &schema)
    });
    [own, a, b, c]
}

/// How a record may be: mostly good.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Writer(usize),
    Key,
    Value,
    Schema(u32),
    Short(usize),
    Trailing,
    Header(i64),
}

/// Milliseconds after its turn, `x`, `label`, what is wrong.
type Record = (i64, Option<f64>, Option<f64>, Fault);

fn number() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(prop_oneof![-2.0..2.0, Just(f64::NAN)])
}

/// Records of one read: as many writers make them, or as one does that makes few mistakes.
fn run() -> impl Strategy<Value = Vec<Record>> {
    let fault =
        prop_oneof![200 => Just(Fault::None), 1 => Just(Fault::Key), 1 => Just(Fault::Header(7))];
    let time = prop_oneof![200 => 0..300i64, 1 => Just(-100_000), 1 => Just(100_000_000)];
    let plain = (time, number(), number(), fault);
    let many = proptest::collection::vec(record(), 1..400);
    prop_oneof![many, proptest::collection::vec(plain, 1..100)]
}

fn record() -> impl Strategy<Value = Record> {
    let fault = prop_oneof![
        20 => Just(Fault::None),
        6 => (1..=WRITERS.len()).prop_map(Fault::Writer),
        1 => Just(Fault::Key),
        1 => Just(Fault::Value),
        1 => prop_oneof![Just(9_999), 1..20u32].prop_map(Fault::Schema),
        1 => (0..20usize).prop_map(Fault::Short),
        1 => Just(Fault::Trailing),
        2 => (0..60_000i64).prop_map(Fault::Header),
    ];
    let time = prop_oneof![40 => 0..300i64, 1 => Just(-100_000), 1 => Just(100_000_000)];
    (time, number(), number(), fault)
}

fn batch(schemas: [u32; 4], from: usize, records: &[Record]) -> Batch {
    let mut batch = Batch::new();
    for (row, (time, x, label, fault)) in (from..).zip(records) {
        let (mut value, time) = (Vec::new(), 100 * row as i64 + time);
        let (schema, writer) = match fault {
            Fault::Schema(id) => (*id, 0),
            Fault::Writer(writer) => (schemas[*writer], *writer),
            _ => (schemas[0], 0),
        };
        wire::put_header(&mut value, schema);
        let mut put_some = || {
            put::put_long(&mut value, time);
            if writer != 2 {
                put::put_boolean(&mut value, time % 2 == 0);
            }
            if writer == 3 {
                put::put_text(&mut value, "one");
            }
            put::put_double(&mut value, x.unwrap_or(0.25));
        };
        match writer {
            0 => body(&mut value, *x, time, time % 2 == 0, *label),
            _ => put_some(),
        }
        let header = match fault {
            Fault::Header(time) => Some(Millis(*time).to_string()),
            _ => None,
        };
        match fault {
            Fault::Short(by) => value.truncate(value.len() - by.min(&value.len())),
            Fault::Trailing => value.push(0),
            _ => {}
        }
        let key = format!("e{}", row % 5);
        let key = (!matches!(fault, Fault::Key)).then_some(key.as_bytes());
        let value = (!matches!(fault, Fault::Value)).then_some(&value[..]);
        batch.push(key, value, header.iter().map(|h| ("ce_time", h.as_bytes())));
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn tasks_that_share_a_sheet_do_as_those_that_have_none(
        runs in proptest::collection::vec(run(), 1..4),
        monitor_first in any::<bool>(),
    ) {
        let project = shared();
        let (mut alone, mut alone_too) = (view(&project), monitor(&project));
        let (mut one, mut other) = (view(&project), monitor(&project));
        let schemas = writers(&mut alone);
        prop_assert_eq!(writers(&mut alone_too), schemas);
        prop_assert_eq!((writers(&mut one), writers(&mut other)), (schemas, schemas));
        let mut from = 0;
        for records in &runs {
            let (batch, memo) = (batch(schemas, from, records), Memo::default());
            from += records.len();
            alone.feed(0, &batch);
            alone_too.feed(0, &batch);
            if monitor_first {
                other.feed_shared(0, &batch, &memo);
                one.feed_shared(0, &batch, &memo);
            } else {
                one.feed_shared(0, &batch, &memo);
                other.feed_shared(0, &batch, &memo);
            }
            let good = records.iter().filter(|record| matches!(record.3, Fault::None)).count();
            let sheet = memo.get_or_make::<Sheet>(|| unreachable!("a task made it"));
            let rows = sheet.map_or(0, |sheet| sheet.columns().rows());
            prop_assert!(rows >= good, "{rows} rows of {good} good records");
        }
        prop_assert_eq!(one.snapshot(), alone.snapshot());
        prop_assert_eq!(other.snapshot(), alone_too.snapshot());
        alone_too.tick(Millis(60_000));
        other.tick(Millis(60_000));
        prop_assert_eq!(&one.wrote, &alone.wrote);
        prop_assert_eq!(&other.wrote, &alone_too.wrote);
    }
}

#[test]
fn a_sheet_tells_the_times_where_every_record_is_plain() {
    let project = shared();
    let times = |second: (i64, Fault), horizon| {
        let (mut view, memo) = (view(&project), Memo::default());
        let schemas = writers(&mut view);
        let record = |time, fault| (time, Some(1.0), Some(0.5), fault);
        let records = [record(7, Fault::None), record(second.0, second.1)];
        view.feed_shared(0, &batch(schemas, 0, &records), &memo);
        let sheet = memo.get_or_make::<Sheet>(|| unreachable!("a task made it"));
        let sheet = sheet.unwrap();
        let times = sheet.times(Millis(horizon));
        times.map(|times| times.map(|time| time.0).collect::<Vec<_>>())
    };
    assert_eq!(times((9, Fault::None), 109), Some(vec![7, 109]));
    assert_eq!(times((9, Fault::None), 108), None, "beyond the horizon");
    assert_eq!(times((-101, Fault::None), 109), None, "before 1970");
    for fault in [Fault::Key, Fault::Value, Fault::Header(9), Fault::Short(1)] {
        assert_eq!(times((9, fault), 109), None, "{fault:?}");
    }
}

/// The view's task has read the topic of schemas further than the monitor's.
#[test]
fn a_schema_that_a_task_does_not_know_yet_is_unknown_to_it_on_a_sheet_too() {
    let project = shared();
    let mut wider = project.sources["s"].clone();
    wider.fields[3].optional = false;
    let (mut view, mut monitor, mut alone) = (view(&project), monitor(&project), monitor(&project));
    let id = view.register("s", &source_schema("p", "s", &wider));
    let mut batch = Batch::new();
    let mut value = Vec::new();
    wire::put_header(&mut value, id);
    put::put_null(&mut value);
    put::put_long(&mut value, 5_000);
    put::put_boolean(&mut value, true);
    put::put_double(&mut value, 1.0);
    put::put_text(&mut value, "note");
    batch.push(Some(b"e"), Some(&value), []);
    let memo = Memo::default();
    view.feed_shared(0, &batch, &memo);
    monitor.feed_shared(0, &batch, &memo);
    alone.feed(0, &batch);
    assert_eq!(view.output("p.features.v").len(), 1);
    assert_eq!(monitor.output("p.quarantine").len(), 1);
    assert_eq!(monitor.wrote, alone.wrote);
}
