//! Publishing: two at once, files that are not what they were, times that cannot be, and runs that wait.

use std::collections::BTreeSet;

use crate::place::Place;
use crate::process::until;
use crate::shop::{BEGIN, HEADER, orders, project};

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
