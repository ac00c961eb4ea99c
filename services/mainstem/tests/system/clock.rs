//! SIGKILL of any service, the clock's among them, while rows and requests come in under the wall clock. Ticks come when
//! they come then; what was computed from the rows is all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use mainstem_host::Store;
use mainstem_schemas::EventId;
use mainstem_schemas::events::Event;
use serde_json::json;

use crate::client::{JSON, get, try_request};
use crate::history::{self, by_key};
use crate::kills::{Chance, free_port};
use crate::place::Place;
use crate::process::{Process, until};
use crate::shop::{BEGIN, DAY, HEADER, orders, project};

const SERVICES: [&str; 3] = ["clock", "gateway", "processor"];

/// Kills of a run.
const KILLS: usize = 24;

/// Records that are posted, each in a request of its own.
const POSTS: usize = 30;

/// Rows that the first version is trained on.
const FIRST: usize = 8 * 10;

/// Days whose rows are published meanwhile, in a file each.
const DAYS: std::ops::Range<i64> = 10..22;

/// Their rows.
const PUBLISHED: usize = 8 * 12;

/// What is the same in all runs: the rows of arrivals and features of each customer, and each prediction of the rows.
struct Computed {
    arrivals: BTreeMap<String, Vec<(EventId, Vec<u8>)>>,
    features: BTreeMap<String, Vec<(EventId, Vec<u8>)>>,
    predictions: BTreeSet<String>,
}

struct Run {
    place: Place,
    door: SocketAddr,
    services: Vec<Process>,
}

impl Run {
    /// With a first version that serves.
    fn new() -> Run {
        let place = Place::applied(&project("wall", 2));
        let mut run = Run {
            place,
            door: free_port(),
            services: Vec::new(),
        };
        run.services = (0..=SERVICES.len()).map(|which| run.start(which)).collect();
        run.place
            .write("first.csv", HEADER.to_owned() + &orders(8, 0..10));
        run.place.run(&["publish", "orders", "first.csv"]).with(0);
        run.place.run(&["retrain", "pays"]).with(0);
        let door = run.door;
        until("the first version serves beside the naive forecast", || {
            get(door, "/v2/models/pays").json()["versions"] == json!(["baseline", "v1"])
        });
        run
    }

    /// Each service in a process of its own, and all of them in one more.
    fn start(&self, which: usize) -> Process {
        let port = self.door.port().to_string();
        match SERVICES.get(which) {
            Some(&"gateway") => self.place.start(&["run", "gateway", "--port", &port]),
            Some(service) => self.place.start(&["run", service, "--port", "0"]),
            None => self.place.start(&["up", "--port", "0"]),
        }
    }

    fn kill(&mut self, which: usize) {
        self.services[which].kill();
        self.services[which] = self.start(which);
    }
}

