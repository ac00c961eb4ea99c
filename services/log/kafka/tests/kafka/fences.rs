//! Who may write: generations, transactional ids, and heads of chains that outlive both.

use std::time::{Duration, Instant};

use mainstem_kernel::log::{Commit, CommitError};
use mainstem_kernel::{Log, TaskId, TaskSpec};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::support::{Room, broker, connect, one, own};

fn assert_fenced(refused: Result<(), CommitError>) {
    assert!(
        matches!(refused, Err(CommitError::Fenced(_))),
        "{refused:?}"
    );
}

/// A worker that was stopped (its heart beats, its loop does not) is replaced; when it goes on, it believes to own the
/// task, and only the broker knows better.
#[test]
fn a_zombie_is_fenced_by_the_generation() {
    let Some(broker) = broker() else { return };
    let settings = [("max.poll.interval.ms", "2500")];
    let room = Room::new(broker, "zombie", 1, &settings);
    let tasks = [room.task("a", Some(0))];
    let mut zombie = room.owner("zombie", &tasks);
    zombie.commit(&[room.commit(&tasks[0], 1)]).unwrap();

    let mut heir = room.log.worker("heir").unwrap();
    own(heir.as_mut(), &tasks, 1);
    assert_eq!(room.last(&tasks[0]), Some(1));
    heir.commit(&[room.commit(&tasks[0], 2)]).unwrap();

    // Turn 2 is the next one as the zombie knows it; an outcome has no number at all.
    assert_fenced(zombie.commit(&[room.commit(&tasks[0], 2)]));
    let outcome = Commit {
        task: tasks[0].id.clone(),
        turn: None,
        outputs: vec![(room.at("out", 0), one("too late"))],
    };
    assert_fenced(zombie.commit(&[outcome]));
    heir.commit(&[room.commit(&tasks[0], 3)]).unwrap();
    assert_eq!(room.out(), ["room/a/0 1", "room/a/0 2", "room/a/0 3"]);
    assert_eq!(room.last(&tasks[0]), Some(3));

    // Back among the workers it takes its share, from where the chain is.
    drop(heir);
    let (mut lost, mut gained) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while (lost, gained) != (1, 1) {
        assert!(Instant::now() < deadline, "{lost} lost, {gained} gained");
        let change = zombie.assign(&tasks).unwrap();
        (lost, gained) = (lost + change.lost.len(), gained + change.gained.len());
        assert!(
            lost >= gained,
            "what was fenced is lost before it is gained"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_fenced(zombie.commit(&[room.commit(&tasks[0], 2)]));
    zombie.commit(&[room.commit(&tasks[0], 4)]).unwrap();
    assert_eq!(room.last(&tasks[0]), Some(4));
}

/// What a group refuses is what a member sends that it does not know any more, even before anybody else has joined.
#[test]
fn a_worker_of_the_same_name_fences() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "same", 1, &[]);
    let tasks = [room.task("a", Some(0))];
    let mut old = room.owner("same", &tasks);
    old.commit(&[room.commit(&tasks[0], 1)]).unwrap();
    let mut new = room.log.worker("same").unwrap();
    assert_fenced(old.commit(&[room.commit(&tasks[0], 2)]));
    assert_fenced(old.commit(&[room.commit(&tasks[0], 2)]));
    drop(old);
    own(new.as_mut(), &tasks, 1);
    new.commit(&[room.commit(&tasks[0], 2)]).unwrap();
    assert_eq!(room.out(), ["room/a/0 1", "room/a/0 2"]);
}

/// The tasks of a room may share a lead partition, and doors have none: each keeps a chain of its own.
#[test]
fn tasks_share_a_lead_or_have_a_slot() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "shared", 1, &[]);
    let leads = [Some(0), Some(0), None, None];
    let names = ["a", "b", "c", "d"];
    let tasks: Vec<_> = names
        .iter()
        .zip(leads)
        .map(|(name, lead)| room.task(name, lead))
        .collect();
    let mut worker = room.owner("first", &tasks);
    for (task, number) in [(0, 1), (2, 1), (0, 2), (1, 1)] {
        worker.commit(&[room.commit(&tasks[task], number)]).unwrap();
    }
    drop(worker);
    let mut worker = room.owner("second", &tasks);
    let lasts: Vec<_> = tasks.iter().map(|task| room.last(task)).collect();
    assert_eq!(lasts, [Some(2), Some(1), Some(1), None]);
    for (task, next) in tasks.iter().zip([3, 2, 2, 1]) {
        assert_fenced(worker.commit(&[room.commit(task, next + 1)]));
        worker.commit(&[room.commit(task, next)]).unwrap();
    }
}

