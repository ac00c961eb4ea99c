//! What `docker-compose.yml` starts, as processes on a real Kafka: the same commands and variables, in the same order. Only
//! what the containers bring along is another: addresses, ports and directories.

use std::net::SocketAddr;
use std::process::Stdio;

use mainstem_test_broker::Broker;
use mainstem_test_python::{root, script};
use serde_json::Value;

use crate::client::request;
use crate::metrics::Page;
use crate::place::Place;
use crate::process::{Process, Variables, until};
use crate::shop::{BEGIN, project};

fn compose() -> Value {
    let output = script("compose.py")
        .unwrap()
        .arg(root().join("docker-compose.yml"))
        .arg(root().join("tests/compose/compose-spec.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The services on this machine.
struct Machine<'a> {
    compose: Value,
    place: Place,
    broker: &'a Broker,
}

impl Machine<'_> {
    fn start(&self, name: &str) -> Process {
        let service = &self.compose["services"][name];
        let blobs = self.place.path("blobs");
        let here = |variable: &str, value: &str| match variable {
            "MAINSTEM_KAFKA" => self.broker.bootstrap().to_owned(),
            "MAINSTEM_BLOBS" => blobs.to_str().unwrap().to_owned(),
            _ => value.to_owned(),
        };
        let environment = service["environment"].as_object().unwrap().iter();
        let environment: Vec<(String, String)> = environment
            .map(|(variable, value)| (variable.clone(), here(variable, value.as_str().unwrap())))
            .collect();
        let variables: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let words = service["command"].as_array().unwrap();
        let mut words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        for (option, value) in [("--port", "0"), ("--file", "mainstem.yaml")] {
            if let Some(at) = words.iter().position(|word| *word == option) {
                words[at + 1] = value;
            }
        }
        self.place
            .start_with(&words, variables.as_slice() as Variables<'_>, Stdio::null())
    }

    /// Where a service listens, from this machine.
    fn address(process: &mut Process) -> SocketAddr {
        let address = process.address();
        assert!(address.ip().is_unspecified(), "{address}");
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    }
}

#[test]
fn what_compose_starts_runs_on_a_real_broker_and_tells_its_lag() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let machine = Machine {
        compose: compose(),
        place: Place::new(&project("wall", 2)),
        broker,
    };
    let applied = machine.start("apply").end().with(0);
    assert!(applied.out.contains("shop"), "{}", applied.out);
    let mut gateway = machine.start("gateway");
    let door = Machine::address(&mut gateway);
    let mut clock = machine.start("clock");
    let clock = Machine::address(&mut clock);

    // Each is asked by the name that the others know it by.
    let lines: String = (0..50)
        .map(|row| {
            let at = BEGIN + row * 1_000;
            format!(
                "{{\"customer\":\"c{}\",\"amount\":1.5,\"paid\":true,\"at\":{at}}}\n",
                row % 7
            )
        })
        .collect();
    let headers = [("host", "gateway:7878"), crate::client::LINES];
    let path = "/v1/sources/orders";
    let reply = request(door, "POST", path, &headers, lines.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
    let behind = |topic: &str| Page::of(door).sum("mainstem_lag_records", &[("topic", topic)]);
    let arrivals = "shop.arrivals.orders";
    until("the gateway sees what waits", || behind(arrivals) >= 50.0);

    let mut processor = machine.start("processor");
    let worker = Machine::address(&mut processor);
    for (address, name) in [(door, "gateway"), (worker, "processor"), (clock, "clock")] {
        let reply = request(address, "GET", "/readyz", &[("host", name)], b"");
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let port = address.port().to_string();
        machine.place.run(&["health", "--port", &port]).with(0);
    }
    until("nothing waits", || {
        let page = Page::of(worker);
        behind(arrivals) == 0.0
            && page.sum("mainstem_lag_records", &[("topic", arrivals)]) == 0.0
            && page.sum("mainstem_log_readable", &[]) == 1.0
    });
    let page = Page::of(worker);
    let written = [("topic", "shop.features.spending")];
    assert_eq!(page.sum("mainstem_records_written_total", &written), 50.0);
    assert!(page.sum("mainstem_commit_seconds_count", &[]) >= 1.0);
    assert!(page.sum("mainstem_tasks_owned", &[]) >= 5.0);
}
