//! A finished life is sound; a byte that is changed in any topic of it, or in any blob, is found and placed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use mainstem_host::Store;
use mainstem_host::auditor::{Finding, Parts, Place, Report, verify};
use mainstem_host::blobs::DirBlobs;
use mainstem_kernel::{Partition, TopicSpec};
use mainstem_rooms::machines::machine;
use mainstem_rooms::topology::topics_of;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Catalog, Digest, RecordRef};
use tempfile::TempDir;

use crate::life::{Keeping, life};
use crate::log::{File, Row};

/// Topics to which nothing that this version does writes.
const EMPTY: [&str; 3] = ["requests.drift", "requests.registry", "requests.trainer"];

const FACTS: [&str; 9] = [
    "arrivals.orders",
    "clock",
    "definitions",
    "outcomes",
    "rejects.orders",
    "requests.rollout",
    "requests.sources",
    "requests.trigger",
    "schemas",
];

const DERIVED: [&str; 12] = [
    "arrivals.visits",
    "deployments",
    "drift",
    "features.orders",
    "labelled.late",
    "models",
    "performance",
    "predictions.late",
    "profiles",
    "quarantine",
    "runs",
    "triggers",
];

const CHAIN: [&str; 2] = ["snapshots", "turns"];

fn audit(dir: &Path) -> Report {
    static KEEPING: LazyLock<Keeping> = LazyLock::new(|| Keeping::new(life()));
    let store = Store::open(dir).unwrap();
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &*KEEPING,
        factory: &machine,
        project: &life().project,
    };
    verify(&parts, &mut |_| {}).unwrap()
}

/// A copy of the life, to be damaged.
fn copy() -> TempDir {
    fn copy_dir(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, name) = entry
                .map(|entry| (entry.path(), entry.file_name()))
                .unwrap();
            match from.is_dir() {
                true => copy_dir(&from, &to.join(name)),
                false => drop(fs::copy(&from, to.join(name)).unwrap()),
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&life().dir, dir.path());
    dir
}

/// A record with a changed byte.
struct Changed {
    partition: Partition,
    offset: u64,
    row: Row,
    /// The field of the value that is then another, where the value can be read.
    field: Option<String>,
}

/// Changes the last byte of a record that leaves an event of the same type. A record that is no event is changed near its
/// end.
fn change(partition: &Partition, row: &Row, nth: usize, catalog: &Catalog) -> Changed {
    let batch = row.batch();
    let record = batch.get(nth).unwrap();
    let value = record.value.unwrap();
    // Key and value stand first in a frame, each after its length.
    let before = batch.frames(0..nth).len();
    let start = row.bytes().start + before + 4 + record.key.map_or(0, <[u8]>::len) + 4;
    let other = |at: usize| {
        let mut other = value.to_vec();
        other[at] ^= 0x01;
        let (one, other) = (
            Event::decode(catalog, value).ok()?,
            Event::decode(catalog, &other).ok()?,
        );
        let (one, other) = (one.to_json(), other.to_json());
        let fields = one.as_object()?.iter();
        let mut differ = fields.filter(|(name, value)| other.get(name) != Some(value));
        let (field, more) = (differ.next()?.0.clone(), differ.next());
        more.is_none().then_some((at, Some(field)))
    };
    let found = (0..value.len()).rev().find_map(other);
    let (at, field) = found.unwrap_or((value.len() - 2, None));
    Changed {
        partition: partition.clone(),
        offset: record.offset,
        row: row.flipped(start + at),
        field,
    }
}

/// The topics of the life by their names without the project; whether they are empty.
fn topics(empty: bool) -> BTreeSet<String> {
    let mut reader = life().store.log.reader().unwrap();
    let all = topics_of(&life().project).into_iter();
    let mine = all.filter(|topic| {
        let mut partitions = (0..topic.partitions).map(|k| Partition::new(&topic.name, k));
        partitions.all(|partition| reader.range(&partition).unwrap().is_empty()) == empty
    });
    let name = |topic: TopicSpec| topic.name.strip_prefix("shop.").unwrap().to_owned();
    mine.map(name).collect()
}

