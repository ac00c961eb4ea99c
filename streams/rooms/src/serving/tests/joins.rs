//! Labels meet predictions in any order, once, and in the same order of events.

use mainstem_schemas::events::{Event, PredictionMade};
use mainstem_schemas::{Batch, EventId, Millis, Span};
use proptest::prelude::*;

use super::{made, the_project};
use crate::harness::{Bench, arrive, body, events, spec};
use crate::serving::labels::Label;
use crate::serving::pending::Pending;
use crate::serving::{JoinMachine, label_rows};

fn bench() -> Bench<JoinMachine> {
    let project = the_project();
    let mut bench = Bench::new(
        JoinMachine::new("p", "m"),
        spec(&project, "join/m/0"),
        &project,
    );
    bench.tick(Millis(0));
    bench
}

/// An arrival that carries a label for entity `e<entity>` at a second.
pub fn label(schema: u32, entity: u8, second: i64, row: u64, label: Option<f64>) -> Batch {
    let mut batch = Batch::new();
    let id = EventId::row(7, 2, row);
    arrive(
        &mut batch,
        schema,
        &format!("e{entity}"),
        id,
        Millis(1000 * second),
        |out| {
            body(out, None, 0, true, label);
        },
    );
    batch
}

impl Bench<JoinMachine> {
    fn label(&mut self, entity: u8, second: i64, row: u64, class: f64) {
        let schema = self.catalog.id_of("s").unwrap();
        self.feed(0, &label(schema, entity, second, row, Some(class)));
    }

    fn made(&mut self, made: PredictionMade) {
        let batch = events(&self.catalog, "e", [made.into()]);
        self.feed(1, &batch);
    }

    /// What was told, in short.
    fn told(&self) -> Vec<String> {
        let short = |event: &Event| match event {
            Event::PredictionLabelled(e) => {
                format!(
                    "{} {}s {} = {} in {}",
                    e.entity,
                    e.target_time.0 / 1000,
                    e.version,
                    e.label,
                    e.round
                )
            }
            Event::LabelCorrected(e) => {
                format!(
                    "{} {}s {} : {} to {} #{}",
                    e.entity,
                    e.target_time.0 / 1000,
                    e.version,
                    e.was,
                    e.label,
                    e.revision
                )
            }
            Event::LabelOrphaned(e) => {
                format!(
                    "{} {}s orphaned {} in {}",
                    e.entity,
                    e.target_time.0 / 1000,
                    e.label,
                    e.round
                )
            }
            other => panic!("{other:?}"),
        };
        self.events("p.labelled.m").iter().map(short).collect()
    }
}

#[test]
fn a_label_meets_all_predictions_of_its_entity_and_time_on_the_tick() {
    let mut bench = bench();
    bench.made(made(2, 5, 0));
    bench.made(made(1, 5, 3));
    bench.label(1, 5, 0, 1.0);
    bench.made(made(1, 5, 2));
    bench.made(made(1, 6, 4));
    bench.label(2, 5, 1, 0.0);
    assert_eq!(bench.told(), [""; 0]);
    bench.tick(Millis(6000));
    let want = [
        "e1 5s v0 = 1 in 2",
        "e1 5s v1 = 1 in 2",
        "e2 5s v0 = 0 in 2",
    ];
    assert_eq!(bench.told(), want);
    bench.tick(Millis(7000));
    assert_eq!(bench.told(), want, "nothing is told twice");
    let Event::PredictionLabelled(first) = &bench.events("p.labelled.m")[0] else {
        panic!()
    };
    assert_eq!(
        (first.origin, first.label_origin),
        (EventId::row(7, 1, 2), EventId::row(7, 2, 0))
    );
}

#[test]
fn another_value_corrects_what_was_joined_and_the_same_value_nothing() {
    let mut bench = bench();
    bench.made(made(1, 5, 0));
    bench.label(1, 5, 0, 1.0);
    bench.tick(Millis(6000));
    bench.label(1, 5, 1, 1.0);
    bench.tick(Millis(7000));
    bench.label(1, 5, 2, 0.0);
    bench.made(made(1, 5, 1));
    bench.tick(Millis(8000));
    bench.label(1, 5, 3, 1.0);
    bench.label(1, 5, 4, 0.0);
    bench.tick(Millis(9000));
    bench.label(1, 5, 5, 1.0);
    bench.tick(Millis(10_000));
    let want = [
        "e1 5s v0 = 1 in 2",
        "e1 5s v0 : 1 to 0 #1",
        "e1 5s v1 = 0 in 4",
        "e1 5s v0 : 0 to 1 #2",
        "e1 5s v1 : 0 to 1 #2",
    ];
    assert_eq!(bench.told(), want);
}

#[test]
fn labels_and_predictions_wait_for_the_timeout_of_log_time() {
    let mut bench = bench();
    bench.label(1, 5, 0, 1.0);
    bench.made(made(2, 5, 0));
    bench.tick(Millis(14_999));
    assert_eq!(bench.told(), [""; 0]);
    bench.tick(Millis(15_000));
    assert_eq!(bench.told(), ["e1 5s orphaned 1 in 3"]);
    bench.made(made(1, 5, 0));
    bench.label(2, 5, 1, 1.0);
    bench.tick(Millis(16_000));
    assert_eq!(bench.told().len(), 1, "what was forgotten is not joined");
    bench.tick(Millis(25_000));
    assert_eq!(
        bench.told().len(),
        2,
        "a label that comes after its predictions went is an orphan in its turn"
    );
}

