//! What every adapter of the log port must do, written once.
//!
//! An adapter's test makes a [`Fixture`] of a function that opens one more handle on the same log, and runs every case of
//! [`ALL`] by name. Topics, tasks and names are the case's own, so all cases can run against one broker, one after
//! another or at once; what makes a run unique is part of the fixture.
//!
//! Nothing here asks for more than the port says: offsets rise but may have gaps, shares may take a while to settle,
//! `wait` may wake early.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a case fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a log runs in real time; no fold does"
)]

mod commits;
mod desk;
mod records;
mod retention;
mod slots;
mod tailing;
mod tasks;

use std::time::Duration;

use crate::log::Log;

/// Gives one more handle on the log under test.
pub type Open<'a> = dyn Fn() -> Box<dyn Log> + Sync + 'a;

/// A log under test.
pub struct Fixture<'a> {
    open: &'a Open<'a>,
    run: String,
    patience: Duration,
}

impl<'a> Fixture<'a> {
    /// `open` gives one more handle on the same log; `run` makes names unique on a log that other runs have written to.
    pub fn new(open: &'a Open<'a>, run: &str) -> Self {
        Fixture {
            open,
            run: run.to_owned(),
            patience: Duration::from_secs(30),
        }
    }

    /// How long tasks may take to change hands, and a commit to be seen by other handles: 30 s unless said otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// One more handle.
    #[must_use]
    pub fn open(&self) -> Box<dyn Log> {
        (self.open)()
    }
}

/// A case: it panics where the log does not do as the port says.
pub type Case = fn(&Fixture<'_>);

/// Every case by name.
pub const ALL: &[(&str, Case)] = &[
    ("topics_are_created_once", records::topics_are_created_once),
    (
        "an_unknown_partition_is_named",
        records::an_unknown_partition_is_named,
    ),
    (
        "every_shape_of_record_comes_back",
        records::every_shape_of_record_comes_back,
    ),
    (
        "order_is_kept_and_offsets_rise",
        records::order_is_kept_and_offsets_rise,
    ),
    (
        "a_fetch_resumes_anywhere",
        records::a_fetch_resumes_anywhere,
    ),
    (
        "limits_hold_but_one_record_comes",
        records::limits_hold_but_one_record_comes,
    ),
    (
        "a_record_too_large_is_refused",
        records::a_record_too_large_is_refused,
    ),
    (
        "many_partitions_keep_apart",
        records::many_partitions_keep_apart,
    ),
    (
        "any_mix_of_appends_comes_back",
        records::any_mix_of_appends_comes_back,
    ),
    (
        "an_append_is_whole_or_absent",
        commits::an_append_is_whole_or_absent,
    ),
    ("nobody_sees_a_part", commits::nobody_sees_a_part),
    (
        "concurrent_appends_stay_whole",
        commits::concurrent_appends_stay_whole,
    ),
    ("a_newer_writer_fences", commits::a_newer_writer_fences),
    ("the_last_turn_is_kept", tasks::the_last_turn_is_kept),
    ("turns_follow_each_other", tasks::turns_follow_each_other),
    (
        "a_turn_taken_again_is_read_whole",
        tasks::a_turn_taken_again_is_read_whole,
    ),
    (
        "several_tasks_commit_at_once",
        tasks::several_tasks_commit_at_once,
    ),
    (
        "what_is_not_owned_is_refused",
        tasks::what_is_not_owned_is_refused,
    ),
    (
        "an_outcome_needs_the_owner",
        tasks::an_outcome_needs_the_owner,
    ),
    (
        "a_task_that_moved_is_fenced",
        tasks::a_task_that_moved_is_fenced,
    ),
    ("tasks_are_shared_out", tasks::tasks_are_shared_out),
    ("tasks_come_and_go", tasks::tasks_come_and_go),
    ("a_slot_has_one_owner", slots::a_slot_has_one_owner),
    (
        "a_slot_is_apart_from_the_shares",
        slots::a_slot_is_apart_from_the_shares,
    ),
    ("a_wait_wakes", tailing::a_wait_wakes),
    ("a_wait_ends", tailing::a_wait_ends),
    (
        "no_commit_is_slept_through",
        tailing::no_commit_is_slept_through,
    ),
    ("the_end_is_told", retention::the_end_is_told),
    (
        "one_look_at_many_says_what_many_looks_say",
        retention::one_look_at_many_says_what_many_looks_say,
    ),
    (
        "what_is_forgotten_is_out_of_range",
        retention::what_is_forgotten_is_out_of_range,
    ),
    ("what_is_kept_stays", retention::what_is_kept_stays),
];

/// Runs every case, telling its name first.
pub fn run(open: &Open<'_>, run: &str) {
    let fixture = Fixture::new(open, run);
    for (name, case) in ALL {
        println!("{name}");
        case(&fixture);
    }
}
