//! A worker that was stopped past every time-out and goes on.

use std::time::{Duration, Instant};

use mainstem_kernel::Log;

use crate::support::{broker, connect, run_name};
use crate::takeover::{
    Process, assert_chained, await_turns, create_topics, feed, history, rest, specs, turns,
    undisturbed,
};

/// Beyond the session (2 s in tests), the transaction (10 s), and the coordinator's looking for late ones (0.5 s).
const STOPPED: Duration = Duration::from_secs(13);

/// Stopped in the midst of its turns, replaced, and let go on, it writes nothing under its old ownership, and takes its
/// share again: the history is that of a worker that was left alone.
#[test]
fn a_worker_stopped_past_every_time_out_writes_nothing_and_takes_its_share_again() {
    let Some(broker) = broker() else { return };
    let project = run_name("stopped");
    let log = connect(broker, &project);
    create_topics(&log, &project);
    let specs = specs(&project);
    let mut writer = log.writer("feed").unwrap();
    let zombie = Process::start(broker.bootstrap(), &project, "zombie");
    let mut segments = feed(&project);
    let last = segments.pop().unwrap();
    let mut heir = None;
    for segment in segments {
        let large = segment.iter().any(|(_, batch)| batch.len() > 50);
        let before = turns(&log, &specs);
        writer.append(&segment).unwrap();
        if large && heir.is_none() {
            await_turns(&log, &specs, before + 3);
            zombie.signal("-STOP");
            let started = Process::start(broker.bootstrap(), &project, "heir");
            heir = Some((started, Instant::now()));
        }
        rest(&log, &specs);
    }
    let (heir, stopped) = heir.unwrap();
    std::thread::sleep(STOPPED.saturating_sub(stopped.elapsed()));
    zombie.signal("-CONT");
    // What it was about to do it tries now.
    std::thread::sleep(Duration::from_secs(1));
    drop(heir);
    writer.append(&last).unwrap();
    rest(&log, &specs);
    assert!(
        history(&log, &project) == undisturbed(&project),
        "the history differs"
    );
    assert_chained(&log, &project, &specs);
}
