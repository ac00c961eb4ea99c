//! A short campaign of faults on real brokers; the long one is the program `faults` of this package.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mainstem_test_broker::{left_out, ours};
use mainstem_tests::faults::scenarios::{Size, play};

/// Some minutes in all.
const SHORT: Size = Size {
    weeks: 4,
    kills: 10,
    seed: 7,
};

fn leaves_the_undisturbed_history(name: &str) {
    if left_out() || !ours() {
        return;
    }
    let Some(outcome) = play(name, SHORT) else {
        return;
    };
    assert!(outcome.differences.records > 20_000, "{outcome}");
    assert!(outcome.differences.is_none(), "{outcome}");
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        #[ignore = "processes of a release build on a broker of their own: cargo xtask test runs it"]
        fn $test() {
            leaves_the_undisturbed_history($name);
        }
    )*};
}

scenarios! {
    services_that_are_killed: "kills",
    a_worker_that_stands_still_and_goes_on: "zombie",
    a_broker_that_is_killed: "broker",
    a_leader_that_is_lost: "leader",
    workers_that_come_and_go: "scaling",
    a_full_disk: "disk",
    records_that_nobody_can_read: "poison",
}
