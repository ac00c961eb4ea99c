//! How much a worker commits at once, and how often, as a user says it.

use std::process::Stdio;

use crate::place::Place;
use crate::process::until;
use crate::shop::{HEADER, orders, project};

#[test]
fn a_processor_takes_no_more_in_a_turn_than_its_user_says() {
    let place = Place::applied(&project("wall", 1));
    place.write("orders.csv", HEADER.to_owned() + &orders(10, 0..10));
    place.run(&["publish", "orders", "orders.csv"]).with(0);
    let variables = [("MAINSTEM_BATCH", "7"), ("MAINSTEM_COMMIT_INTERVAL", "5ms")];
    let args = ["up", "--port", "0", "--threads", "1"];
    let mut up = place.start_with(&args, &variables, Stdio::null());
    up.address();
    until("all orders are features", || {
        place.count("features.spending") == 100
    });
    let taken = place.taken().into_iter().map(|(_, arrivals)| arrivals);
    let taken: Vec<i64> = taken.filter(|count| *count > 0).collect();
    assert_eq!(taken.iter().max(), Some(&7), "{taken:?}");
    assert_eq!(taken.iter().sum::<i64>(), 100);
    up.interrupt().0.with(0);
    place.verify();
}

#[test]
fn settings_of_commits_that_are_out_of_bounds_are_refused_wherever_they_come_from() {
    let place = Place::applied(&project("wall", 1));
    place
        .run(&["up", "--batch", "0"])
        .with(2)
        .naming(&["'0'", "--batch", "1 to 65536 records"]);
    let variables = [("MAINSTEM_COMMIT_INTERVAL", "10s")];
    let args = ["run", "processor"];
    let processor = place.start_with(&args, &variables, Stdio::null());
    processor
        .end()
        .with(2)
        .naming(&["'10s'", "--commit-interval", "at most 1s apart"]);
    let demo = place.run(&["demo", "--commit-interval", "20"]).with(2);
    demo.naming(&["'20'", "--commit-interval", "500ms, 30s"]);
}
