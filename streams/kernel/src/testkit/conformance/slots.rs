//! Slots: tasks that one caller takes for himself, as a door does.

use super::Fixture;
use super::desk::Desk;
use crate::log::{Assignment, CommitError};
use crate::task::TaskSpec;

fn assert_fenced(refused: Result<(), CommitError>) {
    assert!(
        matches!(refused, Err(CommitError::Fenced(_))),
        "{refused:?}"
    );
}

/// A task without a lead, as a door's.
fn slot(desk: &Desk<'_>, index: u32) -> TaskSpec {
    let task = desk.task(index);
    TaskSpec { lead: None, ..task }
}

/// A turn's positions name the task's input, whether or not it leads.
fn desk<'a>(fixture: &'a Fixture<'a>, case: &str) -> Desk<'a> {
    Desk::new(fixture, case, &[("lead", 3), ("out", 1)])
}

pub(super) fn a_slot_has_one_owner(fixture: &Fixture<'_>) {
    let desk = desk(fixture, "slot");
    let (one, other) = (slot(&desk, 0), slot(&desk, 1));
    // `Desk::commit` says of a task what its lead would.
    let commit = |task: &TaskSpec, index, number| {
        let led = desk.task(index);
        assert_eq!(led.id, task.id);
        desk.commit(&led, number)
    };
    let mut first = desk.log.slot(&one).unwrap();
    assert_eq!(first.assign(&[]).unwrap(), Assignment::default());
    first.commit(&[commit(&one, 0, 1)]).unwrap();
    for number in [0, 1, 3] {
        assert_fenced(first.commit(&[commit(&one, 0, number)]));
    }
    assert_fenced(first.commit(&[commit(&other, 1, 1)]));
    assert_fenced(first.commit(&[commit(&one, 0, 2), commit(&other, 1, 1)]));
    first.commit(&[commit(&one, 0, 2)]).unwrap();
    assert_eq!(desk.last_number(&one), Some(2));

    // Whoever takes it next fences the one before, from another handle too, and goes on with the numbers.
    let log = fixture.open();
    let mut second = log.slot(&one).unwrap();
    assert_fenced(first.commit(&[commit(&one, 0, 3)]));
    assert_fenced(first.commit(&[desk.outcome(&one, "too late")]));
    second.commit(&[commit(&one, 0, 3)]).unwrap();
    drop(first);
    second.commit(&[commit(&one, 0, 4)]).unwrap();
    drop(second);
    let mut third = desk.log.slot(&one).unwrap();
    assert_fenced(third.commit(&[commit(&one, 0, 1)]));
    drop(third);
    let mut last = desk.log.slot(&one).unwrap();
    last.commit(&[commit(&one, 0, 5)]).unwrap();
    assert_eq!(desk.last_number(&one), Some(5));
    assert_eq!(desk.last_number(&other), None);
    assert_eq!(desk.read(&desk.at("turns", 0)).len(), 5);
    assert_eq!(desk.read(&desk.at("out", 0)).len(), 5);
}

pub(super) fn a_slot_is_apart_from_the_shares(fixture: &Fixture<'_>) {
    let desk = desk(fixture, "apart");
    let door = slot(&desk, 2);
    let shared: Vec<TaskSpec> = (0..2).map(|index| desk.task(index)).collect();
    let mut owner = desk.log.slot(&door).unwrap();
    // It takes no share, and does not stand in the way of those who do.
    let mut worker = desk.owner("worker", &shared);
    owner.commit(&[desk.commit(&desk.task(2), 1)]).unwrap();
    worker
        .commit(&[desk.commit(&shared[0], 1), desk.commit(&shared[1], 1)])
        .unwrap();
    assert_fenced(worker.commit(&[desk.commit(&desk.task(2), 2)]));
    assert_fenced(owner.commit(&[desk.commit(&shared[0], 2)]));
    drop(worker);
    owner.commit(&[desk.commit(&desk.task(2), 2)]).unwrap();
    assert_eq!(desk.last_number(&door), Some(2));
    assert_eq!(desk.last_number(&shared[0]), Some(1));
}
