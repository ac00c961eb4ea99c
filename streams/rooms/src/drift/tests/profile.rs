//! Profiles of windows.

use mainstem_schemas::events::{Event, PredictionMade, ProfileMeasured, Role, Subject};
use mainstem_schemas::{EventId, Millis};
use proptest::prelude::*;

use super::{Feed, Written, other_reference, project, reference};
use crate::drift::{PROBABILITY, ProfileMachine, ReferenceProfile};

fn features() -> Feed {
    Feed::new(&project(1), "profile_features/m/0", || {
        ProfileMachine::new("m", 0, Subject::Features)
    })
}

/// What was written, all of it profiles.
pub(super) fn profiles(written: Vec<Written>) -> Vec<ProfileMeasured> {
    let profile = |(envelope, event): Written| match event {
        Event::ProfileMeasured(profile) => {
            assert_eq!(envelope.time, profile.window_end);
            profile
        }
        other => panic!("{other:?}"),
    };
    written.into_iter().map(profile).collect()
}

/// (begin, rows, whole) of each.
pub(super) fn shape(profiles: &[ProfileMeasured]) -> Vec<(i64, i64, bool)> {
    profiles
        .iter()
        .map(|profile| (profile.window_start.0, profile.rows, profile.whole))
        .collect()
}

const ROW: [Option<f64>; 2] = [Some(0.1), None];

#[test]
fn windows_are_measured_from_the_first_champion_on_also_when_empty() {
    let mut feed = features();
    feed.tick(150)
        .rows([(155, ROW)])
        .deploy("v1", Role::Champion, &[&reference()]);
    feed.tick(150)
        .rows([(160, ROW), (210, ROW), (299, ROW), (300, ROW)]);
    feed.tick(300).tick(400);
    feed.tick(500).rows([(420, ROW), (510, ROW)]).tick(600);
    let profiles = profiles(feed.written());
    let late = "the row of 420 came after its window was closed";
    assert_eq!(
        shape(&profiles),
        [
            (200, 2, true),
            (300, 1, true),
            (400, 0, true),
            (500, 1, true)
        ],
        "{late}"
    );
    let [constant, ramp] = &profiles[0].columns[..] else {
        panic!()
    };
    assert_eq!(
        (
            constant.cells.iter().sum::<i64>(),
            constant.cells.iter().max()
        ),
        (2, Some(&2))
    );
    assert_eq!(
        ramp.cells.last(),
        Some(&2),
        "missing values have the last cell"
    );
    let cells = reference().columns()[0].grid.cell(f64::from(0.1f32));
    assert_eq!(
        constant.cells[cells], 2,
        "a 64-bit 0.1 falls into the cell of the 32-bit 0.1"
    );
    assert_eq!(profiles[0].reference, reference().digest());
}

#[test]
fn a_promotion_in_a_window_begins_it_anew_and_it_is_not_whole() {
    let mut feed = features();
    feed.tick(100).deploy("v1", Role::Champion, &[&reference()]);
    feed.deploy("v2", Role::Shadow, &[&other_reference()]);
    feed.tick(100)
        .rows([(110, ROW), (140, ROW)])
        .tick(150)
        .promote("v2");
    feed.tick(150)
        .rows([(145, ROW), (160, ROW)])
        .tick(200)
        .rows([(250, ROW)])
        .tick(300);
    let profiles = profiles(feed.written());
    assert_eq!(shape(&profiles), [(100, 1, false), (200, 1, true)]);
    assert!(
        profiles
            .iter()
            .all(|profile| profile.version == "v2"
                && profile.reference == other_reference().digest())
    );
}

#[test]
fn a_promotion_between_two_windows_leaves_both_whole() {
    let mut feed = features();
    feed.tick(100).deploy("v1", Role::Champion, &[&reference()]);
    feed.deploy("v2", Role::Shadow, &[&other_reference()]);
    // The row of 200 is here before the promotion at 200, and is the new champion's.
    feed.tick(100)
        .rows([(110, ROW), (200, ROW)])
        .tick(200)
        .promote("v2");
    feed.tick(200).rows([(210, ROW)]).tick(300);
    let profiles = profiles(feed.written());
    assert_eq!(shape(&profiles), [(100, 1, true), (200, 2, true)]);
    assert_eq!([&profiles[0].version, &profiles[1].version], ["v1", "v2"]);
}

