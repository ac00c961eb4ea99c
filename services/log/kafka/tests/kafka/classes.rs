//! What an error means for a commit, each class with a real cause. Fatal ones (a newer owner) are in `fences`.

use std::time::{Duration, Instant};

use mainstem_kernel::Log;
use mainstem_kernel::TaskSpec;
use mainstem_kernel::log::{CommitError, Partition, TopicSpec, Worker};
use mainstem_test_broker::{Broker, Cluster};

use crate::support::{Room, broker, connect, connect_to, one, run_name, values};

/// Retriable: leaders and coordinators of everything move while turns are committed. No turn is lost or doubled.
#[test]
fn commits_outlive_the_loss_of_any_one_node() {
    if !mainstem_test_broker::ours() {
        return;
    }
    let mut cluster = Cluster::start().unwrap();
    let project = run_name("nodes");
    let log = connect_to(cluster.bootstrap(), &project, |_| ());
    let room = Room::of(project, log, 1);
    let task = room.task("a", Some(0));
    let tasks = std::slice::from_ref(&task);
    let mut worker = room.owner("w", tasks);
    let mut number = 0;
    let mut kinds = Vec::new();
    for node in 0..3 {
        for step in 0..6 {
            if step == 2 {
                cluster.kill(node);
            }
            number += 1;
            let deadline = Instant::now() + Duration::from_secs(120);
            loop {
                assert!(Instant::now() < deadline, "turn {number}: {kinds:?}");
                match worker.commit(&[room.commit(&task, number)]) {
                    Ok(()) => break,
                    // Still the owner, perhaps: the same again.
                    Err(CommitError::Aborted(why)) => {
                        kinds.push(why);
                        if worker.assign(tasks).is_ok() {
                            continue;
                        }
                        worker = rejoin(&room, tasks, deadline);
                    }
                    // The task is taken up anew, from where the chain is.
                    Err(CommitError::Unknown(why) | CommitError::Fenced(why)) => {
                        kinds.push(why);
                        drop(worker);
                        worker = rejoin(&room, tasks, deadline);
                    }
                    Err(other) => panic!("{other}"),
                }
                if last(&room, &task, deadline) == Some(number) {
                    break;
                }
            }
        }
        cluster.restart(node).unwrap();
    }
    let all: Vec<String> = (1..=number).map(|n| format!("room/a/0 {n}")).collect();
    assert_eq!(room.out(), all);
    assert_eq!(room.last(&task), Some(number));
}

/// A worker that owns the task again. As a service does, it joins anew where a look fails while brokers are lost.
fn rejoin(room: &Room, tasks: &[TaskSpec], deadline: Instant) -> Box<dyn Worker> {
    loop {
        assert!(Instant::now() < deadline, "nobody joins");
        let Ok(mut worker) = room.log.worker("w") else {
            continue;
        };
        while let Ok(change) = worker.assign(tasks) {
            if !change.gained.is_empty() {
                return worker;
            }
            assert!(Instant::now() < deadline, "nothing is assigned");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn last(room: &Room, task: &TaskSpec, deadline: Instant) -> Option<i64> {
    loop {
        match room.log.last_turn(&task.id) {
            Ok(turn) => return turn.map(|turn| turn.number),
            Err(why) => assert!(Instant::now() < deadline, "{why}"),
        }
    }
}

/// Abortable: what a broker does not take is in a transaction that is aborted, with all that was taken; the producer is
/// as good as before.
#[test]
fn a_record_that_a_broker_refuses_aborts_its_commit() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "refused", 1, &[]);
    let (at, other) = (room.at("out", 0), room.at("lead", 0));
    let mut writer = room.log.writer("w").unwrap();
    writer.append(&[(at.clone(), one("before"))]).unwrap();
    // Somebody changes the topic under us.
    let reach = ["--bootstrap-server", broker.bootstrap()];
    let small = ["--alter", "--add-config", "max.message.bytes=1000"];
    let topic = ["--entity-type", "topics", "--entity-name", &at.topic];
    let words = [&reach[..], &small, &topic].concat();
    let class = "kafka.admin.ConfigCommand";
    broker.tool(class, &words, "").unwrap();
    let large = "x".repeat(10_000);
    let both = [(other.clone(), one("with it")), (at.clone(), one(&large))];
    let refused = writer.append(&both);
    assert!(matches!(refused, Err(CommitError::Log(_))), "{refused:?}");
    // librdkafka may abort once more, for the sequence of the records has a gap: the same again goes.
    let after = || writer.append(&[(at.clone(), one("after"))]);
    let mut tries = std::iter::repeat_with(after).take(3);
    let done = tries.find(|done| !matches!(done, Err(CommitError::Aborted(_))));
    assert_eq!(done, Some(Ok(())));
    assert_eq!(room.out(), ["before", "after"]);
    assert_eq!(values(&room.log, &other), [""; 0]);
}

/// A broker that stands still for longer than a record may take: the commit gives up in time, and whoever looks before
/// writing again writes nothing twice.
#[test]
fn a_broker_that_stands_still_is_given_up_and_nothing_is_written_twice() {
    if !mainstem_test_broker::ours() {
        return;
    }
    let broker = Broker::start().unwrap();
    let project = run_name("still");
    let log = connect(&broker, &project);
    let at = Partition::new(&format!("{project}.records"), 0);
    let topic = TopicSpec {
        name: at.topic.to_string(),
        partitions: 1,
    };
    log.create_topics(&[topic]).unwrap();
    let mut writer = log.writer("w").unwrap();
    writer.append(&[(at.clone(), one("before"))]).unwrap();
    broker.suspend().unwrap();
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| writer.append(&[(at.clone(), one("late"))]));
        std::thread::sleep(Duration::from_secs(12));
        broker.resume().unwrap();
        late.join().unwrap()
    });
    match late {
        Err(CommitError::Aborted(_)) => {}
        Err(CommitError::Unknown(_)) => writer = log.writer("w").unwrap(),
        other => panic!("{other:?}"),
    }
    assert_eq!(values(&log, &at), ["before"]);
    writer.append(&[(at.clone(), one("late"))]).unwrap();
    assert_eq!(values(&log, &at), ["before", "late"]);
}
