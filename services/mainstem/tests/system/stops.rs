//! Ctrl-C: everything stops within a second, and a restart goes on where it was.

use std::time::Duration;

use mainstem_schemas::events::Event;

use crate::place::Place;
use crate::process::{Process, until};
use crate::shop::{HEADER, orders, project};

const SECOND: Duration = Duration::from_secs(1);

/// On a machine that builds beside the tests, a stop may be late for reasons of the machine: the best of three counts.
const TRIES: usize = 3;

fn up(place: &Place) -> Process {
    let mut up = place.start(&["up", "--port", "0"]);
    up.address();
    up
}

/// Interrupts a process and says whether it ended in time.
fn stops_in_time(process: Process) -> bool {
    let (ended, took) = process.interrupt();
    let ended = ended.with(0);
    assert!(ended.out.contains("start again to go on where it was"));
    took < SECOND
}

#[test]
fn an_idle_up_and_one_at_work_stop_within_a_second_and_go_on_after_it() {
    let place = Place::applied(&project("wall", 2));
    assert!((0..TRIES).any(|_| stops_in_time(up(&place))), "idle");

    let (mut published, mut in_time, mut at_work) = (0, false, false);
    for round in 0..TRIES as i64 {
        let file = format!("{round}.csv");
        let days = round * 20..round * 20 + 20;
        place.write(&file, HEADER.to_owned() + &orders(1_000, days));
        let (up, publisher) = (up(&place), place.start(&["publish", "orders", &file]));
        until("there is work", || {
            place.count("features.spending") > published
        });
        let stopped = stops_in_time(up);
        publisher.end().with(0);
        published += 20_000;
        if place.count("features.spending") < published {
            (at_work, in_time) = (true, stopped);
        }
        if in_time {
            break;
        }
    }
    assert!(at_work, "all work was done before the stops");
    assert!(in_time, "at work");

    let up = up(&place);
    until("the features are there", || {
        place.count("features.spending") == published
    });
    assert!(up.interrupt().0.err.is_empty());
    assert_eq!(place.count("quarantine"), 0);
    place.verify();
}

#[test]
fn a_stop_does_not_wait_for_a_training_which_is_done_again() {
    let long = "{iterations: 1000, max_depth: 6, learning_rate: 0.01}";
    let place = Place::applied(&project("wall", 2).replace("{iterations: 5}", long));
    place.write("rows.csv", HEADER.to_owned() + &orders(250, 0..20));
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let trained = |place: &Place| {
        let done = |(_, event): &(_, Event)| matches!(event, Event::TrainingCompleted(_));
        place.events("outcomes").iter().any(done)
    };
    let mut in_time = false;
    for round in 0..TRIES {
        let mut up = place.start(&["up", "--port", "0", "--log", "info"]);
        if round == 0 {
            place.run(&["retrain", "pays"]).with(0);
        }
        up.warns("an effect begins model=\"pays\" what=\"training\"");
        in_time |= stops_in_time(up);
        assert!(!trained(&place), "the training is too short for this test");
    }
    assert!(in_time);
    let up = up(&place);
    until("a version is trained", || trained(&place));
    drop(up);
    place.verify();
}
