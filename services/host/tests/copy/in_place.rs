//! Topics that are read in place: what follows is what follows of a copy, and an audit says how far back it can say so.

use std::collections::BTreeSet;

use mainstem_host::apply::ApplyError;
use mainstem_host::auditor::{Asked, Parts, explain};
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::Partition;
use mainstem_rooms::machines::machine;
use mainstem_schemas::EventId;
use mainstem_schemas::partition::partition_of;

use crate::twins::{LIVED, Twins};
use crate::world::{World, record};

const PROJECT: &str = "
project: shop
partitions: 2
sources:
  clicks:
    topic: {name: web.clicks, format: json, read: in_place, horizon: 1d}
    fields: {price: double}
    entity: {key: text}
    time: {record: timestamp}
views:
  v: {features: {price: price, mean: {mean: price, last: 3}}}
";

/// The same of both twins; and there is something to compare.
pub fn are_alike(twins: &Twins) {
    let rows = twins.rows("copied");
    assert!(rows.len() > 100, "{}", rows.len());
    assert_eq!(twins.rows("placed"), rows);
    let partitions: BTreeSet<u32> = rows.iter().map(|(index, ..)| *index).collect();
    assert_eq!(partitions, BTreeSet::from([0, 1]));
    for (topic, partitions) in [
        ("profiles", 1),
        ("drift", 1),
        ("outcomes", 1),
        ("predictions.X", 2),
        ("labelled.X", 2),
    ] {
        let said = |of: &str| twins.said(&topic.replace('X', of), partitions, of);
        let copied = said("copied");
        assert!(!copied.is_empty(), "{topic}");
        let placed = said("placed");
        assert_eq!(placed.len(), copied.len(), "{topic}");
        let differ = placed.iter().zip(&copied).find(|(one, other)| one != other);
        assert_eq!(differ, None, "{topic}");
    }
    let detected = twins.said("drift", 1, "placed");
    let detected = detected.iter().filter(|e| e["kind"] == "DriftDetected");
    let subjects: Vec<_> = detected.map(|e| e["subject"].clone()).collect();
    for subject in ["arrivals", "features"] {
        assert!(
            subjects.iter().any(|known| known == subject),
            "{subjects:?}"
        );
    }
}

#[test]
fn features_drift_trainings_and_predictions_are_those_of_a_copy() {
    let twins = Twins::new(World::new(), "shop", "web.clicks");
    twins.live(0..LIVED);
    are_alike(&twins);
    let topics = twins.world.store.log.topics().unwrap();
    let named = |name: &str| topics.iter().any(|topic| topic.name == name);
    assert!(named("shop.arrivals.copied") && !named("shop.arrivals.placed"));
    let report = twins.world.audit();
    assert!(report.is_clean() && report.horizons.is_empty(), "{report}");
    assert_eq!((report.sealed_events, report.unfolded.len()), (0, 0));
    explained(&twins);
}

/// An explanation leads to the record in the topic of others, until that is gone.
fn explained(twins: &Twins) {
    let store = &twins.world.store;
    let resolver = StoreResolver::new(store.blobs.clone());
    let project = store.project().unwrap();
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project: &project,
    };
    let number = project.sources["placed"].number;
    // The last of that partition is a row.
    let (partition, at) = (1, twins.partition(1));
    let last = store.log.reader().unwrap().range(&at).unwrap().end - 1;
    let id = EventId::foreign(number, partition, last).to_string();
    let asked = Asked {
        id: &id,
        version: None,
        role: None,
    };
    let told = || explain(&parts, &asked).unwrap().to_string();
    let there = told();
    for part in [
        &format!("at web.clicks/1 offset {last}"),
        "lane = fast",
        "x = ",
    ] {
        assert!(there.contains(part), "{there}");
    }
    store.log.truncate(&at, last + 1).unwrap();
    let gone = told();
    assert!(
        gone.contains("web.clicks of placed, which is read in place, has no record"),
        "{gone}"
    );
}

/// An entity of each partition.
fn entity(partition: u32) -> String {
    let mut names = (0..).map(|n| format!("u{n}"));
    names
        .find(|name| partition_of(name.as_bytes(), 2) == partition)
        .unwrap()
}