#[test]
fn a_window_is_whole_only_with_all_its_rows_under_one_champion() {
    let mut feed = features();
    feed.tick(100).deploy("v1", Role::Champion, &[&reference()]);
    feed.deploy("v2", Role::Shadow, &[&other_reference()]);
    feed.deploy("v3", Role::Shadow, &[&reference()]);
    // Nothing was counted yet in the window that the promotion falls into.
    feed.tick(150).promote("v2");
    feed.tick(150).rows([(160, ROW)]);
    feed.tick(300).rows([(310, ROW)]);
    // A promotion at 300 that is heard of when a row after it has been counted.
    feed.tick(320).promote_since("v3", 300);
    feed.tick(330).rows([(340, ROW)]).tick(400).tick(500);
    let profiles = profiles(feed.written());
    let expected = [
        (100, 1, false),
        (200, 0, true),
        (300, 1, false),
        (400, 0, true),
    ];
    assert_eq!(shape(&profiles), expected);
}

/// Log time stood still over 1,400 windows and their rows.
#[test]
fn windows_that_log_time_leaps_over_are_left_out_or_have_their_rows() {
    let mut feed = features();
    feed.tick(100).deploy("v1", Role::Champion, &[&reference()]);
    feed.tick(100);
    for from in (0..1_400).step_by(100) {
        feed.rows((from..from + 100).map(|window| (100 * window + 110, ROW)));
    }
    feed.tick(140_100).rows([(140_110, ROW)]).tick(140_200);
    let profiles = profiles(feed.written());
    let expected: Vec<_> = (401..1_402).map(|window| (100 * window, 1, true)).collect();
    assert_eq!(shape(&profiles), expected);
}

/// More rows than wait for a tick, from further ahead than a tick closes windows.
#[test]
fn windows_whose_rows_came_from_far_ahead_and_were_dropped_are_not_whole() {
    let mut feed = features();
    feed.tick(100).deploy("v1", Role::Champion, &[&reference()]);
    feed.tick(100);
    for from in (0..66_000).step_by(1_000) {
        feed.rows((from..from + 1_000).map(|row| (100 + 2 * row, ROW)));
    }
    feed.tick(100_100).tick(132_100);
    let profiles = profiles(feed.written());
    let (lacking, whole): (Vec<_>, Vec<_>) = profiles.iter().partition(|window| window.rows < 50);
    assert!(lacking.iter().all(|window| !window.whole));
    assert!(whole.iter().all(|window| window.rows == 50));
    assert!(whole.len() > 900, "{}", whole.len());
}

#[test]
fn a_champion_without_a_reference_is_not_measured() {
    let mut feed = features();
    feed.tick(100).deploy("baseline", Role::Champion, &[]);
    feed.tick(200)
        .rows([(210, ROW)])
        .tick(350)
        .deploy("v1", Role::Champion, &[&reference()]);
    feed.tick(350).rows([(410, ROW)]).tick(500);
    assert_eq!(shape(&profiles(feed.written())), [(400, 1, true)]);
}

#[test]
fn only_the_champions_predictions_count() {
    let names = [PROBABILITY.to_owned()];
    let outputs = ReferenceProfile::of_columns(&names, &[vec![0.25f32, 0.5, 0.75]]).unwrap();
    let mut feed = Feed::new(&project(1), "profile_predictions/m/0", || {
        ProfileMachine::new("m", 0, Subject::Predictions)
    });
    feed.tick(100)
        .deploy("v2", Role::Champion, &[&reference(), &outputs])
        .tick(100);
    for (version, role) in [
        ("v1", Role::Champion),
        ("v2", Role::Champion),
        ("v2", Role::Shadow),
    ] {
        feed.value(1, prediction(version, role));
    }
    let profiles = profiles(feed.tick(200).written());
    assert_eq!(shape(&profiles), [(100, 1, true)]);
    assert_eq!(
        (&profiles[0].columns[0].name[..], profiles[0].subject),
        (PROBABILITY, Subject::Predictions)
    );
}

fn prediction(version: &str, role: Role) -> PredictionMade {
    PredictionMade {
        origin: EventId::row(0, 0, 0),
        event_time: Millis(120),
        entity: "e".into(),
        target_time: Millis(130),
        version: version.into(),
        role,
        probability: 0.5,
        class: 1,
        inputs: None,
        actor: None,
        runtime: String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cuts_interleavings_and_crashes_change_nothing(choices in proptest::collection::vec(any::<u8>(), 1..60)) {
        let mut feed = features();
        feed.tick(100).deploy("v1", Role::Champion, &[&reference()]);
        feed.deploy("v2", Role::Shadow, &[&other_reference()]);
        for step in 1..9 {
            let times = (0..40).map(move |i| (100 * step + 3 * i, [Some(0.1), Some(i as f64 / 40.0)]));
            feed.tick(100 * step).rows(times.clone().take(17)).rows(times.skip(17));
            if step == 4 {
                feed.promote("v2");
            }
        }
        feed.tick(900).tick(1_000);
        let written = feed.written();
        prop_assert_eq!(written.len(), 9);
        prop_assert_eq!(feed.written_by(&choices), written);
    }
}
