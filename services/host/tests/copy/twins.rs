//! One topic that others write, once copied and once read in place, each with a view, a model and a monitor of the same
//! words: days of it, lived by the services under a paced clock, so that both see the same ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use mainstem_host::apply::apply;
use mainstem_host::resolver::StoreResolver;
use mainstem_host::store::each_event;
use mainstem_host::trainer::TrainerActuator;
use mainstem_kernel::log::FetchLimit;
use mainstem_kernel::pace::Pacer;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::worker::{Crew, Parts, for_each};
use mainstem_kernel::{Partition, TaskSpec};
use mainstem_rooms::machines::machine;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Clock;
use mainstem_schemas::events::Event;
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Millis};
use serde_json::{Map, Value};

use crate::world::World;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Days that are lived before today: their records are as old as a broker would have them.
pub const LIVED: i64 = 8;
const ENTITIES: [&str; 4] = ["ada", "bob", "cy", "dee"];

/// The project, with the topic in the place of TOPIC.
const PROJECT: &str = "
project: NAME
partitions: 2
sources:
  copied:
    topic: {name: TOPIC, format: json}
    fields: {at: long, x: double, y: double?, late: long}
    entity: {key: text}
    time: {column: at}
  placed:
    topic: {name: TOPIC, format: json, read: in_place, horizon: 2d}
    fields: {at: long, x: double, y: double?, late: long}
    entity: {key: text}
    time: {column: at}
views:
";

const VIEW: &str = "
  SOURCE:
    source: SOURCE
    features: {x: x, y: y, y_mean: {mean: y, last: 4}, x_change: {change: x, by: 1}, late: late}
";

const MODEL: &str = "
  SOURCE:
    view: SOURCE
    features: [x, y, y_mean]
    label: {column: late, horizon: 4h, timeout: 1d}
    training:
      rows: 48
      min_rows: 30
      parameters: {iterations: 4, max_depth: 2}
    windows: {length: 1d}
    drift: {windows: 1, min_rows: 10}
    retrain: {initial: {at: INITIAL}}
    rollout: {shadow: 1d, min_rows: 10}
";

const MONITOR: &str = "
  watch_SOURCE:
    source: SOURCE
    windows: {length: 1d}
    drift: {psi: {detect: 0.2, clear: 0.1}, min_rows: 10}
    columns: {x: {edges: [0.25, 0.5, 0.75]}, y: {edges: [0.5], missing: 0.1}}
";

fn text(name: &str, topic: &str, begin: i64) -> String {
    let both = |part: &str| {
        let of = |source| part.trim_start_matches('\n').replace("SOURCE", source);
        of("copied") + &of("placed")
    };
    let head = PROJECT.replace("NAME", name).replace("TOPIC", topic);
    let head = head.trim_start();
    let initial = Millis(begin + 3 * DAY).to_string();
    let (views, models, monitors) = (both(VIEW), both(MODEL), both(MONITOR));
    let models = models.replace("INITIAL", &initial);
    format!("{head}{views}models:\n{models}monitors:\n{monitors}")
}

/// The topic and the services on it.
pub struct Twins {
    pub world: World,
    pub topic: String,
    name: String,
    tasks: Vec<TaskSpec>,
    /// Midnight before the first row.
    begin: i64,
}

impl Twins {
    /// Applies the project on a log that has the topic.
    pub fn new(world: World, name: &str, topic: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let begin = (now.as_millis() as i64 / DAY - LIVED) * DAY;
        let text = text(name, topic, begin);
        let project = mainstem_project::parse("mainstem.yaml", &text);
        let mut project = project.unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
        // The file would not have that: records of others come with no step. Here all of a day's are there before its
        // step comes to rest, so that nothing depends on when they came.
        project.clock = Clock::Stream;
        apply(&world.store, &project, "ada", Millis(begin)).unwrap();
        Twins {
            tasks: tasks_of(&world.store.project().unwrap()),
            world,
            topic: topic.into(),
            name: name.into(),
            begin,
        }
    }

    /// The partition of the others' topic.
    pub fn partition(&self, index: u32) -> Partition {
        Partition::new(&self.topic, index)
    }

