//! Avro in the wire format, with a registry.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstem_columns::put::{put_boolean, put_double, put_long, put_null, put_some, put_text};
use mainstem_host::apply::apply_with;
use mainstem_host::outside::{OutsideRegistry, OutsideSchemas};
use mainstem_kernel::Partition;
use mainstem_registry::Ids;
use mainstem_schemas::catalog::MAX_GIVEN;
use mainstem_schemas::registry::{Mode, RegistryFact};
use mainstem_schemas::{Batch, EventId, Millis, wire};

use crate::world::World;

/// What a registry holds, in memory; the real one is asked in the tests on Kafka.
#[derive(Default)]
struct Shelf {
    schemas: Mutex<BTreeMap<u32, String>>,
    asked: AtomicU32,
}

impl OutsideRegistry for Shelf {
    fn place(&self) -> String {
        "http://registry.test".into()
    }

    fn schema(&self, id: u32) -> Result<Option<String>, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.schemas.lock().unwrap().get(&id).cloned())
    }
}

fn project(topic: &str, entity: &str) -> String {
    format!(
        "project: shop\npartitions: 2\nsources:\n  clicks:\n    topic: {{name: web.clicks, format: avro{topic}}}\n    fields: {{user: string, at: long, big: long?, price: double, paid: boolean?}}\n    entity: {entity}\n    time: {{column: at}}\nviews:\n  v: {{features: {{price: price}}}}\n"
    )
}

/// A click with more than the source asks for: nested, and a time in microseconds.
const CLICK: &str = r#"{"type":"record","name":"Click","namespace":"com.shop","fields":[
    {"name":"tags","type":{"type":"array","items":{"type":"record","name":"Tag","fields":[{"name":"t","type":"string"},{"name":"w","type":["null","double"]}]}}},
    {"name":"user","type":"string"},
    {"name":"more","type":{"type":"map","values":"bytes"}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"big","type":"long"},
    {"name":"price","type":"float"},
    {"name":"paid","type":["null","boolean"]}]}"#;

const VIEWED: &str = r#"{"type":"record","name":"Viewed","namespace":"com.shop","fields":[
    {"name":"user","type":"string"}]}"#;

fn click(id: u32, user: &str, at: i64, price: f32) -> Vec<u8> {
    let mut value = Vec::new();
    wire::put_header(&mut value, id);
    // Two tags, then none.
    put_long(&mut value, 2);
    put_text(&mut value, "red");
    put_null(&mut value);
    put_text(&mut value, "new");
    put_some(&mut value);
    put_double(&mut value, 0.5);
    put_long(&mut value, 0);
    put_text(&mut value, user);
    // One entry, by a block of a known size.
    let mut entry = Vec::new();
    put_text(&mut entry, "k");
    put_text(&mut entry, "bytes");
    put_long(&mut value, -1);
    put_long(&mut value, entry.len() as i64);
    value.extend(entry);
    put_long(&mut value, 0);
    put_long(&mut value, at * 1000 + 999);
    put_long(&mut value, i64::MAX);
    value.extend(price.to_le_bytes());
    put_some(&mut value);
    put_boolean(&mut value, true);
    value
}

fn viewed(id: u32) -> Vec<u8> {
    let mut value = Vec::new();
    wire::put_header(&mut value, id);
    put_text(&mut value, "ada");
    value
}

fn copied(user: &str, at: i64, price: f64) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, user);
    put_long(&mut body, at);
    put_some(&mut body);
    put_long(&mut body, i64::MAX);
    put_double(&mut body, price);
    put_some(&mut body);
    put_boolean(&mut body, true);
    body
}

