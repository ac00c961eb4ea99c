//! Performance, from labelled predictions.

use mainstem_schemas::events::{
    Event, LabelCorrected, LabelOrphaned, Paired, PerformanceMeasured, PredictionLabelled, Role,
};
use mainstem_schemas::{EventId, Millis};
use proptest::prelude::*;

use super::{Feed, Written, project, reference};
use crate::drift::PerformanceMachine;

fn performance() -> Feed {
    let mut feed = Feed::new(&project(1), "performance/m/0", || {
        PerformanceMachine::new("m", 0)
    });
    feed.tick(0)
        .deploy("v1", Role::Champion, &[&reference()])
        .deploy("v2", Role::Shadow, &[&reference()])
        .tick(0);
    feed
}

fn events(written: Vec<Written>) -> Vec<PerformanceMeasured> {
    let event = |(_, event): Written| match event {
        Event::PerformanceMeasured(event) => event,
        other => panic!("{other:?}"),
    };
    written.into_iter().map(event).collect()
}

/// `v1 100 r0: tp fp tn fn` of each.
fn shape(events: &[PerformanceMeasured]) -> Vec<String> {
    let shape = |e: &PerformanceMeasured| {
        let counts = [
            e.true_positives,
            e.false_positives,
            e.true_negatives,
            e.false_negatives,
        ];
        format!(
            "{} {:?} {} r{} {counts:?}",
            e.version, e.role, e.window_start.0, e.revision
        )
    };
    events.iter().map(shape).collect()
}

fn labelled(
    at: i64,
    version: &str,
    role: Role,
    class: i32,
    label: i32,
    round: u64,
) -> PredictionLabelled {
    PredictionLabelled {
        origin: EventId::row(0, 0, at as u64),
        label_origin: EventId::row(0, 1, at as u64),
        entity: "e".into(),
        target_time: Millis(at),
        version: version.into(),
        role,
        probability: f64::from(class),
        class,
        label,
        round: round as i64,
    }
}

fn corrected(of: &PredictionLabelled, label: i32, revision: i32, round: u64) -> LabelCorrected {
    let of = of.clone();
    LabelCorrected {
        origin: of.origin,
        label_origin: EventId::row(0, 2, revision as u64),
        entity: of.entity,
        target_time: of.target_time,
        version: of.version,
        role: of.role,
        probability: of.probability,
        class: of.class,
        was: of.label,
        label,
        revision,
        round: round as i64,
    }
}

#[test]
fn every_deployed_version_is_measured_and_compared_with_the_champion() {
    let mut feed = performance();
    let (champion, shadow) = (Role::Champion, Role::Shadow);
    let rows = [(10, 1, 1), (20, 1, 0), (30, 0, 0), (99, 0, 1)];
    for (at, class, label) in rows {
        let round = feed.round();
        feed.value(1, labelled(at, "v1", champion, class, label, round));
        if at > 10 {
            feed.value(1, labelled(at, "v2", shadow, 0, label, round));
        }
    }
    let orphan = LabelOrphaned {
        label_origin: EventId::row(0, 1, 5),
        entity: "e".into(),
        target_time: Millis(5),
        label: 1,
        round: 1,
    };
    let events = events(feed.value(1, orphan).tick(100).tick(200).written());
    let expected = [
        "v1 Champion 0 r0 [1, 1, 1, 1]",
        "v2 Shadow 0 r0 [0, 0, 2, 1]",
        "v1 Champion 100 r0 [0, 0, 0, 0]",
        "v2 Shadow 100 r0 [0, 0, 0, 0]",
    ];
    assert_eq!(shape(&events), expected);
    let paired = Paired {
        champion: "v1".into(),
        rows: 3,
        correct: 2,
        champion_correct: 1,
    };
    assert_eq!(
        (&events[0].paired[..], &events[1].paired[..]),
        (&[][..], &[paired][..])
    );
    assert_eq!(
        [events[0].accuracy, events[1].precision, events[2].accuracy],
        [Some(0.5), None, None]
    );
}

