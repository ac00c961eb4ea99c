mod fixture;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mainstem_kernel::log::{LogError, Partition};
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_kernel::worker::Actuator;
use mainstem_log_local::LocalLog;
use mainstem_rooms::drift::ReferenceProfile;
use mainstem_rooms::training::Request;
use mainstem_schemas::definition::Baseline;
use mainstem_schemas::events::{DatasetBuilt, EffectFailed, Event, TrainingCompleted};
use mainstem_schemas::{Digest, Envelope, EventId, Millis};

use super::parquet;
use super::rows::Rows;
use crate::blobs::DirBlobs;
use crate::unruly::Unruly;
use fixture::{Fixture, Row, effect, project, rows, task, train, wait};

fn memory(partitions: u32) -> Fixture {
    Fixture::new(Arc::new(MemoryLog::new()), project(partitions))
}

fn store() -> (tempfile::TempDir, Arc<DirBlobs>) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(DirBlobs::open(&dir.path().join("blobs")).unwrap());
    (dir, blobs)
}

fn built(event: Event) -> DatasetBuilt {
    let Event::DatasetBuilt(built) = event else {
        panic!("{event:?}")
    };
    built
}

fn completed(event: Event) -> TrainingCompleted {
    let Event::TrainingCompleted(completed) = event else {
        panic!("{event:?}")
    };
    completed
}

fn failed(event: Event) -> EffectFailed {
    let Event::EffectFailed(failed) = event else {
        panic!("{event:?}")
    };
    failed
}

fn rows_of(blobs: &dyn Blobs, built: &DatasetBuilt) -> Rows {
    let rows = parquet::read(blobs.get(&built.parquet).unwrap()).unwrap();
    assert_eq!(
        (rows.content(), rows.len() as i64),
        (built.content, built.rows)
    );
    assert_eq!(
        (rows.times.first(), rows.times.last()),
        (Some(&built.from), Some(&built.to))
    );
    rows
}

/// The store refuses or panics while told to.
struct Trouble {
    blobs: Arc<DirBlobs>,
    refuses: AtomicBool,
    panics: AtomicBool,
}

impl Blobs for Trouble {
    fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a planted panic");
        if self.refuses.load(Ordering::SeqCst) {
            Err(BlobError::Store("the disk is full".into()))
        } else {
            self.blobs.put(bytes)
        }
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, BlobError> {
        self.blobs.get(digest)
    }

    fn check(&self) -> Result<(), BlobError> {
        self.blobs.check()
    }
}

#[test]
fn the_same_rows_are_the_same_data_set_and_model_on_any_log_in_any_store() {
    let log = tempfile::tempdir().unwrap();
    let on_disk = Fixture::new(Arc::new(LocalLog::open(log.path()).unwrap()), project(1));
    let spread = memory(4);
    on_disk.publish(&rows(800));
    rows(800).chunks(90).for_each(|part| spread.publish(part));
    let made = [on_disk, spread].map(|fixture| {
        let (_dir, blobs) = store();
        let mut actuator = fixture.actuator(blobs.clone());
        let dataset = built(fixture.perform(&mut actuator, 1, &fixture.dataset(400_000, 500)));
        assert_eq!(rows_of(blobs.as_ref(), &dataset).len(), 500);
        assert_eq!(
            dataset.observed_positions.len() as u32,
            2 * fixture.project.partitions
        );
        let profile = ReferenceProfile::from_bytes(&blobs.get(&dataset.profile).unwrap()).unwrap();
        assert_eq!(
            (profile.rows(), profile.columns()[0].name.as_str()),
            (500, "x")
        );
        let request = train(dataset.parquet, &[("iterations", 20.0)]);
        let model = completed(fixture.perform(&mut actuator, 2, &request));
        let dataset = DatasetBuilt {
            observed_positions: Vec::new(),
            ..dataset
        };
        (
            dataset,
            TrainingCompleted {
                observed_seconds: 0.0,
                ..model
            },
            blobs.all().unwrap(),
        )
    });
    assert_eq!(made[0], made[1]);
    let model = &made[0].1;
    assert_eq!(model.validation_rows, 100);
    assert!(
        model.validation_correct > model.majority_correct + 10,
        "{model:?}"
    );
    assert_eq!(
        (model.parameters.len(), model.trainer.as_str()),
        (10, mainstem_models::TRAINER)
    );
}