#[test]
fn avro_is_read_with_its_writers_schema_which_is_copied_into_the_log_first() {
    let world = World::new();
    let only = ", only: {record: com.shop.Click}";
    world.apply(&project(only, "{column: user}")).unwrap();
    let (first, second) = (click(17, "ada", 1000, 1.5), click(17, "bob", 2000, 2.5));
    let other = viewed(18);
    world.write(0, &[(None, Some(&first), &[]), (None, Some(&other), &[])]);
    world.write(
        1,
        &[
            (None, Some(b"\x07no wire format"), &[]),
            (None, Some(&second), &[]),
        ],
    );
    let shelf = Arc::new(Shelf::default());
    let put = |id: u32, schema: &str| shelf.schemas.lock().unwrap().insert(id, schema.into());
    put(17, CLICK);
    put(18, VIEWED);
    world.run_with(Some(Arc::clone(&shelf) as _), &mut || true);
    let mut seen: Vec<_> = world
        .arrived("shop.arrivals.clicks")
        .into_iter()
        .map(|a| (a.key, a.time, a.body))
        .collect();
    seen.sort();
    let wanted = [
        ("ada".to_owned(), Millis(1000), copied("ada", 1000, 1.5)),
        ("bob".to_owned(), Millis(2000), copied("bob", 2000, 2.5)),
    ];
    assert_eq!(seen, wanted);
    let catalog = world.store.catalog("shop").unwrap();
    for (id, name) in [(17, "Click"), (18, "Viewed")] {
        let here = catalog.id_of(&format!("outside/web.clicks/{id}")).unwrap();
        assert_eq!(catalog.known(here).unwrap().name, name);
    }
    let quarantined = world.quarantined();
    assert_eq!(quarantined.len(), 1);
    assert!(
        quarantined[0].reason.contains("0x07"),
        "{}",
        quarantined[0].reason
    );
    let report = world.audit();
    assert!(report.is_clean(), "{report}");

    // A registry that had the topic's schemas says that it has none of this id: only its record is refused.
    let unknown = viewed(99);
    let third = click(17, "cy", 3000, 3.5);
    world.write(0, &[(None, Some(&unknown), &[]), (None, Some(&third), &[])]);
    world.run_with(Some(shelf), &mut || true);
    assert_eq!(world.arrived("shop.arrivals.clicks").len(), 3);
    let quarantined = world.quarantined();
    assert_eq!(quarantined.len(), 2);
    let number = world.store.project().unwrap().sources["clicks"].number;
    assert_eq!(quarantined[1].origin, Some(EventId::foreign(number, 0, 2)));
    assert!(
        quarantined[1].reason.contains("99"),
        "{}",
        quarantined[1].reason
    );
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_task_waits_for_the_first_schema_and_goes_on_when_it_comes() {
    let world = World::new();
    world.apply(&project("", "{key: avro}")).unwrap();
    let mut key = Vec::new();
    wire::put_header(&mut key, 5);
    put_long(&mut key, -42);
    let value = click(17, "ada", 1000, 1.5);
    world.write(1, &[(Some(&key), Some(&value), &[])]);
    let shelf = Arc::new(Shelf::default());
    let number = world.store.project().unwrap().sources["clicks"].number;
    let told = |registry: Option<Arc<Shelf>>, wanted: &str| {
        let registry = registry.map(|shelf| shelf as Arc<dyn OutsideRegistry>);
        let schemas = OutsideSchemas::new(world.store.clone(), registry);
        let begun = Instant::now();
        loop {
            let told = schemas.ask(number, 17);
            if told.contains(wanted) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{told}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    told(None, "--registry");
    told(
        Some(Arc::clone(&shelf)),
        "schema id 17 of the topic web.clicks, and the registry at http://registry.test has no Avro schema of it",
    );
    let late = Arc::clone(&shelf);
    let registers = std::thread::spawn(move || {
        // Once the task has asked in vain.
        while late.asked.load(Ordering::SeqCst) < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let put = |id: u32, schema: &str| late.schemas.lock().unwrap().insert(id, schema.into());
        put(5, r#""long""#);
        put(17, CLICK);
    });
    world.run_with(Some(shelf), &mut || true);
    registers.join().unwrap();
    let arrived = world.arrived("shop.arrivals.clicks");
    let keys: Vec<&str> = arrived.iter().map(|arrived| arrived.key.as_str()).collect();
    assert_eq!(keys, ["-42"]);
    assert_eq!(world.quarantined(), []);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn ids_of_the_logs_own_registry_are_read_as_they_are() {
    let world = World::new();
    world
        .apply(&project(", registry: own", "{column: user}"))
        .unwrap();
    let catalog = world.store.catalog("shop").unwrap();
    let event = catalog.plan("web.clicks-value", CLICK).unwrap().unwrap();
    let mut batch = Batch::new();
    batch.push(None, Some(&serde_json::to_vec(&event).unwrap()), []);
    let mut writer = world.store.log.writer("registry").unwrap();
    let schemas = Partition::new("shop.schemas", 0);
    writer.append(&[(schemas, batch)]).unwrap();
    let (good, unknown) = (
        click(event.id, "ada", 1000, 1.5),
        click(event.id + 1, "bob", 1000, 1.5),
    );
    world.write(0, &[(None, Some(&unknown), &[]), (None, Some(&good), &[])]);
    // Nobody is asked: whoever writes with an id has registered it here before.
    world.run();
    let arrived = world.arrived("shop.arrivals.clicks");
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].body, copied("ada", 1000, 1.5));
    let quarantined = world.quarantined();
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].schema_id, Some(event.id as i32 + 1));
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}

/// Gives the project's own schemas ids, as an outside registry does: not dense, and not from 1.
struct Given(u32);

impl Ids for Given {
    fn id(&mut self, _: &str, _: &str) -> Result<u32, String> {
        self.0 += 3;
        Ok(self.0)
    }
}

#[test]
fn where_the_registry_gives_the_ids_the_log_gives_none_that_it_may_give_later() {
    let world = World::new();
    let text = project("", "{column: user}");
    let parsed = mainstem_project::parse("mainstem.yaml", &text)
        .unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
    let mut ids = Given(1_000);
    apply_with(&world.store, &parsed, "ada", Millis(0), Some(&mut ids)).unwrap();
    let shelf = Arc::new(Shelf::default());
    shelf.schemas.lock().unwrap().insert(17, CLICK.into());
    let values = [click(17, "ada", 1000, 1.5), click(18, "bob", 2000, 2.5)];
    world.write(
        0,
        &[(None, Some(&values[0]), &[]), (None, Some(&values[1]), &[])],
    );
    world.run_with(Some(shelf), &mut || true);
    let catalog = world.store.catalog("shop").unwrap();
    let copied = catalog.known(17).unwrap();
    assert_eq!(copied.subject, "outside/web.clicks/17");
    let unknown = catalog.id_of("outside/web.clicks/18").unwrap();
    assert!(unknown > i32::MAX as u32, "{unknown}");
    assert_eq!(world.arrived("shop.arrivals.clicks").len(), 1);
    assert_eq!(world.quarantined().len(), 1);
}

/// A log that gave its ids itself, until somebody set its registry to read-only.
#[test]
fn a_copied_schema_gets_another_id_where_its_own_means_another_schema() {
    let world = World::new();
    world.apply(&project("", "{column: user}")).unwrap();
    let readonly = RegistryFact::ModeSet {
        subject: None,
        mode: Some(Mode::Readonly),
    };
    let mut batch = Batch::new();
    batch.push(None, Some(&serde_json::to_vec(&readonly).unwrap()), []);
    let schemas = Partition::new("shop.schemas", 0);
    let mut writer = world.store.log.writer("registry").unwrap();
    writer.append(&[(schemas.clone(), batch)]).unwrap();
    let before = world.store.catalog("shop").unwrap();
    let taken = before.known(17).unwrap().subject.clone();
    let shelf = Arc::new(Shelf::default());
    shelf.schemas.lock().unwrap().insert(17, CLICK.into());
    let value = click(17, "ada", 1000, 1.5);
    world.write(0, &[(None, Some(&value), &[])]);
    world.run_with(Some(shelf), &mut || true);
    assert_eq!(world.arrived("shop.arrivals.clicks").len(), 1);
    let after = world.store.catalog("shop").unwrap();
    assert_eq!(after.known(17).unwrap().subject, taken);
    assert!(after.id_of("outside/web.clicks/17").unwrap() > MAX_GIVEN);
    assert_eq!(after.next_id(), before.next_id());
}

/// A task that waits asks again and again: who applies or registers meanwhile is not to be fenced by it.
#[test]
fn a_registry_that_knows_nothing_of_the_topic_fences_nobody() {
    let world = World::new();
    world.apply(&project("", "{column: user}")).unwrap();
    let mut writer = world.store.log.writer("apply").unwrap();
    let number = world.store.project().unwrap().sources["clicks"].number;
    let schemas = OutsideSchemas::new(world.store.clone(), Some(Arc::new(Shelf::default())));
    let begun = Instant::now();
    while !schemas.ask(number, 17).contains("no Avro schema") {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut batch = Batch::new();
    batch.push(None, Some(b"a"), []);
    let at = Partition::new("web.clicks", 0);
    writer.append(&[(at, batch)]).unwrap();
}

#[test]
fn avro_that_is_read_in_place_waits_for_its_schema_in_every_room_that_reads_it() {
    let world = World::new();
    let topic = ", read: in_place, horizon: 1d, only: {record: com.shop.Click}";
    let text = project(topic, "{key: text}");
    let monitors = "monitors:\n  m: {columns: {price: {edges: [2]}}}\n";
    world.apply(&format!("{text}{monitors}")).unwrap();
    // Java's partitioner has both in partition 0 or 1; whose partition it is not refuses them.
    let records = [
        click(17, "ada", 1000, 1.5),
        viewed(18),
        click(17, "ada", 2000, 2.5),
    ];
    for partition in [0, 1] {
        let keyed = records
            .each_ref()
            .map(|value| (Some(&b"ada"[..]), Some(&value[..]), &[][..]));
        world.write(partition, &keyed);
    }
    let shelf = Arc::new(Shelf::default());
    shelf.schemas.lock().unwrap().insert(17, CLICK.into());
    shelf.schemas.lock().unwrap().insert(18, VIEWED.into());
    world.run_with(Some(Arc::clone(&shelf) as _), &mut || true);
    assert_eq!(world.count("shop.features.v"), 2);
    let reasons: Vec<String> = world.quarantined().into_iter().map(|q| q.reason).collect();
    // Two records, by the tasks of the view and of the monitor.
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(
        reasons.iter().all(|why| why.contains("murmur2")),
        "{reasons:?}"
    );
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}
