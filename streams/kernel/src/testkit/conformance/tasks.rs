//! Turns, ownership, fencing.

use super::Fixture;
use super::desk::Desk;
use crate::log::CommitError;
use crate::task::TaskSpec;

fn desk<'a>(fixture: &'a Fixture<'a>, case: &str, tasks: u32) -> (Desk<'a>, Vec<TaskSpec>) {
    let desk = Desk::new(fixture, case, &[("lead", tasks), ("out", 1)]);
    let tasks = (0..tasks).map(|index| desk.task(index)).collect();
    (desk, tasks)
}

fn assert_fenced(refused: Result<(), CommitError>) {
    assert!(
        matches!(refused, Err(CommitError::Fenced(_))),
        "{refused:?}"
    );
}

pub(super) fn the_last_turn_is_kept(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "kept", 2);
    let mut worker = desk.owner("worker", &tasks);
    assert_eq!(desk.log.last_turn(&tasks[0].id).unwrap(), None);
    for number in 1..=5 {
        worker.commit(&[desk.commit(&tasks[0], number)]).unwrap();
        let last = fixture.open().last_turn(&tasks[0].id).unwrap();
        assert_eq!(last, Some(desk.turn(&tasks[0], number)));
    }
    assert_eq!(desk.last_number(&tasks[1]), None);
    drop(worker);
    let last = fixture.open().last_turn(&tasks[0].id).unwrap();
    assert_eq!(last, Some(desk.turn(&tasks[0], 5)));

    let mut next = desk.owner("next", &tasks);
    next.commit(&[desk.commit(&tasks[0], 6), desk.commit(&tasks[1], 1)])
        .unwrap();
    assert_eq!(desk.last_number(&tasks[0]), Some(6));
    assert_eq!(desk.last_number(&tasks[1]), Some(1));
    assert_eq!(desk.read(&desk.at("turns", 0)).len(), 7);
}

pub(super) fn turns_follow_each_other(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "follow", 1);
    let mut worker = desk.owner("worker", &tasks);
    assert_fenced(worker.commit(&[desk.commit(&tasks[0], 2)]));
    worker.commit(&[desk.commit(&tasks[0], 1)]).unwrap();
    worker.commit(&[]).unwrap();
    for number in [0, 1, 3] {
        assert_fenced(worker.commit(&[desk.commit(&tasks[0], number)]));
    }
    assert_eq!(desk.last_number(&tasks[0]), Some(1));
    assert_eq!(desk.read(&desk.at("out", 0)).len(), 1);
    drop(worker);
    let mut next = desk.owner("next", &tasks);
    assert_fenced(next.commit(&[desk.commit(&tasks[0], 1)]));
    drop(next);
    let mut last = desk.owner("last", &tasks);
    last.commit(&[desk.commit(&tasks[0], 2)]).unwrap();
    assert_eq!(desk.last_number(&tasks[0]), Some(2));
    assert_eq!(desk.read(&desk.at("turns", 0)).len(), 2);
}

/// A worker that is gone and comes back under its name takes up where it was.
pub(super) fn a_turn_taken_again_is_read_whole(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "again", 1);
    for number in 1..=3 {
        let mut worker = desk.owner("same", &tasks);
        let last = desk.last_number(&tasks[0]);
        assert_eq!(last, (number > 1).then_some(number - 1));
        worker.commit(&[desk.commit(&tasks[0], number)]).unwrap();
    }
    let task = &tasks[0].id;
    let want: Vec<String> = (1..=3)
        .map(|number| format!("{task} turn {number}"))
        .collect();
    assert_eq!(desk.values(&desk.at("out", 0)), want);
}

pub(super) fn several_tasks_commit_at_once(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "several", 3);
    let mut worker = desk.owner("worker", &tasks);
    let all = |numbers: [i64; 3]| [0, 1, 2].map(|n| desk.commit(&tasks[n], numbers[n]));
    worker.commit(&all([1, 1, 1])).unwrap();
    // One that is refused takes the others with it: they are one transaction.
    assert_fenced(worker.commit(&all([2, 2, 7])));
    assert_eq!(desk.read(&desk.at("out", 0)).len(), 3);
    assert_eq!(desk.read(&desk.at("turns", 0)).len(), 3);
    for task in &tasks {
        assert_eq!(desk.last_number(task), Some(1));
    }
}

pub(super) fn what_is_not_owned_is_refused(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "owned", 2);
    let mut worker = desk.owner("worker", &tasks[..1]);
    assert_fenced(worker.commit(&[desk.commit(&tasks[0], 1), desk.commit(&tasks[1], 1)]));
    assert_fenced(worker.commit(&[desk.outcome(&tasks[1], "outcome")]));
    assert_eq!(desk.last_number(&tasks[0]), None);
    assert_eq!(desk.last_number(&tasks[1]), None);
    assert!(desk.read(&desk.at("out", 0)).is_empty());
    assert!(desk.read(&desk.at("turns", 0)).is_empty());
}

