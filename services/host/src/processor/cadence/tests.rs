use std::sync::mpsc::channel;

use mainstem_columns::put::{put_double, put_long};
use mainstem_kernel::Partition;
use mainstem_kernel::pace::Pacer;
use mainstem_rooms::machines::machine;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Millis, wire};
use tempfile::TempDir;

use crate::Store;
use crate::apply::apply;
use crate::auditor::{Parts, verify};
use crate::processor::{Handle, Options, start};
use crate::resolver::StoreResolver;
use crate::store::each_event;

use super::*;

/// Far beyond what any step takes, on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

const PROJECT: &str = "\
project: shop
clock: stream
partitions: 1
sources: {a: {fields: {x: double, at: long}, entity: {constant: all}, time: {column: at}}}
views: {v: {source: a, features: {x: x}}}
";

struct World {
    _dir: TempDir,
    store: Store,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let project = mainstem_project::parse("mainstem.yaml", PROJECT).unwrap();
        apply(&store, &project, "ada", Millis(0)).unwrap();
        let pacer = Pacer::new(store.log.as_ref(), "shop", Vec::new());
        pacer.unwrap().tick(Millis(0)).unwrap();
        World { _dir: dir, store }
    }

    /// Appends so many records at once.
    fn append(&self, count: usize) {
        let schema = self.store.catalog("shop").unwrap();
        let schema = schema.id_of("arrivals.a").unwrap();
        let mut batch = Batch::new();
        for at in 0..count {
            let put = |out: &mut Vec<u8>| {
                wire::put_header(out, schema);
                put_double(out, at as f64);
                put_long(out, 1000);
            };
            batch.push_value(Some(b"all"), put, []);
        }
        let mut writer = self.store.log.writer("test").unwrap();
        let to = Partition::new("shop.arrivals.a", 0);
        writer.append(&[(to, batch)]).unwrap();
    }

    fn start(&self, interval: Option<Duration>, turn: FetchLimit) -> Handle {
        let mut options = Options::new(1, "test".into());
        (options.commit_interval, options.turn) = (interval, turn);
        start(&self.store, &options).unwrap()
    }

    /// Arrivals that each turn of the view took.
    fn taken(&self) -> Vec<i64> {
        let mut reader = self.store.log.reader().unwrap();
        let catalog = self.store.catalog("shop").unwrap();
        let turns = Partition::new("shop.turns", 0);
        let mut taken = Vec::new();
        each_event(reader.as_mut(), &catalog, &turns, |_, event| {
            if let Event::Turn(turn) = event
                && turn.task.starts_with("features/")
            {
                let arrivals = turn
                    .runs
                    .iter()
                    .filter(|run| run.topic.contains("arrivals"));
                taken.push(arrivals.map(|run| run.count).sum());
            }
        })
        .unwrap();
        taken.retain(|count| *count > 0);
        taken
    }

    /// Waits until all turns together took so many.
    fn until(&self, count: i64) -> Vec<i64> {
        let begun = Instant::now();
        loop {
            let taken = self.taken();
            if taken.iter().sum::<i64>() >= count {
                return taken;
            }
            assert!(begun.elapsed() < PATIENCE, "{taken:?} of {count}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn records_that_come_within_the_interval_share_a_turn() {
    let mut interval = Duration::from_secs(1);
    loop {
        let world = World::new();
        world.append(1);
        let begun = Instant::now();
        let workers = world.start(Some(interval), TURN);
        assert_eq!(world.until(1), [1]);
        world.append(1);
        world.append(1);
        // Else the machine stood still, and the interval was over before both were there.
        if begun.elapsed() < interval {
            assert_eq!(world.until(3), [1, 2]);
            workers.stop();
            return;
        }
        workers.stop();
        interval *= 2;
    }
}

#[test]
fn a_worker_on_the_embedded_log_waits_for_nobody() {
    let world = World::new();
    let workers = world.start(None, TURN);
    for count in 1..=10 {
        world.append(1);
        assert_eq!(world.until(count), vec![1; count as usize]);
    }
    workers.stop();
    assert_eq!(interval(&world.store.place), Duration::ZERO);
}

#[test]
fn a_stop_ends_the_wait_and_what_waited_is_taken_by_the_next() {
    let world = World::new();
    world.append(1);
    let workers = world.start(Some(HOUR), TURN);
    assert_eq!(world.until(1), [1]);
    world.append(1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(world.taken(), [1], "the worker did not wait");
    let (done, stopped) = channel();
    std::thread::spawn(move || {
        workers.stop();
        done.send(()).unwrap();
    });
    stopped.recv_timeout(PATIENCE).unwrap();
    let workers = world.start(None, TURN);
    assert_eq!(world.until(2), [1, 1]);
    workers.stop();
}

#[test]
fn a_worker_that_is_behind_does_not_wait() {
    let world = World::new();
    world.append(100);
    let ten = FetchLimit {
        records: 10,
        ..TURN
    };
    let workers = world.start(Some(HOUR), ten);
    assert_eq!(world.until(100), [10; 10]);
    workers.stop();
}

#[test]
fn a_turn_longer_than_any_fetch_of_a_restore_or_an_audit_is_restored_and_audited() {
    let world = World::new();
    let longest = FetchLimit {
        records: 10_000,
        bytes: 64 << 20,
    };
    assert!(longest.records > FetchLimit::default().records);
    world.append(longest.records);
    let all = longest.records as i64;
    let workers = world.start(None, longest);
    assert_eq!(world.until(all), [all]);
    workers.stop();
    world.append(1);
    let workers = world.start(None, longest);
    assert_eq!(world.until(all + 1), [all, 1]);
    workers.stop();
    let (store, project) = (&world.store, world.store.project().unwrap());
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &StoreResolver::new(store.blobs.clone()),
        factory: &machine,
        project: &project,
    };
    let report = verify(&parts, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
}