/// Tasks of several rooms on one partition are one worker's: what is read of it is then read once.
#[test]
fn every_room_gives_a_worker_the_same_partitions() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "alike", 2, &[]);
    let rooms = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let task = |name: &str, index: u32| TaskSpec {
        id: TaskId(format!("{name}/x/{index}")),
        ..room.task("x", Some(index))
    };
    let tasks: Vec<TaskSpec> = rooms
        .iter()
        .flat_map(|name| [task(name, 0), task(name, 1)])
        .collect();
    let mut workers = ["one", "two"].map(|name| (room.log.worker(name).unwrap(), Vec::new()));
    let deadline = Instant::now() + Duration::from_secs(60);
    // One partition of each room: while they join, a worker may hold both of one room and none of another.
    let shared = |held: &Vec<TaskId>| {
        let of = |room: &str| held.iter().filter(|id| id.0.starts_with(room)).count();
        rooms.iter().all(|room| of(room) == 1)
    };
    while !workers.iter().all(|(_, held)| shared(held)) {
        for (worker, held) in &mut workers {
            assert!(Instant::now() < deadline, "only {held:?} came");
            let change = worker.assign(&tasks).unwrap();
            held.retain(|id| !change.lost.contains(id));
            held.extend(change.gained);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for (_, held) in &workers {
        let index = |id: &TaskId| id.0.chars().last();
        assert!(
            held.iter().all(|id| index(id) == index(&held[0])),
            "{held:?}"
        );
    }
}

/// Brokers forget a group's offsets after a week without members, and people reset them: the chain is still there.
#[test]
fn a_chain_outlives_its_group_s_offsets() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "expired", 1, &[]);
    let tasks = [room.task("a", Some(0)), room.task("b", Some(0))];
    let mut worker = room.owner("first", &tasks);
    for number in 1..=3 {
        worker.commit(&[room.commit(&tasks[0], number)]).unwrap();
    }
    drop(worker);
    // An operator's reset: another offset, and no metadata.
    let tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", format!("{}.room", room.project))
        .create()
        .unwrap();
    let lead = room.at("lead", 0);
    let mut reset = TopicPartitionList::new();
    reset
        .add_partition_offset(&lead.topic, 0, Offset::Offset(7))
        .unwrap();
    let patience = Duration::from_secs(10);
    let before = tool.committed_offsets(reset.clone(), patience).unwrap();
    let (offset, metadata) = (
        before.elements()[0].offset(),
        before.elements()[0].metadata().to_owned(),
    );
    assert_eq!(offset, Offset::Offset(30), "the lead's position");
    assert!(
        metadata.starts_with("1;") && metadata.contains(":3:"),
        "{metadata}"
    );
    tool.commit(&reset, CommitMode::Sync).unwrap();

    let mut worker = room.owner("second", &tasks);
    assert_eq!(room.last(&tasks[0]), Some(3));
    assert_fenced(worker.commit(&[room.commit(&tasks[0], 1)]));
    let both = [room.commit(&tasks[0], 4), room.commit(&tasks[1], 1)];
    worker.commit(&both).unwrap();
    drop(worker);
    let fresh = connect(broker, &room.project);
    let last = fresh.last_turn(&tasks[0].id).unwrap();
    assert_eq!(last.map(|turn| turn.number), Some(4));
}

/// A task that stays with its worker through a rebalance is not rebuilt.
#[test]
fn what_stays_is_kept() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "stays", 4, &[]);
    let tasks: Vec<_> = (0..4).map(|n| room.task(&n.to_string(), Some(n))).collect();
    let mut first = room.owner("first", &tasks);
    let all: Vec<_> = tasks.iter().map(|task| room.commit(task, 1)).collect();
    first.commit(&all).unwrap();
    let mut second = room.log.worker("second").unwrap();
    let (mut gained, mut lost, mut theirs) = (0, 0, 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while (gained, lost, theirs) != (0, 2, 2) {
        assert!(Instant::now() < deadline, "{gained}, {lost}, {theirs}");
        let change = first.assign(&tasks).unwrap();
        (gained, lost) = (gained + change.gained.len(), lost + change.lost.len());
        theirs += second.assign(&tasks).unwrap().gained.len();
        std::thread::sleep(Duration::from_millis(5));
    }
}