#[test]
fn no_row_and_no_label_is_later_than_the_data_are_as_of() {
    let (fixture, (_dir, blobs)) = (memory(2), store());
    let mut actuator = fixture.actuator(blobs.clone());
    fixture.publish(&rows(300));
    let before = built(fixture.perform(&mut actuator, 1, &fixture.dataset(100_000, 1_000)));
    // The label of 98 s came at 99 s; that of 99 s comes at 100 s, which is too late.
    assert_eq!(
        (before.from, before.to, before.rows),
        (Millis(0), Millis(98_000), 198)
    );
    let later: Vec<Row> = rows(700).split_off(300);
    fixture.publish(&later);
    let after = built(fixture.perform(&mut actuator, 1, &fixture.dataset(100_000, 1_000)));
    assert_eq!(
        (after.content, after.parquet, after.profile),
        (before.content, before.parquet, before.profile)
    );
    let next = built(fixture.perform(&mut actuator, 1, &fixture.dataset(100_001, 1_000)));
    assert_eq!((next.to, next.rows), (Millis(99_000), 200));
}

#[test]
fn a_label_that_came_again_counts_as_it_came_last_and_a_missing_one_is_none() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    let mut actuator = fixture.actuator(blobs.clone());
    let row = |second: i64, up| Row {
        entity: "a".into(),
        time: 1_000 * second,
        x: None,
        up,
    };
    fixture.publish(&[
        row(0, Some(0.0)),
        row(1, Some(0.0)),
        row(2, None),
        row(3, Some(1.0)),
        row(4, Some(7.0)),
    ]);
    fixture.arrive(&[row(1, Some(1.0))]);
    let rows = rows_of(
        blobs.as_ref(),
        &built(fixture.perform(&mut actuator, 1, &fixture.dataset(9_000, 10))),
    );
    assert_eq!(
        (rows.times, rows.labels),
        (vec![Millis(0), Millis(2_000)], vec![1, 1])
    );
    assert!(rows.values[0].is_nan());
}

#[test]
fn labels_far_back_are_found_in_another_pass() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    let mut actuator = fixture.actuator(blobs.clone());
    let mut rows = rows(6_000);
    rows[200..].iter_mut().for_each(|row| row.up = None);
    fixture.publish(&rows);
    let dataset = built(fixture.perform(&mut actuator, 1, &fixture.dataset(9_000_000, 50)));
    assert_eq!(
        (dataset.rows, dataset.from, dataset.to),
        (50, Millis(74_000), Millis(98_000))
    );
}

#[test]
fn too_few_rows_fail_for_good_and_say_so() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    let mut actuator = fixture.actuator(blobs.clone());
    let nothing = failed(fixture.perform(&mut actuator, 1, &fixture.dataset(9_000, 10)));
    assert!(
        nothing.reason.contains("no row of the view v") && !nothing.retriable,
        "{nothing:?}"
    );
    fixture.publish(&rows(4));
    let few = built(fixture.perform(&mut actuator, 2, &fixture.dataset(9_000, 10)));
    assert_eq!(few.rows, 2);
    let failure = failed(fixture.perform(&mut actuator, 3, &train(few.parquet, &[])));
    assert!(
        failure.reason.contains("2 labelled rows") && !failure.retriable,
        "{failure:?}"
    );
}

#[test]
fn a_store_that_fails_may_be_mended_and_a_panic_fails_the_effect_alone() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    let (refuses, panics) = (AtomicBool::new(true), AtomicBool::new(false));
    let trouble = Arc::new(Trouble {
        blobs,
        refuses,
        panics,
    });
    let mut actuator = fixture.actuator(trouble.clone());
    fixture.publish(&rows(100));
    let failure = failed(fixture.perform(&mut actuator, 1, &fixture.dataset(9_000, 10)));
    assert!(
        failure.retriable && failure.reason == "the disk is full",
        "{failure:?}"
    );
    let missing = failed(fixture.perform(&mut actuator, 2, &train(Digest::of(b"nowhere"), &[])));
    assert!(missing.retriable, "{missing:?}");
    trouble.panics.store(true, Ordering::SeqCst);
    let panicked = failed(fixture.perform(&mut actuator, 3, &fixture.dataset(9_000, 10)));
    assert!(
        !panicked.retriable && panicked.reason.contains("a planted panic"),
        "{panicked:?}"
    );
    trouble.panics.store(false, Ordering::SeqCst);
    trouble.refuses.store(false, Ordering::SeqCst);
    built(fixture.perform(&mut actuator, 3, &fixture.dataset(9_000, 10)));
}