/// Changes a byte in each partition of these topics; hands over what was changed, and what an audit finds then.
fn damage(names: &[&str], judge: impl Fn(&Changed, &Report) + Sync) {
    let catalog = life().store.catalog("shop").unwrap();
    let mut reader = life().store.log.reader().unwrap();
    let all = topics_of(&life().project).into_iter();
    let mine = all.filter(|topic| names.contains(&topic.name.strip_prefix("shop.").unwrap()));
    let partitions = mine
        .flat_map(|topic| (0..topic.partitions).map(move |k| Partition::new(&topic.name, k)))
        .filter(|partition| !reader.range(partition).unwrap().is_empty());
    let waiting: Mutex<Vec<Partition>> = Mutex::new(partitions.collect());
    let damage = || {
        let dir = copy();
        let file = File::open(dir.path());
        loop {
            let Some(partition) = waiting.lock().unwrap().pop() else {
                return;
            };
            let mut rows = file.rows(&partition);
            let row = rows.swap_remove(rows.len() / 2);
            let changed = change(&partition, &row, row.batch().len() / 2, &catalog);
            file.put(&changed.row, true);
            judge(&changed, &audit(dir.path()));
            file.put(&row, true);
        }
    };
    std::thread::scope(|scope| {
        [0, 1]
            .map(|_| scope.spawn(damage))
            .map(|done| done.join().unwrap())
    });
}

#[test]
fn a_life_is_sound_and_every_topic_of_it_is_damaged_here_or_empty() {
    let report = audit(&life().dir);
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (report.sealed_events, report.unjudged_events),
        (0, 0),
        "{report}"
    );
    assert_eq!((report.unfolded, report.uncovered), (vec![], vec![]));
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(topics(true), named(&EMPTY));
    assert_eq!(
        topics(false),
        named(&[&FACTS[..], &DERIVED, &CHAIN].concat())
    );
}

#[test]
fn a_changed_fact_is_placed_to_its_block() {
    damage(&FACTS, |changed, report| {
        assert!(!report.is_clean(), "{}", changed.partition);
        for finding in &report.findings {
            let (partition, offsets) = match finding {
                Finding::InputDamaged {
                    partition,
                    offset,
                    next,
                    ..
                } => (partition, *offset..*next),
                Finding::Unreadable { at, next, .. } => (&at.partition, at.offset..*next),
                other => panic!("{other}"),
            };
            assert_eq!(partition, &changed.partition, "{report}");
            assert!(
                offsets.contains(&changed.offset) && offsets.end - offsets.start <= 64,
                "{report}"
            );
        }
    });
}

#[test]
fn a_changed_derived_event_is_placed_to_its_field() {
    damage(&DERIVED, |changed, report| {
        let [Finding::OutputDiffers { at, field, .. }] = &report.findings[..] else {
            panic!("{}: {report}", changed.partition)
        };
        assert_eq!(*at, Place::new(&changed.partition, changed.offset));
        // The features of a view and the copies of a topic are of the user's own schema; the last field is a number.
        let copied = changed.partition.topic.contains(".arrivals.");
        let last = if copied { "seconds" } else { "x_change" };
        let expected = changed.field.as_deref().unwrap_or(last);
        assert_eq!(field.split(['.', '[']).next(), Some(expected), "{report}");
    });
}

#[test]
fn a_changed_answer_of_a_door_is_placed_to_its_field() {
    let catalog = life().store.catalog("shop").unwrap();
    let dir = copy();
    let file = File::open(dir.path());
    let answers = |batch: &Batch| {
        let event = |record: RecordRef<'_>| Event::decode(&catalog, record.value.unwrap()).unwrap();
        let door = |event| matches!(event, Event::PredictionMade(made) if made.inputs.is_some());
        batch.iter().position(|record| door(event(record)))
    };
    let partitions = [0, 1].map(|k| Partition::new("shop.predictions.late", k));
    let rows = |partition: &Partition| {
        let rows = file.rows(partition).into_iter();
        let found = rows.filter_map(|row| Some((answers(&row.batch())?, row)));
        found
            .map(|(nth, row)| (partition.clone(), nth, row))
            .collect::<Vec<_>>()
    };
    let (partition, nth, row) = partitions.iter().flat_map(rows).next().unwrap();
    assert!(row.batch().len() > 1, "two rows were asked about");
    let changed = change(&partition, &row, nth, &catalog);
    file.put(&changed.row, true);
    let report = audit(dir.path());
    let [Finding::OutputDiffers { at, field, .. }] = &report.findings[..] else {
        panic!("{report}")
    };
    assert_eq!(*at, Place::new(&partition, changed.offset));
    assert_eq!(Some(field.as_str()), changed.field.as_deref(), "{report}");
}