    /// Writes and lives some days.
    pub fn live(&self, days: std::ops::Range<i64>) {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = self.work(&stop);
        let log = self.world.store.log.as_ref();
        let mut pacer = Pacer::new(log, &self.name, self.tasks.clone()).unwrap();
        for day in days {
            let until = Millis(self.begin + (day + 1) * DAY);
            pacer.open("twins", 1, until).unwrap();
            self.write(day);
            pacer.settle(until, &|| worker.is_finished()).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        worker.join().unwrap();
    }

    /// Each entity has a row every four hours; here and there something is missing, is no row, or is none at all.
    fn write(&self, day: i64) {
        let mut batches = [Batch::new(), Batch::new()];
        for slot in day * 6..(day + 1) * 6 {
            for (n, entity) in ENTITIES.into_iter().enumerate() {
                let index = partition_of(entity.as_bytes(), 2);
                let batch = &mut batches[index as usize];
                let dice =
                    |salt: i64| ((slot * 7 + n as i64 * 13 + salt) * 7919 % 101) as f64 / 101.0;
                // From the fifth day on it drifts.
                let x = dice(3) + if day > 4 { 1.5 } else { 0.0 };
                let (at, late) = (self.begin + slot * 4 * HOUR, i64::from(dice(5) > 0.5));
                let y = match slot % 9 {
                    8 => "null".into(),
                    _ => dice(11).to_string(),
                };
                let value = match (slot + n as i64) % 17 {
                    16 => "no row".to_owned(),
                    _ => format!(r#"{{"at":{at},"x":{x},"y":{y},"late":{late},"more":[1]}}"#),
                };
                let value = Some(value.as_bytes()).filter(|_| slot % 13 != 12);
                batch.push(Some(entity.as_bytes()), value, [("lane", &b"fast"[..])]);
            }
        }
        let mut writer = self.world.store.log.writer("web").unwrap();
        for (index, batch) in (0..).zip(batches) {
            writer.append(&[(self.partition(index), batch)]).unwrap();
        }
    }

    /// A worker that stores states after some turns.
    fn work(&self, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
        let (store, tasks, stop) = (
            self.world.store.clone(),
            self.tasks.clone(),
            Arc::clone(stop),
        );
        let parts = Parts {
            log: Arc::clone(&store.log),
            resolver: Arc::new(StoreResolver::new(store.blobs.clone())),
            blobs: store.blobs.clone(),
            factory: Arc::new(machine),
            limit: FetchLimit::default(),
            snapshots: SnapshotEvery {
                records: 1_000_000,
                turns: 16,
            },
        };
        let actuator =
            TrainerActuator::new(Arc::clone(&store.log), store.blobs.clone(), &self.name);
        std::thread::spawn(move || {
            let mut crew = Crew::join(parts, "twins", actuator).unwrap();
            while !stop.load(Ordering::SeqCst) {
                let seen = store.log.seen();
                let progress = crew.step(&tasks).unwrap();
                assert_eq!(progress.stopped, []);
                if progress.commits == 0 {
                    store.log.wait(seen, std::time::Duration::from_millis(50));
                }
            }
        })
    }

    /// The rows of a view, without the ids of their schema and origin, in the order of their partitions.
    pub fn rows(&self, view: &str) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
        let mut reader = self.world.store.log.reader().unwrap();
        let mut rows = Vec::new();
        for index in 0..2 {
            let at = Partition::new(&format!("{}.features.{view}", self.name), index);
            for_each(reader.as_mut(), &at, |record| {
                let value = record.value.unwrap()[21..].to_vec();
                rows.push((index, record.key.unwrap().to_vec(), value));
                Ok(())
            })
            .unwrap();
        }
        rows
    }

    /// What a topic says of one of the twins, without its name and without what follows from names and places.
    pub fn said(&self, topic: &str, partitions: u32, of: &str) -> Vec<Value> {
        let catalog = self.world.store.catalog(&self.name).unwrap();
        let mut reader = self.world.store.log.reader().unwrap();
        let mut said = Vec::new();
        for index in 0..partitions {
            let at = Partition::new(&format!("{}.{topic}", self.name), index);
            each_event(reader.as_mut(), &catalog, &at, |_, event| {
                let kind = event.name();
                let value = match event {
                    Event::PredictionMade(e) => serde_json::to_value(e),
                    Event::PredictionLabelled(e) => serde_json::to_value(e),
                    Event::DatasetBuilt(e) => serde_json::to_value(e),
                    Event::ProfileMeasured(e) => serde_json::to_value(e),
                    Event::DriftMeasured(e) => serde_json::to_value(e),
                    Event::DriftDetected(e) => serde_json::to_value(e),
                    _ => return,
                };
                let Value::Object(mut fields) = value.unwrap() else {
                    panic!("{kind}")
                };
                let (model, watch) = (fields.get("model"), format!("watch_{of}"));
                if model.is_some_and(|model| model != of && *model != watch) {
                    return;
                }
                strip(&mut fields);
                fields.insert("kind".into(), kind.into());
                said.push(Value::Object(fields));
            })
            .unwrap();
        }
        // Tasks that write to one partition have no order between them.
        said.sort_by_key(Value::to_string);
        said
    }
}

fn strip(fields: &mut Map<String, Value>) {
    for name in [
        "model",
        "origin",
        "label_origin",
        "effect",
        "view",
        "observed_positions",
        "evidence",
    ] {
        fields.remove(name);
    }
}
