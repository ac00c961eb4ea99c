//! Topics on a real broker, written by a real client of another language.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstem_columns::put::{put_double, put_long, put_null, put_some, put_text};
use mainstem_host::apply::Plan;
use mainstem_host::auditor::Horizon;
use mainstem_host::outside::OutsideRegistry;
use mainstem_kernel::worker::for_each;
use mainstem_kernel::{Log, Partition};
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::{EventId, Millis};
use mainstem_test_broker::Broker;
use mainstem_test_python::script;
use serde_json::Value;

use crate::world::{Arrived, World};

/// The schemas of the producer's registry.
struct Registered(BTreeMap<u32, String>);

impl OutsideRegistry for Registered {
    fn place(&self) -> String {
        "the producer's".into()
    }

    fn schema(&self, id: u32) -> Result<Option<String>, String> {
        Ok(self.0.get(&id).cloned())
    }
}

/// Has the producer write, and gives what it says that it wrote.
fn produce(broker: &Broker, json: &str, avro: &str) -> Value {
    let output = script("foreign_producer.py")
        .unwrap()
        .args([broker.bootstrap(), json, avro])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn project(name: &str, json: &str, avro: &str) -> String {
    format!(
        "
project: {name}
partitions: 2
sources:
  clicks:
    topic: {{name: {json}, format: json, only: {{header: [ce_type, shop.click]}}}}
    fields: {{user: string, price: double}}
    entity: {{column: user}}
    time: {{record: timestamp}}
  sessions:
    topic: {{name: {avro}, format: avro, only: {{record: com.shop.Click}}}}
    fields: {{happened: long, price: double?, clicks: long}}
    entity: {{key: avro}}
    time: {{column: happened}}
views:
  clicks: {{source: clicks, features: {{price: price}}}}
"
    )
}

/// What an arrival must be: key, time, id, body.
type Wanted = (String, Millis, EventId, Vec<u8>);

fn wanted(written: &Value, kind: &str, number: u16) -> Vec<Wanted> {
    let of = |row: &Value| {
        let row = row.as_array().unwrap();
        let [.., partition, offset] = row.as_slice() else {
            panic!("{row:?}")
        };
        let (user, time) = (row[0].as_str().unwrap(), row[1].as_i64().unwrap());
        let mut body = Vec::new();
        if kind == "json" {
            put_text(&mut body, user);
            put_double(&mut body, row[2].as_f64().unwrap());
        } else {
            put_long(&mut body, time);
            match row[2].as_f64() {
                None => put_null(&mut body),
                Some(price) => {
                    put_some(&mut body);
                    put_double(&mut body, price);
                }
            }
            put_long(&mut body, row[3].as_i64().unwrap());
        }
        let partition = partition.as_u64().unwrap() as u32;
        let id = EventId::foreign(number, partition, offset.as_u64().unwrap());
        (user.to_owned(), Millis(time), id, body)
    };
    let mut wanted: Vec<Wanted> = written[kind].as_array().unwrap().iter().map(of).collect();
    wanted.sort();
    wanted
}

fn seen(arrived: &[Arrived]) -> Vec<Wanted> {
    let one = |a: &Arrived| (a.key.clone(), a.time, a.id, a.body.clone());
    let mut seen: Vec<Wanted> = arrived.iter().map(one).collect();
    seen.sort();
    seen
}

#[test]
fn a_python_producers_topics_are_copied_record_for_record() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let run = now.as_millis();
    let (name, json, avro) = (
        format!("shop{run}"),
        format!("web{run}.clicks"),
        format!("web{run}.sessions"),
    );
    let written = produce(broker, &json, &avro);
    let log = KafkaLog::connect(Options::new(broker.bootstrap(), &name)).unwrap();
    let world = World::on(Arc::new(log), &name);
    world.apply(&project(&name, &json, &avro)).unwrap();
    let schemas = written["schemas"].as_object().unwrap();
    let schemas = schemas
        .iter()
        .map(|(id, text)| (id.parse().unwrap(), text.as_str().unwrap().to_owned()));
    let registry = Arc::new(Registered(schemas.collect()));
    world.run_with(Some(registry), &mut || true);

    let sources = world.store.project().unwrap().sources;
    let clicks = world.arrived(&format!("{name}.arrivals.clicks"));
    assert_eq!(
        seen(&clicks),
        wanted(&written, "json", sources["clicks"].number)
    );
    assert_eq!(clicks.len(), 200);
    let lanes: BTreeSet<&str> = clicks.iter().map(|a| a.headers["lane"].as_str()).collect();
    assert_eq!(lanes, BTreeSet::from(["0", "1"]));
    let sessions = world.arrived(&format!("{name}.arrivals.sessions"));
    assert_eq!(
        seen(&sessions),
        wanted(&written, "avro", sources["sessions"].number)
    );
    assert_eq!(sessions.len(), 180);
    let quarantined = world.quarantined();
    let reasons: Vec<&str> = quarantined.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(quarantined.len(), 6, "{reasons:?}");
    for poisoned in &quarantined {
        assert_eq!(
            (poisoned.topic.as_str(), poisoned.value.as_slice()),
            (json.as_str(), &b"\xff poison"[..])
        );
        assert!(poisoned.reason.contains("UTF-8"), "{}", poisoned.reason);
    }
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}

