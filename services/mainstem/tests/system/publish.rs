//! Publishing: two at once, files that are not what they were, times that cannot be, and runs that wait.

use std::collections::BTreeSet;

use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::Millis;
use mainstem_schemas::events::Event;

use crate::client::post;
use crate::place::Place;
use crate::process::until;
use crate::shop::{BEGIN, DAY, HEADER, orders, project};

/// How often a publication is taken over from a publisher that is alive: each time at another moment of its appends.
const TAKEN_OVER: usize = 4;

#[test]
fn a_publication_that_is_taken_over_from_a_live_publisher_doubles_and_loses_nothing() {
    const ROWS: usize = 40_000;
    let place = Place::applied(&project("wall", 2));
    place.write("rows.csv", HEADER.to_owned() + &orders(400, 0..100));
    let mut publishers = vec![place.start(&["publish", "orders", "rows.csv"])];
    for taken in 1..=TAKEN_OVER {
        until("some of the rows are there", || {
            place.count("arrivals.orders") > (taken * 4_000) as u64
        });
        publishers.push(place.start(&["publish", "orders", "rows.csv", "--resume"]));
    }
    let last = publishers.pop().unwrap().end().with(0);
    assert!(!last.out.contains(" 0 already there"), "{}", last.out);
    let fenced: Vec<_> = publishers.into_iter().map(|older| older.end()).collect();
    assert!(
        fenced.iter().any(|older| older.code == Some(1)),
        "no publisher was taken over: {fenced:?}"
    );
    let rows = place.rows("arrivals.orders");
    let ids: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!((rows.len(), ids.len()), (ROWS, ROWS));
}

#[test]
fn a_row_that_is_too_long_with_its_key_is_rejected_and_the_others_go_through() {
    let place = Place::applied(&project("wall", 1));
    let (long, fits) = ("x".repeat(900_000), "y".repeat(500_000));
    let rows = ["a", &long, &fits, "b"].map(|name| format!("{name},1,true,{BEGIN}\n"));
    place.write("rows.csv", HEADER.to_owned() + &rows.concat());
    let ended = place.run(&["publish", "orders", "rows.csv"]).with(2);
    assert!(
        ended.out.contains("3 records in, 1 rejected"),
        "{}",
        ended.out
    );
    assert_eq!(place.arrived(), ["a", &fits, "b"]);
    let [told] = place.rejected().try_into().unwrap();
    assert_eq!(told.line, 3);
    for word in ["with its key", "at most 1048576", "shorten it"] {
        assert!(told.reason.contains(word), "{}", told.reason);
    }
}

/// The orders without a time of their own.
fn timed_by_row() -> String {
    let by_row = "time: {start: 2024-01-01, every: 1h}";
    project("wall", 1).replace("time: {column: at}", by_row)
}

#[test]
fn a_source_that_times_rows_by_their_number_takes_one_publication_which_may_grow() {
    let place = Place::applied(&timed_by_row());
    let rows = HEADER.to_owned() + &orders(1, 0..5);
    place.write("one.csv", &rows);
    place.write("two.csv", &rows);
    place.run(&["publish", "orders", "one.csv"]).with(0);
    for file in ["one.csv", "two.csv"] {
        place.run(&["publish", "orders", file]).with(1).naming(&[
            "one.csv",
            "--resume",
            "time column",
        ]);
    }
    place.write("one.csv", rows + &orders(1, 5..9));
    let grown = place
        .run(&["publish", "orders", "one.csv", "--resume"])
        .with(0);
    assert!(
        grown
            .out
            .contains("4 records in, 0 rejected, 5 already there"),
        "{}",
        grown.out
    );
    let up = place.start(&["up", "--port", "0"]);
    until("every row is computed", || {
        place.count("features.spending") == 9
    });
    drop(up);
    assert_eq!(place.count("quarantine"), 0);
}

#[test]
fn nobody_goes_on_with_another_file_of_the_same_name() {
    let place = Place::applied(&project("wall", 1));
    let (first, second) = (orders(3, 0..5), orders(3, 5..10));
    place.write("rows.csv", HEADER.to_owned() + &first);
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let again = place.run(&["publish", "orders", "rows.csv"]).with(1);
    again.naming(&["published before", "--resume", "another name"]);

    place.write("rows.csv", HEADER.to_owned() + &second);
    let other = place
        .run(&["publish", "orders", "rows.csv", "--resume"])
        .with(1);
    other.naming(&["another file", "without --resume"]);
    assert_eq!(place.count("arrivals.orders"), 15);
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let ids: BTreeSet<_> = place
        .rows("arrivals.orders")
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(ids.len(), 30);

    // Each is gone on with by its own beginning.
    place.write("rows.csv", HEADER.to_owned() + &first + &orders(3, 20..21));
    let grown = place
        .run(&["publish", "orders", "rows.csv", "--resume"])
        .with(0);
    assert!(
        grown
            .out
            .contains("3 records in, 0 rejected, 15 already there"),
        "{}",
        grown.out
    );
}