#[test]
fn a_changed_turn_or_snapshot_is_placed() {
    damage(&CHAIN, |changed, report| {
        let at = match &report.findings[..] {
            [Finding::TurnDamaged { at, .. } | Finding::SnapshotDiffers { at, .. }] => at,
            _ => panic!("{}: {report}", changed.partition),
        };
        assert_eq!(*at, Place::new(&changed.partition, changed.offset));
    });
}

#[test]
fn every_changed_blob_is_found_by_its_digest() {
    let dir = copy();
    let blobs = DirBlobs::open(&dir.path().join("blobs")).unwrap();
    let all: BTreeSet<Digest> = blobs.all().unwrap().into_iter().collect();
    for digest in &all {
        let mut bytes = fs::read(blobs.path(digest)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x01;
        fs::write(blobs.path(digest), bytes).unwrap();
    }
    let report = audit(dir.path());
    let found = |finding: &Finding| match finding {
        Finding::BlobDamaged { digest, named, .. } => {
            assert!(named.contains(" at shop."), "{named}");
            Some(*digest)
        }
        _ => None,
    };
    let found: BTreeSet<Digest> = report.findings.iter().filter_map(found).collect();
    assert_eq!(found, all, "{report}");
}

/// What a topic of others has forgotten cannot be computed again, but the turns that copied it still say what they wrote.
#[test]
fn a_changed_copy_is_found_though_its_topic_has_forgotten_the_record() {
    let catalog = life().store.catalog("shop").unwrap();
    let dir = copy();
    let forget = |partition: u32| {
        let visits = Partition::new("web.visits", partition);
        let store = Store::open(dir.path()).unwrap();
        let end = store.log.reader().unwrap().range(&visits).unwrap().end;
        store.log.truncate(&visits, end).unwrap();
    };
    forget(0);
    forget(1);
    let sound = audit(dir.path());
    assert!(sound.is_clean(), "{sound}");
    assert_eq!(sound.horizons.len(), 2, "{sound}");
    assert!(sound.sealed_events > 0, "{sound}");

    let file = File::open(dir.path());
    let arrivals = Partition::new("shop.arrivals.visits", 0);
    let row = file.rows(&arrivals).swap_remove(0);
    let changed = change(&arrivals, &row, 0, &catalog);
    file.put(&changed.row, true);
    let report = audit(dir.path());
    let [Finding::OutputDiffers { at, field, .. }] = &report.findings[..] else {
        panic!("{report}")
    };
    assert_eq!(at.partition, arrivals);
    assert!(field.starts_with("the digest of"), "{field}");
}

#[test]
fn a_changed_record_of_anothers_topic_is_placed_to_its_block() {
    let catalog = life().store.catalog("shop").unwrap();
    let dir = copy();
    let file = File::open(dir.path());
    let visits = Partition::new("web.visits", 1);
    let mut rows = file.rows(&visits);
    let row = rows.swap_remove(rows.len() / 2);
    let changed = change(&visits, &row, 0, &catalog);
    file.put(&changed.row, true);
    let report = audit(dir.path());
    let [
        Finding::InputDamaged {
            partition,
            offset,
            next,
            ..
        },
    ] = &report.findings[..]
    else {
        panic!("{report}")
    };
    assert_eq!(*partition, visits);
    assert!((*offset..*next).contains(&changed.offset), "{report}");
}
