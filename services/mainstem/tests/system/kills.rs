//! SIGKILL of any service at any moment of a paced run, and a restart: the final history equals the undisturbed one.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{JSON, try_request};
use crate::history::{Contents, assert_same};
use crate::place::Place;
use crate::process::Process;
use crate::shop::{HEADER, orders, project};

/// Kills of each of the two publications, and of the questions between them.
const KILLS: usize = 6;

/// Questions that are asked between the publications.
const QUESTIONS: usize = 12;

/// Numbers from a seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub fn rest(&mut self, from: u64, to: u64) {
        std::thread::sleep(Duration::from_millis(from + self.below(to - from)));
    }
}

/// A port that nobody listens on, to be listened on again and again.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A run, and the services that host it.
struct Run {
    place: Place,
    door: SocketAddr,
    processor: Process,
    gateway: Process,
    up: Process,
    chance: Chance,
    kills: usize,
}

fn gateway(place: &Place, door: SocketAddr) -> Process {
    place.start(&["run", "gateway", "--port", &door.port().to_string()])
}

fn up(place: &Place) -> Process {
    place.start(&["up", "--port", "0", "--threads", "1"])
}

impl Run {
    fn new(seed: u64) -> Run {
        let initial = "retrain:\n      initial: {at: 2024-01-13}\n";
        let place = Place::applied(&project("stream", 2).replace("retrain:\n", initial));
        place.write("one.csv", HEADER.to_owned() + &orders(8, 0..24));
        place.write("two.csv", HEADER.to_owned() + &orders(8, 24..36));
        let door = free_port();
        Run {
            processor: place.start(&["run", "processor"]),
            gateway: gateway(&place, door),
            up: up(&place),
            chance: Chance(seed),
            kills: 0,
            place,
            door,
        }
    }

    /// Publishes a file, with so many kills of this or that service meanwhile.
    fn publish(&mut self, file: &str, from: &str, kills: usize) {
        let start = |place: &Place, resume: &[&str]| {
            let paced = [
                "publish",
                "orders",
                file,
                "--pace",
                "4d",
                "--pace-from",
                from,
            ];
            place.start(&[&paced, resume].concat())
        };
        let (mut publisher, mut left) = (Some(start(&self.place, &[])), kills);
        // A publication that is through sooner leaves the rest of the kills to the services.
        while publisher.is_some() || left > 0 {
            self.chance.rest(30, 300);
            if let Some(ended) = publisher.take_if(|publisher| !publisher.is_alive()) {
                let ended = ended.end();
                if ended.code != Some(0) {
                    // It was killed before it had begun.
                    ended
                        .with(1)
                        .naming(&["no publication", "without --resume"]);
                    publisher = Some(start(&self.place, &[]));
                }
                continue;
            }
            if left == 0 {
                continue;
            }
            left -= 1;
            self.kills += 1;
            let place = &self.place;
            match (self.chance.below(4), &mut publisher) {
                (0, _) => {
                    self.processor.kill();
                    self.processor = place.start(&["run", "processor"]);
                }
                (1, _) => {
                    self.up.kill();
                    self.up = up(place);
                }
                (3, Some(publisher)) => {
                    publisher.kill();
                    *publisher = start(place, &["--resume"]);
                }
                _ => {
                    self.gateway.kill();
                    self.gateway = gateway(place, self.door);
                }
            }
        }
    }

    /// Asks the gateway, again where it was killed meanwhile; the answers.
    fn ask(&mut self, kills: usize) -> Vec<Value> {
        let door = self.door;
        std::thread::scope(|scope| {
            let asker = scope.spawn(move || {
                let question = |number| insist(door, INFER, &format!("q{number}"), &body(number));
                let answers: Vec<Value> = (0..QUESTIONS).map(question).collect();
                insist(door, "/v1/models/pays/retrain", "retrain", &json!({}));
                answers
            });
            for _ in 0..kills {
                self.chance.rest(30, 200);
                self.gateway.kill();
                self.gateway = gateway(&self.place, door);
                self.kills += 1;
            }
            asker.join().unwrap()
        })
    }
}

const INFER: &str = "/v2/models/pays/infer";

fn body(number: usize) -> Value {
    let row = json!([number, number / 2, number % 2]);
    let tensor = json!({"name": "x", "datatype": "FP64", "shape": [1, 3], "data": row});
    json!({"inputs": [tensor], "parameters": {"entity": format!("q{number}")}})
}

/// Sends a request until it is answered.
fn insist(door: SocketAddr, path: &str, key: &str, body: &Value) -> Value {
    let headers = [JSON, ("idempotency-key", key)];
    for _ in 0..500 {
        let reply = try_request(door, "POST", path, &headers, body.to_string().as_bytes());
        match reply {
            Ok(reply) if reply.status < 300 => return reply.json(),
            Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.body),
            Err(_) => {}
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{path} was not answered");
}

/// The answers and the history of a run with so many kills in each of its parts.
fn play(seed: u64, kills: usize) -> (Vec<Value>, Contents) {
    let mut run = Run::new(seed);
    run.publish("one.csv", "2024-01-13", kills);
    let answers = run.ask(kills);
    run.publish("two.csv", "2024-01-29", kills);
    println!("seed {seed}: {} kills", run.kills);
    assert_eq!(run.kills, 3 * kills, "seed {seed}");
    let Run {
        place,
        processor,
        gateway,
        up,
        ..
    } = run;
    drop((processor, gateway, up));
    place.verify();
    (answers, place.contents())
}

#[test]
fn kills_of_any_service_at_any_moment_leave_the_undisturbed_history() {
    let (answers, contents) = play(0, 0);
    let count = |topic: &str| {
        let of = contents.iter().filter(|((name, ..), _)| name == topic);
        of.map(|(_, records)| records.len()).sum::<usize>()
    };
    // The comparison is about something: a first training, retrains for drift and on demand, predictions and labels.
    assert_eq!(
        (count("arrivals.orders"), count("features.spending")),
        (288, 288)
    );
    assert!(count("triggers") >= 4 && count("models") >= 4 && count("drift") > 20);
    assert!(count("predictions.pays") > 300 && count("labelled.pays") > 300);
    for seed in [5, 23] {
        let (found_answers, found) = play(seed, KILLS);
        assert_eq!(found_answers, answers, "seed {seed}");
        assert_same(&contents, &found, &format!("seed {seed}"));
    }
}