#[test]
fn a_file_that_is_called_as_the_door_is_not_the_door() {
    let place = Place::applied(&project("wall", 1));
    let mut up = place.start(&["up", "--port", "0"]);
    let record = format!(r#"{{"customer": "ada", "amount": 1, "paid": true, "at": {BEGIN}}}"#);
    let posted = post(up.address(), "/v1/sources/orders", &record);
    assert_eq!(posted.status, 200, "{}", posted.body);
    place.write("http", HEADER.to_owned() + &orders(1, 0..2));
    let file = ["publish", "orders", "http", "--format", "csv"];
    let resumed = place.run(&[&file[..], &["--resume"]].concat()).with(1);
    resumed.naming(&["no publication", "without --resume"]);
    place.run(&file).with(0);
    let names = place
        .events("requests.sources")
        .into_iter()
        .map(|(_, event)| match event {
            Event::PublicationStarted(begun) => begun.name,
            other => panic!("{other:?}"),
        });
    assert_eq!(names.collect::<Vec<_>>(), ["http", "./http"]);
}

/// A paced publication of a file, a day a step, from the second day on.
fn paced<'a>(source: &'a str, file: &'a str) -> [&'a str; 7] {
    let from = "2024-01-02";
    ["publish", source, file, "--pace", "1d", "--pace-from", from]
}

#[test]
fn a_row_of_the_far_future_holds_no_paced_run_up() {
    let place = Place::applied(&project("stream", 1));
    let _up = place.start(&["up", "--port", "0"]);
    // The year 9024, more than two million steps away.
    let far = format!("late,1,true,{}\n", BEGIN + 7_000 * 365 * DAY);
    let rows = [HEADER, &orders(2, 0..2), &far, &orders(2, 2..4)];
    place.write("rows.csv", rows.concat());
    let ended = place.run(&paced("orders", "rows.csv")).with(2);
    assert!(
        ended.out.contains("9 records in, 0 rejected"),
        "{}",
        ended.out
    );
    ended.naming(&[
        "1 of the records",
        "more than a day ahead",
        "--pace",
        "shop.quarantine",
    ]);
    let [told] = place.quarantined().try_into().unwrap();
    assert!(
        told.reason.contains("more than a day ahead"),
        "{}",
        told.reason
    );
    assert_eq!(place.count("features.spending"), 8);
    place.verify();
}

#[test]
fn a_paced_run_that_begins_far_before_its_first_row_is_refused_with_a_remedy() {
    let place = Place::applied(&project("stream", 1));
    let _up = place.start(&["up", "--port", "0"]);
    place.write("rows.csv", HEADER.to_owned() + &orders(2, 0..2));
    let from = |from: &'static str| {
        [
            "publish",
            "orders",
            "rows.csv",
            "--pace",
            "1d",
            "--pace-from",
            from,
        ]
    };
    let refused = place.run(&from("1990-01-01")).with(1);
    refused.naming(&["line 2", "2024-01-01", "--pace-from", "--resume"]);
    assert_eq!(
        (place.count("arrivals.orders"), place.count("clock")),
        (0, 0)
    );
    place
        .run(&[&from("2024-01-02")[..], &["--resume"]].concat())
        .with(0);
    assert_eq!(place.count("features.spending"), 4);
}

#[test]
fn steps_of_another_source_are_not_taken_for_ones_own() {
    let fields = "    fields: {customer: string, amount: double, paid: boolean, at: long}\n";
    let visits = format!(
        "  visits:\n{fields}    entity: {{column: customer}}\n    time: {{column: at}}\nviews:\n"
    );
    let two = project("stream", 1).replace("views:\n", &visits);
    let place = Place::applied(&two.replace("  spending:\n", "  spending:\n    source: orders\n"));
    let _up = place.start(&["up", "--port", "0"]);
    place.write("rows.csv", HEADER.to_owned() + &orders(2, 0..4));
    let opened = |source: &str| {
        let steps = place.events("clock").into_iter();
        let steps = steps.filter_map(|(_, event)| match event {
            Event::StepOpened(step) if step.source == source => {
                Some((step.publication, step.until))
            }
            _ => None,
        });
        steps.collect::<Vec<_>>()
    };
    for source in ["orders", "visits"] {
        place.run(&paced(source, "rows.csv")).with(0);
        let days = (1..=4).map(|day| (1, Millis(BEGIN + day * DAY)));
        assert_eq!(opened(source), days.collect::<Vec<_>>(), "{source}");
    }
}

#[test]
fn a_paced_run_without_a_processor_says_what_it_waits_for() {
    let place = Place::applied(&project("stream", 1));
    place.write("rows.csv", HEADER.to_owned() + &orders(2, 0..2));
    let mut publisher = place.start(&paced("orders", "rows.csv"));
    publisher.warns("is `mainstem up` running on this directory?");
    let task = tasks_of(&place.store().project().unwrap()).remove(0).id;
    publisher.warns(&format!("the task {task}, which is not at its end"));
    let _up = place.start(&["up", "--port", "0"]);
    publisher.end().with(0);
    assert_eq!(place.count("features.spending"), 4);
}