/// A broker whose disk is full, and that restarts: the same attempt goes on, and nobody hears of a failure that no
/// undisturbed run has.
#[test]
fn a_log_that_is_away_for_a_while_fails_no_attempt() {
    let (mut fixture, (_dir, blobs)) = (memory(1), store());
    fixture.publish(&rows(100));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let away = Unruly::new(Arc::clone(&fixture.log)).before_reader(move || {
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err(LogError::ReadOnly("the broker's log directory".into())),
            1 => Err(LogError::Other("all brokers are down".into())),
            2 => Err(LogError::UnknownTopic(Partition::new("p.arrivals.s", 0))),
            _ => Ok(()),
        }
    });
    let log = std::mem::replace(&mut fixture.log, Arc::new(away));
    let mut actuator = fixture.actuator(blobs);
    fixture.log = log;
    built(fixture.perform(&mut actuator, 1, &fixture.dataset(9_000, 10)));
    assert!(asked.load(Ordering::SeqCst) > 3);
}

#[test]
fn an_effect_under_way_is_left_alone_and_one_done_comes_out_equal() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    fixture.tick(400_000);
    fixture.publish(&rows(800));
    let mut actuator = fixture.actuator(blobs);
    let asked = effect(5, &fixture.dataset(400_000, 500));
    for _ in 0..10 {
        actuator.perform(&task(), &asked);
    }
    let mut first = wait(&mut actuator);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(first.len() == 1 && actuator.outcomes().is_empty());
    actuator.perform(&task(), &asked);
    assert_eq!(wait(&mut actuator)[0].records, first[0].records);

    let outcome = first.remove(0);
    assert_eq!(
        (outcome.task, outcome.effect, outcome.attempt),
        (task(), asked.id, 1)
    );
    let (partition, batch) = &outcome.records[0];
    let record = batch.get(0).unwrap();
    assert_eq!(
        (partition.to_string(), record.key),
        ("p.outcomes/0".into(), Some(&b"m"[..]))
    );
    let expected = Envelope {
        id: EventId::named("outcome", &[&asked.id.0[..], &1u32.to_le_bytes()].concat()),
        kind: "DatasetBuilt".into(),
        source: "trainer".into(),
        time: Millis(400_000),
        correlation: Some(EventId::row(9, 9, 9)),
        causation: Some(asked.id),
        attempt: Some(1),
        ..Envelope::default()
    };
    assert_eq!(Envelope::read(&record), expected);
}

#[test]
fn a_baseline_is_a_model_of_the_feature_that_it_names() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    let mut actuator = fixture.actuator(blobs.clone());
    let request = |feature: &str| Request::BuildBaseline {
        project: "p".into(),
        model: "m".into(),
        features: fixture::FEATURES.map(str::to_owned).to_vec(),
        baseline: Baseline::Persistence(feature.into()),
    };
    let event = fixture.perform(&mut actuator, 1, &request("up"));
    let Event::BaselineBuilt(built) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        blobs.get(&built.onnx).unwrap()[..],
        mainstem_models::persistence(3, 2)
    );
    let failure = failed(fixture.perform(&mut actuator, 2, &request("down")));
    assert!(
        failure.reason.contains("down") && !failure.retriable,
        "{failure:?}"
    );
}

#[test]
fn what_is_asked_wrongly_fails_for_good() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    let mut actuator = fixture.actuator(blobs);
    let mut unknown = effect(1, &fixture.dataset(0, 1));
    unknown.request = r#"{"do": "something_newer"}"#.into();
    actuator.perform(&task(), &unknown);
    let failure = failed(fixture.read(&wait(&mut actuator)[0]));
    assert!(
        failure.model == "m" && failure.reason.contains("something_newer"),
        "{failure:?}"
    );
    fixture.publish(&rows(100));
    let dataset = built(fixture.perform(&mut actuator, 2, &fixture.dataset(40_000, 50)));
    let failure =
        failed(fixture.perform(&mut actuator, 3, &train(dataset.parquet, &[("depth", 4.0)])));
    assert!(
        failure.reason.contains("parameter depth is unknown") && !failure.retriable,
        "{failure:?}"
    );
}

#[test]
fn stopping_drops_what_waits() {
    let (fixture, (_dir, blobs)) = (memory(1), store());
    fixture.publish(&rows(2_000));
    let mut actuator = fixture.actuator(blobs);
    for name in 0..50 {
        actuator.perform(&task(), &effect(name, &fixture.dataset(900_000, 1_500)));
    }
    let begun = std::time::Instant::now();
    drop(actuator);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}
