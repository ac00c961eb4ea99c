//! What only the inside can arrange: groups, and a file that may not grow.

use std::sync::mpsc::channel;

use mainstem_kernel::log::{Commit, CommitError, FetchLimit};
use mainstem_kernel::task::TaskSpec;
use mainstem_schemas::Batch;

use super::*;

fn open(dir: &Path) -> LocalLog {
    let log = LocalLog::open(dir).unwrap();
    let topic = TopicSpec {
        name: "records".into(),
        partitions: 1,
    };
    log.create_topics(&[topic]).unwrap();
    log
}

fn records(topic: &str, count: usize, size: usize) -> Vec<(Partition, Batch)> {
    let mut batch = Batch::new();
    for _ in 0..count {
        batch.push(None, Some(&vec![7; size]), []);
    }
    vec![(Partition::new(topic, 0), batch)]
}

#[test]
fn a_caller_that_fails_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let limit = |store: &mut store::Store| {
        let pages = store.connection();
        let pages: i64 = pages.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let limit = format!("PRAGMA max_page_count = {}", pages + 100);
        Ok(store.connection().query_row(&limit, [], |_| Ok(()))?)
    };
    log.shared.submit(0, limit).unwrap();
    let append = |name: &str, records: Vec<(Partition, Batch)>| {
        let mut writer = log.writer(name).unwrap();
        move || writer.append(&records)
    };
    let mut small = append("small", records("records", 1, 1_000));
    let mut other = append("other", records("records", 2, 1_000));
    let mut large = append("large", records("records", 4, 500_000));
    let mut lost = append("lost", records("nowhere", 1, 1_000));
    std::thread::scope(|scope| {
        // The writer thread is kept busy until the four wait behind it, to become one group.
        let (go, wait) = channel::<()>();
        let busy = move |_: &mut store::Store| {
            let _ = wait.recv();
            Ok(())
        };
        let busy = scope.spawn(|| log.shared.submit(0, busy));
        std::thread::sleep(Duration::from_millis(50));
        let (small, large) = (scope.spawn(&mut small), scope.spawn(&mut large));
        let (lost, other) = (scope.spawn(&mut lost), scope.spawn(&mut other));
        std::thread::sleep(Duration::from_millis(50));
        go.send(()).unwrap();
        busy.join().unwrap().unwrap();
        assert_eq!(small.join().unwrap(), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(()));
        let full = LogError::Full(log.shared.dir.display().to_string());
        assert_eq!(large.join().unwrap(), Err(CommitError::Log(full)));
        let unknown = LogError::UnknownTopic(Partition::new("nowhere", 0));
        assert_eq!(lost.join().unwrap(), Err(CommitError::Log(unknown)));
    });
    let mut reader = log.reader().unwrap();
    let at = Partition::new("records", 0);
    assert_eq!(reader.range(&at).unwrap(), 0..3);
    small().unwrap();
    let mut got = Batch::new();
    reader
        .fetch(&at, 0, FetchLimit::default(), &mut got)
        .unwrap();
    assert_eq!(got.offsets(), [0, 1, 2, 3]);
}

#[test]
fn a_name_has_one_live_worker() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = log.worker("host/7 ü").unwrap();
    let refused = log.worker("host/7 ü").err().unwrap().to_string();
    assert!(
        refused.contains("host%2f7%20%c3%bc is at work"),
        "{refused}"
    );
    let other = log.worker("host/8").unwrap();
    drop(first);
    log.worker("host/7 ü").unwrap();
    drop(other);
    let left = members::folder(dir.path()).read_dir().unwrap();
    assert_eq!(left.count(), 0, "nobody leaves a file behind");
}

/// As where somebody has removed the locks of workers that live: the lease in the file decides.
#[test]
fn a_lease_that_was_taken_fences_its_former_owner() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let task = TaskSpec {
        id: TaskId("room/task/0".into()),
        project: "project".into(),
        lead: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let outcome = Commit {
        task: task.id.clone(),
        turn: None,
        outputs: records("records", 1, 10),
    };
    let tasks = [task];
    let mut first = log.worker("first").unwrap();
    assert_eq!(first.assign(&tasks).unwrap().gained.len(), 1);
    first.commit(std::slice::from_ref(&outcome)).unwrap();
    for change in ["epoch = epoch + 1", "owner = 'second'"] {
        let change = format!("UPDATE tasks SET {change}");
        let taken = log.shared.submit(0, move |store| {
            Ok(store.connection().execute(&change, [])?)
        });
        assert_eq!(taken, Ok(1));
        let refused = first.commit(std::slice::from_ref(&outcome));
        assert!(matches!(refused, Err(CommitError::Fenced(_))));
        // Asked at once it says what it lost, and takes up again what nobody alive has.
        let change = first.assign(&tasks).unwrap();
        assert_eq!((change.lost.len(), change.gained.len()), (1, 1));
        first.commit(std::slice::from_ref(&outcome)).unwrap();
    }
    let range = log.reader().unwrap().range(&Partition::new("records", 0));
    assert_eq!(range.unwrap(), 0..3);
}

