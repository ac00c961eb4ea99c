//! Topics that forget: what is copied of them, how tasks are rebuilt, and what an audit says.

use mainstem_kernel::Partition;
use mainstem_schemas::EventId;

use crate::world::{World, record};

const PROJECT: &str = "
project: shop
partitions: 2
sources:
  clicks:
    topic: {name: web.clicks, format: json}
    fields: {user: string, price: double}
    entity: {column: user}
    time: {record: timestamp}
views:
  v: {features: {price: price}}
";

/// Clicks of users of their own.
fn clicks(world: &World, partition: u32, numbers: std::ops::Range<u32>) {
    let values: Vec<String> = numbers
        .map(|n| format!(r#"{{"user":"u{partition}-{n}","price":{n}}}"#))
        .collect();
    let records: Vec<_> = values.iter().map(|value| record("k", value)).collect();
    world.write(partition, &records);
}

fn forget(world: &World, partition: u32, before: u64) {
    let at = Partition::new("web.clicks", partition);
    world.store.log.truncate(&at, before).unwrap();
    let range = world.store.log.reader().unwrap().range(&at).unwrap();
    assert_eq!(range.start, before);
}

#[test]
fn a_topic_is_copied_from_the_first_record_that_it_keeps() {
    let world = World::new();
    clicks(&world, 0, 0..7);
    clicks(&world, 0, 7..10);
    clicks(&world, 1, 0..5);
    forget(&world, 0, 7);
    forget(&world, 1, 5);
    world.apply(PROJECT).unwrap();
    world.run();
    let number = world.store.project().unwrap().sources["clicks"].number;
    let mut ids: Vec<EventId> = world
        .arrived("shop.arrivals.clicks")
        .iter()
        .map(|a| a.id)
        .collect();
    ids.sort();
    let wanted: Vec<EventId> = (7..10)
        .map(|offset| EventId::foreign(number, 0, offset))
        .collect();
    assert_eq!(ids, wanted);
    let report = world.audit();
    assert!(report.is_clean() && report.horizons.is_empty(), "{report}");
}

#[test]
fn what_was_copied_and_then_forgotten_is_no_damage_and_the_tasks_go_on() {
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
    // New workers: the tasks are rebuilt without what the topic has forgotten.
    clicks(&world, 0, 20..30);
    clicks(&world, 1, 10..20);
    world.run();
    assert_eq!(world.arrived("shop.arrivals.clicks").len(), 50);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    let horizons: Vec<String> = report.horizons.iter().map(ToString::to_string).collect();
    assert_eq!(
        horizons,
        [
            "arrivals.clicks: copied from web.clicks/0, whose first kept record is offset 10: what it has forgotten is taken as it was copied (1 turns compared with their digests)"
        ]
    );
    assert_eq!(report.sealed_events, 10);
    assert_eq!(report.unfolded, []);
}

#[test]
fn records_that_were_forgotten_before_they_were_copied_stop_the_task_by_name() {
    let world = World::new();
    world.apply(PROJECT).unwrap();
    clicks(&world, 0, 0..10);
    world.run();
    clicks(&world, 0, 10..15);
    clicks(&world, 0, 15..20);
    forget(&world, 0, 15);
    world.stops_for([
        "copy/clicks/0",
        "web.clicks/0",
        "from offset 10 to 15",
        "a new source",
    ]);
    assert_eq!(world.arrived("shop.arrivals.clicks").len(), 10);
}