#[test]
fn what_happened_long_ago_waits_from_when_it_was_heard_of() {
    let mut bench = bench();
    bench.tick(Millis(1_000_000));
    bench.made(made(1, 5, 0));
    bench.tick(Millis(1_009_999));
    bench.label(1, 5, 0, 0.0);
    bench.tick(Millis(1_010_000));
    assert_eq!(bench.told(), ["e1 5s v0 = 0 in 4"]);
}

#[test]
fn only_what_is_wrong_with_the_label_is_quarantined_here() {
    let mut bench = bench();
    let schema = bench.catalog.id_of("s").unwrap();
    bench.feed(0, &label(schema, 1, 5, 0, None));
    bench.feed(0, &label(schema, 1, 5, 1, Some(f64::NAN)));
    bench.feed(0, &label(schema, 1, 5, 2, Some(0.5)));
    let mut unreadable = Batch::new();
    unreadable.push(Some(b"e"), Some(b"{}"), []);
    unreadable.push(None, None, []);
    bench.feed(0, &unreadable);
    bench.feed(1, &unreadable);
    bench.tick(Millis(100_000));
    assert_eq!(bench.told(), [""; 0]);
    let reasons: Vec<_> = bench
        .events("p.quarantine")
        .iter()
        .map(|e| e.to_json()["reason"].to_string())
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].contains("its label label is 0.5"), "{reasons:?}");
    assert!(
        reasons[1].contains("nobody but the topic's own task"),
        "{reasons:?}"
    );
}

#[test]
fn what_waits_has_a_limit() {
    let mut pending = Pending::default();
    let label = |second: i64| Label {
        entity: "e".into(),
        time: Millis(1000 * second),
        origin: EventId::row(7, 1, 0),
        class: 1,
    };
    for second in 1..=5 {
        pending.label(label(second), Millis(0), Span(1000));
        pending.prediction(made(0, second, 0), Millis(0), Span(1000));
    }
    let mut told = Vec::new();
    pending.tick(Millis(0), 1, 6, |_, event| told.push(event));
    assert_eq!(pending.waiting(), 6);
    let orphans: Vec<_> = told
        .iter()
        .map(|event| event.to_json()["target_time"].as_i64().unwrap())
        .collect();
    assert_eq!(orphans, [1000, 2000], "the longest waiting first");
}

#[test]
fn training_rows_are_labelled_as_predictions_are() {
    let rows = [
        ("a", Millis(0)),
        ("a", Millis(1000)),
        ("b", Millis(0)),
        ("b", Millis(2000)),
    ];
    let labels = [
        ("a", Millis(1000), 1),
        ("b", Millis(1000), 0),
        ("a", Millis(1000), 0),
        ("a", Millis(0), 1),
    ];
    assert_eq!(
        label_rows(rows, labels, Span(1000)),
        [Some(0), None, Some(0), None]
    );
}

#[derive(Clone, Debug)]
enum Step {
    Label(u8, i64, u64, f64),
    Made(u8, i64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let label = (0u8..3, 1i64..6, 0u64..1000, 0..2)
        .prop_map(|(e, s, row, c)| Step::Label(e, s, row, f64::from(c)));
    let made = (0u8..3, 1i64..6, 0u64..6).prop_map(|(e, s, row)| Step::Made(e, s, row));
    prop::collection::vec(prop_oneof![label, made], 0..12)
}

fn run(ticks: &[Vec<Step>], merge: &[bool]) -> Bench<JoinMachine> {
    let mut bench = bench();
    let mut merge = merge.iter().cycle();
    for (tick, steps) in ticks.iter().enumerate() {
        let (labels, predictions): (Vec<_>, Vec<_>) = steps
            .iter()
            .partition(|step| matches!(step, Step::Label(..)));
        let (mut labels, mut predictions) = (
            labels.into_iter().peekable(),
            predictions.into_iter().peekable(),
        );
        while labels.peek().is_some() || predictions.peek().is_some() {
            let first = *merge.next().unwrap();
            let step = if first {
                labels.next()
            } else {
                predictions.next()
            };
            match step {
                Some(Step::Label(entity, second, row, class)) => {
                    bench.label(*entity, *second, *row, *class)
                }
                Some(Step::Made(entity, second, row)) => bench.made(made(*entity, *second, *row)),
                None => continue,
            }
            if *merge.next().unwrap() {
                bench.restore();
            }
        }
        bench.tick(Millis(3000 * tick as i64));
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_interleaving_between_two_ticks_shows(
        ticks in prop::collection::vec(steps(), 1..10),
        merge in prop::collection::vec(any::<bool>(), 1..30),
    ) {
        let merge = [merge, vec![true, false, false]].concat();
        let plain = run(&ticks, &[true, false, false, true, false]);
        prop_assert_eq!(plain.wrote, run(&ticks, &merge).wrote);
    }
}