pub(super) fn an_outcome_needs_the_owner(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "outcome", 1);
    let mut worker = desk.owner("worker", &tasks);
    worker.commit(&[desk.outcome(&tasks[0], "first")]).unwrap();
    assert_eq!(desk.last_number(&tasks[0]), None, "an outcome is no turn");
    let both = [desk.commit(&tasks[0], 1), desk.outcome(&tasks[0], "second")];
    worker.commit(&both).unwrap();
    let turn = format!("{} turn 1", tasks[0].id);
    assert_eq!(desk.values(&desk.at("out", 0)), ["first", &turn, "second"]);
    assert_eq!(desk.last_number(&tasks[0]), Some(1));
}

pub(super) fn a_task_that_moved_is_fenced(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "moved", 2);
    let mut first = desk.owner("first", &tasks);
    for task in &tasks {
        first.commit(&[desk.commit(task, 1)]).unwrap();
    }
    let log = fixture.open();
    let mut second = log.worker(&desk.name("second")).unwrap();
    let held = [
        tasks.iter().map(|task| task.id.clone()).collect(),
        <_>::default(),
    ];
    let mut held: [std::collections::BTreeSet<_>; 2] = held;
    desk.settle_from(&mut [&mut first, &mut second], &tasks, &mut held);
    let (kept, moved) = if held[0].contains(&tasks[0].id) {
        (&tasks[0], &tasks[1])
    } else {
        (&tasks[1], &tasks[0])
    };
    // The zombie: it would go on as if nothing had happened, with what it still owns in the same commit.
    assert_fenced(first.commit(&[desk.commit(kept, 2), desk.commit(moved, 2)]));
    assert_fenced(first.commit(&[desk.outcome(moved, "too late")]));
    assert_eq!(desk.read(&desk.at("out", 0)).len(), 2);
    assert_eq!(desk.read(&desk.at("turns", 0)).len(), 2);
    assert_eq!(desk.last_number(moved), Some(1));
    assert_eq!(desk.last_number(kept), Some(1));
    second.commit(&[desk.commit(moved, 2)]).unwrap();
    assert_eq!(desk.last_number(moved), Some(2));
}

pub(super) fn tasks_are_shared_out(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "shared", 6);
    let logs: Vec<_> = (0..3).map(|_| fixture.open()).collect();
    let join = |n: usize| logs[n].worker(&desk.name(&format!("worker{n}"))).unwrap();
    let (mut a, mut b, mut c) = (join(0), join(1), join(2));
    let mut held = desk.settle(&mut [&mut a, &mut b, &mut c], &tasks);
    for (worker, held) in [&mut a, &mut b, &mut c].into_iter().zip(&held) {
        for task in tasks.iter().filter(|task| held.contains(&task.id)) {
            worker.commit(&[desk.commit(task, 1)]).unwrap();
        }
    }
    // One leaves; the others share what it had, and nothing is committed twice or forgotten.
    drop(b);
    held.remove(1);
    desk.settle_from(&mut [&mut a, &mut c], &tasks, &mut held);
    for (worker, held) in [&mut a, &mut c].into_iter().zip(&held) {
        for task in tasks.iter().filter(|task| held.contains(&task.id)) {
            assert_eq!(desk.last_number(task), Some(1));
            worker.commit(&[desk.commit(task, 2)]).unwrap();
        }
    }
    for task in &tasks {
        assert_eq!(desk.last_number(task), Some(2));
    }
    assert_eq!(desk.read(&desk.at("turns", 0)).len(), 12);
}

/// The list of tasks changes with the definition.
pub(super) fn tasks_come_and_go(fixture: &Fixture<'_>) {
    let (desk, tasks) = desk(fixture, "come-and-go", 3);
    let mut worker = desk.log.worker(&desk.name("worker")).unwrap();
    let mut held = desk.settle(&mut [&mut worker], &tasks[..2]);
    worker.commit(&[desk.commit(&tasks[0], 1)]).unwrap();
    desk.settle_from(&mut [&mut worker], &tasks[1..], &mut held);
    let want = tasks[1..].iter().map(|task| task.id.clone()).collect();
    assert_eq!(held[0], want);
    assert_fenced(worker.commit(&[desk.commit(&tasks[0], 2)]));
    worker.commit(&[desk.commit(&tasks[2], 1)]).unwrap();
    desk.settle_from(&mut [&mut worker], &tasks, &mut held);
    worker.commit(&[desk.commit(&tasks[0], 2)]).unwrap();
    assert_eq!(desk.last_number(&tasks[0]), Some(2));
}