/// Records that a partition holds now.
fn held(log: &dyn Log, topic: &str, index: u32) -> u64 {
    let mut held = 0;
    let at = Partition::new(topic, index);
    for_each(log.reader().unwrap().as_mut(), &at, |_| {
        held += 1;
        Ok(())
    })
    .unwrap();
    held
}

#[test]
fn a_compacted_topic_of_a_java_producer_is_copied_while_it_grows_and_forgets() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (name, topic) = (
        format!("till{}", now.as_millis()),
        format!("web{}.carts", now.as_millis()),
    );
    let topics = |arguments: &[&str]| {
        let of = ["--bootstrap-server", broker.bootstrap(), "--topic", &topic];
        let class = "org.apache.kafka.tools.TopicCommand";
        broker
            .tool(class, &[&of[..], arguments].concat(), "")
            .unwrap();
    };
    let compacted = [
        "--create",
        "--partitions=2",
        "--config=cleanup.policy=compact",
        "--config=segment.ms=1000",
        "--config=min.cleanable.dirty.ratio=0.01",
        "--config=max.compaction.lag.ms=1000",
    ];
    topics(&compacted);
    let write = |numbers: std::ops::Range<u32>| {
        let line = |n: u32| {
            let time = Millis(1_700_000_000_000 + i64::from(n) * 1000);
            format!("cart{}\t{{\"items\":{n},\"at\":\"{time}\"}}\n", n % 12)
        };
        let lines: String = numbers.map(line).collect();
        let of = ["--bootstrap-server", broker.bootstrap(), "--topic", &topic];
        let keyed = ["--property", "parse.key=true"];
        let class = "org.apache.kafka.tools.ConsoleProducer";
        broker
            .tool(class, &[&of[..], &keyed].concat(), &lines)
            .unwrap();
    };
    let connect = || KafkaLog::connect(Options::new(broker.bootstrap(), &name)).unwrap();
    let world = World::on(Arc::new(connect()), &name);
    let project = format!(
        "project: {name}\npartitions: 2\nsources:\n  carts:\n    topic: {{name: {topic}, format: json}}\n    fields: {{items: long, at: string}}\n    entity: {{key: text}}\n    time: {{column: at}}\nviews:\n  v: {{features: {{items: items}}}}\n"
    );
    let arrivals = format!("{name}.arrivals.carts");
    write(0..120);
    world.apply(&project).unwrap();
    world.run();
    assert_eq!(world.arrived(&arrivals).len(), 120);

    let early = connect();
    let before = held(&early, &topic, 0);
    topics(&["--alter", "--partitions=3"]);
    write(120..240);
    let grown = world.apply(&project).unwrap();
    assert_eq!(grown, Plan::Changes(vec!["~ source carts".into()]));
    world.run();
    // Who counted the partitions before sees the new one, too.
    assert!(held(&early, &topic, 2) > 0);
    let arrived = world.arrived(&arrivals);
    assert_eq!(arrived.len(), 240);
    let ids: BTreeSet<EventId> = arrived.iter().map(|arrived| arrived.id).collect();
    assert_eq!(ids.len(), 240);
    assert_eq!(world.quarantined(), []);

    // What is written now closes the segments before it, which may then be compacted.
    write(240..252);
    let begun = Instant::now();
    while held(&early, &topic, 0) >= before {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "nothing is compacted"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    world.run();
    assert_eq!(world.arrived(&arrivals).len(), 252);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    let of_first = |horizon: &&Horizon| horizon.of == Partition::new(&topic, 0);
    assert!(
        report.horizons.iter().any(|horizon| of_first(&horizon)),
        "{report}"
    );
    assert!(report.sealed_events > 0, "{report}");

    // Another topic of that name is not read on where this one ended.
    topics(&["--delete"]);
    topics(&compacted);
    let stopped = world.stopped();
    let anew = |partition: u32| {
        let at = format!("{topic}/{partition} ends before offset");
        stopped
            .iter()
            .any(|why| why.contains(&at) && why.contains("created anew"))
    };
    assert!(anew(0) && anew(1), "{stopped:?}");
}