#[test]
fn handles_of_one_directory_share_a_writer_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (log, same) = (open(dir.path()), open(&dir.path().join(".")));
    assert!(Arc::ptr_eq(&log.shared, &same.shared));
    let other = tempfile::tempdir().unwrap();
    assert!(!Arc::ptr_eq(&log.shared, &open(other.path()).shared));
}

#[test]
fn an_overgrown_write_ahead_log_is_folded() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut writer = log.writer("writer").unwrap();
    let size = || dir.path().join("log.sqlite-wal").metadata().unwrap().len();
    {
        // A reader that stays in the middle of a statement holds the write-ahead log open.
        let stalled = store::connect(dir.path()).unwrap();
        let mut statement = stalled.prepare("SELECT topic FROM partitions").unwrap();
        let mut rows = statement.query([]).unwrap();
        rows.next().unwrap();
        for _ in 0..9 {
            writer.append(&records("records", 9, 1_000_000)).unwrap();
        }
        assert!(size() > 64 << 20);
    }
    // Beyond the next 64 MiB it is tried again, and nobody is in the way.
    for _ in 0..9 {
        writer.append(&records("records", 9, 1_000_000)).unwrap();
    }
    assert!(size() <= 64 << 20, "{}", size());
}

#[test]
fn a_file_of_a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let file = rusqlite::Connection::open(dir.path().join(store::FILE)).unwrap();
    file.pragma_update(None, "user_version", 9).unwrap();
    drop(file);
    let refused = LocalLog::open(dir.path()).err().unwrap().to_string();
    assert!(refused.contains("has format 9"), "{refused}");
}

#[test]
fn a_missing_row_is_damage_and_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut writer = log.writer("writer").unwrap();
    for _ in 0..4 {
        writer.append(&records("records", 2, 100)).unwrap();
    }
    let lose = |store: &mut store::Store| {
        let text = "DELETE FROM batches WHERE id & 0xffffffffff = 4";
        Ok(store.connection().execute(text, [])?)
    };
    assert_eq!(log.shared.submit(0, lose), Ok(1));
    let mut reader = log.reader().unwrap();
    let mut fetch = |from| {
        let mut got = Batch::new();
        let limit = FetchLimit::default();
        reader
            .fetch(&Partition::new("records", 0), from, limit, &mut got)
            .map(|()| got.offsets().to_vec())
    };
    assert_eq!(fetch(1), Ok(vec![1, 2, 3]));
    for from in [4, 5] {
        let damaged = format!("records/0 at offset {from}");
        assert_eq!(fetch(from), Err(LogError::Damaged(damaged)));
    }
    assert_eq!(fetch(6), Ok(vec![6, 7]));
}

#[test]
fn a_worker_killed_and_back_gets_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    // What a killed worker leaves behind: its lease, and a lock file that nobody holds.
    let leave = |store: &mut store::Store| {
        let text = "INSERT INTO tasks VALUES ('room/task/0', 'same', 7, 0, NULL)";
        Ok(store.connection().execute(text, [])?)
    };
    assert_eq!(log.shared.submit(0, leave), Ok(1));
    std::fs::write(members::folder(dir.path()).join("same.lock"), "").unwrap();
    let mut worker = log.worker("same").unwrap();
    let task = TaskSpec {
        id: TaskId("room/task/0".into()),
        project: "project".into(),
        lead: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    assert_eq!(worker.assign(&[task]).unwrap().gained.len(), 1);
    let epoch = |connection: &rusqlite::Connection| {
        Ok(connection.query_row("SELECT epoch FROM tasks", [], |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(log.shared.look_up(epoch), Ok(8));
}

/// No kill shows what a power cut would: the settings are the promise.
#[test]
fn every_commit_is_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = |store: &mut store::Store| {
        let pragma = |name| {
            store
                .connection()
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        Ok((pragma("synchronous")?, pragma("journal_mode")?))
    };
    let found = open(dir.path()).shared.submit(0, settings).unwrap();
    assert_eq!(found, (2.into(), "wal".to_owned().into()));
}