/// Posts records, and again where the gateway was killed and the log does not hold them.
fn post(door: SocketAddr, store: &Store) {
    for number in 0..POSTS {
        let customer = format!("h{}", number % 3);
        let at = BEGIN + number as i64 * DAY;
        let record = json!({"customer": customer, "amount": number, "paid": true, "at": at});
        let arrived = || {
            let rows = history::rows(store, "arrivals.orders");
            rows.iter().filter(|row| row.key == customer).count() > number / 3
        };
        loop {
            let body = record.to_string();
            match try_request(door, "POST", "/v1/sources/orders", &[JSON], body.as_bytes()) {
                Ok(reply) if reply.status == 200 => break,
                // Nobody knows whether it was written: look before sending it again.
                _ if arrived() => break,
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Publishes a file a day, with kills of the publisher and of the services meanwhile; kills that were left over.
fn publish(run: &mut Run, chance: &mut Chance, mut kills: usize) -> usize {
    for day in DAYS {
        let file = format!("{day}.csv");
        run.place
            .write(&file, HEADER.to_owned() + &orders(8, day..day + 1));
        let start = |place: &Place, rest: &[&str]| {
            place.start(&[&["publish", "orders", &file], rest].concat())
        };
        let mut publisher = start(&run.place, &[]);
        loop {
            chance.rest(5, 60);
            if !publisher.is_alive() {
                let ended = publisher.end();
                if ended.code == Some(0) {
                    break;
                }
                // It was killed before it had begun.
                ended
                    .with(1)
                    .naming(&["no publication", "without --resume"]);
                publisher = start(&run.place, &[]);
            } else if kills > 0 {
                kills -= 1;
                match chance.below(SERVICES.len() as u64 + 2) as usize {
                    which if which <= SERVICES.len() => run.kill(which),
                    _ => {
                        publisher.kill();
                        publisher = start(&run.place, &["--resume"]);
                    }
                }
            }
        }
    }
    kills
}

fn play(seed: u64, kills: usize) -> Computed {
    let (mut run, mut chance) = (Run::new(), Chance(seed));
    let (door, store) = (run.door, run.place.store().clone());
    let poster = std::thread::spawn(move || post(door, &store));
    let mut left = publish(&mut run, &mut chance, kills);
    while left > 0 && !poster.is_finished() {
        chance.rest(50, 200);
        run.kill(chance.below(SERVICES.len() as u64 + 1) as usize);
        left -= 1;
    }
    poster.join().unwrap();
    println!("seed {seed}: {} kills", kills - left);
    assert!(
        left <= kills / 2,
        "the rest was over before they could come"
    );

    let (new, place) = (PUBLISHED + POSTS, &run.place);
    until("the features are there", || {
        place.count("features.spending") == (FIRST + new) as u64
    });
    // By the champion, by the control, and by the naive forecast.
    until("the predictions are there", || {
        place.count("predictions.pays") == 3 * new as u64
    });
    let ticks = place.count("clock");
    until("the clock goes on", || place.count("clock") > ticks + 1);
    run.services.clear();
    run.place.verify();
    check_clock(&run.place);
    assert_eq!(run.place.count("quarantine"), 0);
    computed(&run.place)
}

/// Ticks are numbered one after the other, and log time never goes back.
fn check_clock(place: &Place) {
    let ticks = place
        .events("clock")
        .into_iter()
        .map(|(_, event)| match event {
            Event::ClockTicked(tick) => (tick.round, tick.time),
            other => panic!("{other:?}"),
        });
    let ticks: Vec<_> = ticks.collect();
    for pair in ticks.windows(2) {
        assert!(
            pair[1].0 == pair[0].0 + 1 && pair[1].1 >= pair[0].1,
            "{pair:?}"
        );
    }
}

/// A row's place in its file. The number of its publication follows those of the gateway, which begins another one after
/// a kill; so does the place of what was posted.
fn same(entity: &str, id: EventId) -> EventId {
    let (_, row) = id.publication_row().unwrap();
    EventId::row(0, 0, if entity.starts_with('h') { 0 } else { row })
}

fn computed(place: &Place) -> Computed {
    let rows = |topic: &str| {
        let mut rows = place.rows(topic);
        let ids: BTreeSet<EventId> = rows.iter().map(|row| row.id).collect();
        assert_eq!(
            ids.len(),
            rows.len(),
            "each has an id of its own in {topic}"
        );
        for row in &mut rows {
            row.id = same(&row.key, row.id);
        }
        by_key(rows)
    };
    let predictions = place
        .events("predictions.pays")
        .into_iter()
        .map(|(_, event)| {
            let Event::PredictionMade(mut made) = event else {
                panic!("{event:?}")
            };
            made.origin = same(&made.entity, made.origin);
            format!("{made:?}")
        });
    let predictions: Vec<String> = predictions.collect();
    let distinct: BTreeSet<String> = predictions.iter().cloned().collect();
    assert_eq!(distinct.len(), predictions.len(), "none is made twice");
    Computed {
        arrivals: rows("arrivals.orders"),
        features: rows("features.spending"),
        predictions: distinct,
    }
}

#[test]
fn kills_of_any_service_under_the_wall_clock_lose_nothing_and_do_nothing_twice() {
    let (expected, found) = (play(0, 0), play(11, KILLS));
    assert_eq!(found.arrivals, expected.arrivals);
    assert_eq!(found.features, expected.features);
    assert_eq!(found.predictions, expected.predictions);
}
