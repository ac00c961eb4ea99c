//! The forecast is honest: what comes later changes no byte of what was published before it.

use mainstem_host::publisher::{Format, Input, Pace, publish_paced};
use mainstem_host::{Store, apply, processor};
use mainstem_schemas::{Millis, Span};

use mainstem_tests::binary::{PROJECT, rows};
use mainstem_tests::history::{History, assert_same, history};

const WEEK: Span = Span(7 * 86_400_000);

/// Plays some rows, and says what the log held when the step until `at` had come to rest, and at the end.
fn play(data: &str, at: Millis) -> (History, History) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let project = mainstem_project::parse("mainstem.yaml", PROJECT).unwrap();
    apply::apply(&store, &project, "test", Millis(0)).unwrap();
    let workers = processor::start(&store, &processor::Options::new(2, "test".into())).unwrap();
    let input = Input {
        project: &project,
        source: "market",
        name: "rows",
        format: Format::Csv,
        bytes: data.as_bytes(),
        actor: "test",
        resume: false,
        is_file: true,
    };
    let mut held = History::new();
    let mut progress = |until: Millis, _: &_| {
        if until == at {
            held = history(&store, "electricity");
        }
    };
    let first = project.models["price_up"].windows.origin;
    let pace = Pace {
        first,
        step: WEEK,
        stop: &|| !workers.is_alive(),
        progress: &mut progress,
        waiting: &mut |_| {},
    };
    publish_paced(&store, input, pace).unwrap();
    workers.stop();
    (held, history(&store, "electricity"))
}

#[test]
#[ignore = "some thousand rows, in a release build: cargo xtask test runs it"]
fn later_rows_change_no_byte_of_what_was_published_before() {
    // Twelve weeks after the first training: a retrain with its shadow lies before, more follow after.
    let row = 5_000 + 12 * 336;
    let at = Millis("1996-05-07T00:00".parse::<Millis>().unwrap().0 + row as i64 * 1_800_000);
    let data = rows(row + 3 * 336);
    let mut other: Vec<String> = data.lines().map(str::to_owned).collect();
    for line in &mut other[row + 1..] {
        let class = if line.ends_with('1') { "0" } else { "1" };
        *line = format!("0.5,0.9,0.1,0.7,0.2,0.3,{class}");
    }
    let (held, one) = play(&data, at);
    let (held_other, two) = play(&(other.join("\n") + "\n"), at);
    assert!(
        held.values().map(Vec::len).sum::<usize>() > 20_000,
        "the comparison is about something"
    );
    assert_same(&held, &held_other, "before the rows that differ");
    for (place, records) in &held {
        assert!(
            one[place].starts_with(records),
            "what was published stays: {place:?}"
        );
    }
    assert!(one != two, "the later rows do differ");
}