/// Clicks of one entity of the partition, of some milliseconds each, so that each is newer than the one before it.
fn clicks(world: &World, partition: u32, numbers: std::ops::Range<u32>) {
    let entity = entity(partition);
    for n in numbers {
        let value = format!(r#"{{"price":{n}}}"#);
        world.write(partition, &[record(&entity, &value)]);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn forget(world: &World, partition: u32, before: u64) {
    let at = Partition::new("web.clicks", partition);
    world.store.log.truncate(&at, before).unwrap();
}

#[test]
fn a_record_in_the_partition_of_another_key_is_refused_by_name() {
    let world = World::new();
    world.apply(PROJECT).unwrap();
    clicks(&world, 0, 0..2);
    let astray = entity(1);
    world.write(0, &[record(&astray, r#"{"price":7}"#)]);
    clicks(&world, 0, 2..3);
    world.run();
    let quarantined = world.quarantined();
    assert_eq!(quarantined.len(), 1);
    let (topic, offset) = (&quarantined[0].topic, quarantined[0].observed_offset);
    assert_eq!((topic.as_str(), offset), ("web.clicks", 2));
    assert_eq!(quarantined[0].value, br#"{"price":7}"#);
    for part in ["lies in partition 0", "gives 1", "read: copy"] {
        assert!(quarantined[0].reason.contains(part), "{quarantined:?}");
    }
    assert_eq!(world.count("shop.features.v"), 3);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn another_number_of_partitions_is_refused_with_the_remedies() {
    let world = World::new();
    let refused = world.apply(&PROJECT.replace("partitions: 2", "partitions: 3"));
    let told = refused.unwrap_err();
    assert!(matches!(told, ApplyError::Counts { .. }), "{told}");
    for part in [
        "web.clicks in place, which has 2 partitions",
        "project has 3",
        "read: copy",
        "partitions: 2",
    ] {
        assert!(told.to_string().contains(part), "{told}");
    }
    assert!(world.store.definitions().unwrap().is_empty());
    world.apply(PROJECT).unwrap();
    // What was read in place cannot be copied from then on.
    let copied = PROJECT.replace("read: in_place, horizon: 1d", "read: copy");
    let told = world.apply(&copied).unwrap_err().to_string();
    assert!(
        told.contains("how the topic of the source clicks is read"),
        "{told}"
    );
    world
        .apply(&PROJECT.replace("horizon: 1d", "horizon: 2d"))
        .unwrap();
}

#[test]
fn what_was_forgotten_within_the_horizon_is_damage_and_what_follows_is_compared_with_digests() {
    let world = World::new();
    world.apply(PROJECT).unwrap();
    clicks(&world, 0, 0..10);
    clicks(&world, 1, 0..10);
    world.run();
    clicks(&world, 0, 10..20);
    world.run();
    let before = world.audit();
    assert!(before.is_clean() && before.horizons.is_empty(), "{before}");
    forget(&world, 0, 10);
    let report = world.audit();
    let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "{report}");
    for part in [
        "forgotten too soon: web.clicks/0 has no record before offset 10",
        "the definition states 1d before",
    ] {
        assert!(found[0].contains(part), "{report}");
    }
    let horizon = &report.horizons[0];
    let beyond = horizon.in_place.unwrap();
    assert_eq!(
        (horizon.task.as_str(), horizon.kept),
        ("features/v/0", Some(10))
    );
    assert_eq!(beyond.stated, "1d".parse().unwrap());
    assert!(horizon.turns > 0 && beyond.followed > 0, "{report}");
    // Those that are left follow from those that are gone.
    assert_eq!(report.sealed_events, 20);
    assert_eq!(report.unfolded, []);
}

#[test]
fn a_task_whose_records_are_gone_since_its_last_snapshot_stops_by_name() {
    let world = World::new();
    world.apply(PROJECT).unwrap();
    clicks(&world, 0, 0..10);
    world.run();
    forget(&world, 0, 5);
    clicks(&world, 0, 10..12);
    world.stops_for([
        "features/v/0",
        "web.clicks/0",
        "after the last snapshot",
        "read: copy",
    ]);
}

#[test]
fn what_lies_before_the_horizon_is_counted_and_the_twins_go_on_from_their_snapshots() {
    let twins = Twins::new(World::new(), "shop", "web.clicks");
    twins.live(0..LIVED);
    let log = &twins.world.store.log;
    let ends = [0, 1].map(|index| {
        let at = twins.partition(index);
        log.reader().unwrap().range(&at).unwrap().end
    });
    // Of eight days the first five; the horizon is two.
    for (index, end) in (0..).zip(ends) {
        log.truncate(&twins.partition(index), end * 5 / LIVED as u64)
            .unwrap();
    }
    let report = twins.world.audit();
    assert!(report.is_clean(), "{report}");
    let placed = report.horizons.iter().filter_map(|horizon| {
        let beyond = horizon.in_place?;
        assert_eq!(beyond.stated, "2d".parse().unwrap());
        Some(horizon.task.as_str())
    });
    let mut placed: Vec<&str> = placed.collect();
    placed.sort_unstable();
    let tasks = [
        "features/placed",
        "join/placed",
        "profile_source/watch_placed",
    ];
    let tasks: Vec<String> = tasks
        .iter()
        .flat_map(|task| [0, 1].map(|index| format!("{task}/{index}")))
        .collect();
    assert_eq!(placed, tasks, "{report}");
    assert!(
        report
            .to_string()
            .contains("beyond the horizon of web.clicks (stated: 2d)"),
        "{report}"
    );
    assert_eq!(report.unfolded, []);

    twins.live(LIVED..LIVED + 2);
    are_alike(&twins);
    let report = twins.world.audit();
    assert!(report.is_clean(), "{report}");

    // All that was ever written, young and old.
    for index in [0, 1] {
        log.truncate(&twins.partition(index), u64::MAX >> 1)
            .unwrap();
    }
    let report = twins.world.audit();
    let told = report.to_string();
    assert!(told.contains("forgotten too soon: web.clicks/"), "{told}");
    assert_eq!(report.mismatches, 2, "{told}");
}
