//! Waiting for commits.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::Fixture;
use super::desk::{Desk, batch};
use crate::log::FetchLimit;
use mainstem_schemas::Batch;

pub(super) fn a_wait_wakes(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "wakes", &[("records", 1)]);
    let at = desk.at("records", 0);
    let waiting = fixture.open();
    let mut reader = waiting.reader().unwrap();
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            writer.append(&[(at.clone(), batch(&["late"]))]).unwrap();
        });
        let start = Instant::now();
        let mut got = Batch::new();
        while got.is_empty() {
            assert!(start.elapsed() < fixture.patience, "the wait did not wake");
            let seen = waiting.seen();
            reader
                .fetch(&at, 0, FetchLimit::default(), &mut got)
                .unwrap();
            if got.is_empty() {
                waiting.wait(seen, fixture.patience * 2);
            }
        }
    });
    // What came before is told at once, however long one would wait.
    let seen = waiting.seen();
    writer.append(&[(at.clone(), batch(&["next"]))]).unwrap();
    assert!(waiting.wait(seen, fixture.patience));
}

pub(super) fn a_wait_ends(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "ends", &[("records", 1)]);
    let start = Instant::now();
    for timeout in [0, 1, 50] {
        desk.log
            .wait(desk.log.seen(), Duration::from_millis(timeout));
    }
    assert!(start.elapsed() < fixture.patience);
}

/// Two take turns: each writes only after it has seen the other's, so one wake-up that is lost stops both.
pub(super) fn no_commit_is_slept_through(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "slept", &[("ping", 1), ("pong", 1)]);
    let rounds = 40;
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        for (own, other, first) in [("ping", "pong", true), ("pong", "ping", false)] {
            let (desk, tell) = (&desk, tell.clone());
            scope.spawn(move || {
                let log = fixture.open();
                let mut reader = log.reader().unwrap();
                let mut writer = log.writer(&desk.name(own)).unwrap();
                let (from, to) = (desk.at(other, 0), desk.at(own, 0));
                let mut got = Batch::new();
                let mut next = 0;
                for round in 0..rounds {
                    let want = if first { round } else { round + 1 };
                    while got.len() < want {
                        let seen = log.seen();
                        let before = got.len();
                        reader
                            .fetch(&from, next, FetchLimit::default(), &mut got)
                            .unwrap();
                        next = got.offsets().last().map_or(0, |last| last + 1);
                        if got.len() == before {
                            let start = Instant::now();
                            log.wait(seen, fixture.patience);
                            assert!(
                                start.elapsed() < fixture.patience,
                                "round {round} was slept through"
                            );
                        }
                    }
                    writer
                        .append(&[(to.clone(), batch(&[round.to_string()]))])
                        .unwrap();
                }
                tell.send(()).unwrap();
            });
        }
        for _ in 0..2 {
            told.recv_timeout(fixture.patience * 4).unwrap();
        }
    });
}