#[test]
fn a_correction_counts_a_closed_window_again_until_it_is_forgotten() {
    let mut feed = performance();
    let row = labelled(10, "v1", Role::Champion, 1, 1, feed.round());
    feed.value(1, row.clone()).tick(100);
    let round = feed.round();
    // The second correction is written first: corrections are taken by their revision.
    feed.value(1, corrected(&row, 1, 2, round))
        .value(1, corrected(&row, 0, 1, round))
        .tick(100);
    let round = feed.round();
    feed.value(1, corrected(&row, 0, 3, round))
        .value(1, labelled(20, "v1", Role::Champion, 0, 0, round))
        .tick(200);
    let round = feed.round();
    feed.tick(351)
        .value(1, corrected(&row, 1, 4, round))
        .tick(360);
    let events = events(feed.written());
    let of_the_first: Vec<_> = events
        .into_iter()
        .filter(|e| e.window_start.0 == 0 && e.version == "v1")
        .collect();
    assert_eq!(
        shape(&of_the_first),
        [
            "v1 Champion 0 r0 [1, 0, 0, 0]",
            "v1 Champion 0 r1 [0, 1, 1, 0]"
        ]
    );
}

#[test]
fn a_row_waits_for_a_tick_after_the_one_that_it_was_joined_on() {
    let mut feed = performance();
    // The join was a tick ahead.
    let round = feed.round() + 1;
    feed.value(1, labelled(10, "v1", Role::Champion, 1, 1, round));
    let events = events(feed.tick(100).tick(100).written());
    let expected = [
        "v1 Champion 0 r0 [0, 0, 0, 0]",
        "v2 Shadow 0 r0 [0, 0, 0, 0]",
        "v1 Champion 0 r1 [1, 0, 0, 0]",
    ];
    assert_eq!(shape(&events), expected);
}

/// Log time stood still over 1,400 windows and their rows.
#[test]
fn windows_that_log_time_leaps_over_are_left_out_or_have_their_rows() {
    let mut feed = performance();
    let round = feed.round();
    for window in 0..1_400 {
        let row = labelled(100 * window + 10, "v1", Role::Champion, 1, 1, round);
        feed.value(1, row);
    }
    feed.tick(140_000);
    // What comes later is of no window, for none of these is kept.
    let late = labelled(20, "v1", Role::Champion, 1, 1, feed.round());
    feed.value(1, late).tick(140_001);
    let events = events(feed.written());
    let champions = events.iter().filter(|event| event.role == Role::Champion);
    let rows: Vec<_> = champions
        .map(|event| (event.window_start.0, event.rows))
        .collect();
    let expected: Vec<_> = (400..1_400).map(|window| (100 * window, 1)).collect();
    assert_eq!(rows, expected);
}

/// The rows of 10 and 110 are of windows of the old definition; that of 120 comes later, for the same hour.
#[test]
fn windows_cut_otherwise_begin_after_every_row_of_the_old_ones() {
    let mut feed = performance();
    let row = |feed: &mut Feed, at: i64| {
        let row = labelled(at, "v1", Role::Champion, 1, 1, feed.round());
        feed.value(1, row);
    };
    row(&mut feed, 10);
    feed.tick(100);
    row(&mut feed, 110);
    feed.tick(115);
    let mut longer = project(1);
    let windows = &mut longer.models.get_mut("m").unwrap().windows;
    (windows.origin, windows.length) = (Millis(20), mainstem_schemas::Span(60));
    feed.define(&longer);
    for at in [120, 190, 200, 225] {
        row(&mut feed, at);
    }
    feed.tick(150).tick(300);
    let events = events(feed.written());
    let champions = events.iter().filter(|event| event.role == Role::Champion);
    let rows: Vec<_> = champions
        .map(|event| (event.window_start.0, event.rows))
        .collect();
    assert_eq!(rows, [(0, 1), (200, 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn cuts_interleavings_and_crashes_change_nothing(choices in proptest::collection::vec(any::<u8>(), 1..60)) {
        let mut feed = performance();
        for at in 0..60 {
            let (time, round) = (7 * at, feed.round());
            let (class, label) = ((at % 3 == 0) as i32, (at % 2 == 0) as i32);
            let row = labelled(time, "v1", Role::Champion, class, label, round);
            feed.value(1, row.clone()).value(1, labelled(time, "v2", Role::Shadow, label, label, round));
            if at % 10 == 9 {
                feed.value(1, corrected(&row, 1 - label, 1, round));
                feed.tick(time + 1);
            }
            if at == 40 {
                feed.promote("v2");
            }
        }
        let written = feed.tick(600).written();
        prop_assert!(written.len() > 8);
        prop_assert_eq!(feed.written_by(&choices), written);
    }
}
