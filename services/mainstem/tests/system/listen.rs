//! Doors on other addresses: who is answered to, and by which names.

use std::net::SocketAddr;
use std::process::Stdio;

use crate::client::{get, request};
use crate::place::Place;
use crate::shop::project;

/// The same port on the loopback address, which an address for all is on too.
fn near(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], address.port()))
}

#[test]
fn doors_for_other_machines_answer_to_the_names_that_they_were_given() {
    let place = Place::applied(&project("wall", 1));
    let args = ["run", "gateway", "--port", "0", "--listen", "0.0.0.0"];
    place
        .run(&args)
        .with(1)
        .naming(&["0.0.0.0", "--host NAME", "MAINSTEM_HOSTS"]);

    let named = [&args[..], &["--host", "gateway", "--host", "ml.example"]].concat();
    let mut gateway = place.start(&named);
    let address = gateway.address();
    assert!(address.ip().is_unspecified(), "{address}");
    let port = address.port();
    let asked = |host: &str| request(near(address), "GET", "/readyz", &[("host", host)], b"");
    for host in [
        "gateway",
        "ML.example",
        "localhost",
        &format!("gateway:{port}"),
    ] {
        assert_eq!(asked(host).status, 200, "{host}");
    }
    for host in ["gateway.evil.example", "0.0.0.0", "other"] {
        let detail = asked(host).problem(421, "foreign-host", "/readyz");
        assert!(detail.contains("--host NAME"), "{detail}");
    }
    let page = |from: &str| {
        let headers = [("host", "gateway"), ("origin", from)];
        request(near(address), "GET", "/readyz", &headers, b"")
    };
    assert_eq!(page("http://gateway").status, 200);
    page("http://evil.example").problem(403, "foreign-origin", "/readyz");
}

#[test]
fn names_come_from_the_environment_too_and_an_address_of_no_use_is_told() {
    let place = Place::applied(&project("wall", 1));
    let variables = [
        ("MAINSTEM_LISTEN", "0.0.0.0"),
        ("MAINSTEM_HOSTS", "worker,ml.example"),
    ];
    let args = ["run", "processor", "--port", "0"];
    let mut processor = place.start_with(&args, &variables, Stdio::null());
    let address = near(processor.address());
    for host in ["worker", "ml.example:80"] {
        let reply = request(address, "GET", "/metrics", &[("host", host)], b"");
        assert_eq!(reply.status, 200, "{host}");
    }
    let reply = request(address, "GET", "/metrics", &[("host", "gateway")], b"");
    reply.problem(421, "foreign-host", "/metrics");

    let up = |rest: &[&str]| place.run(&[&["up", "--port", "0"], rest].concat());
    // An address that is set aside for documents: no machine has it.
    up(&["--listen", "203.0.113.9"]).with(1).naming(&[
        "203.0.113.9",
        "no address of this machine",
        "--listen",
    ]);
    up(&["--listen", "here"])
        .with(2)
        .naming(&["here", "--listen"]);
    for host in ["http://gateway", "gateway:7878", ""] {
        up(&["--host", host])
            .with(2)
            .naming(&["the name alone", "--host"]);
    }
}

#[test]
fn a_service_is_asked_whether_it_is_ready_by_its_own_binary() {
    let place = Place::applied(&project("wall", 1));
    let mut clock = place.start(&["run", "clock", "--port", "0"]);
    let address = clock.address();
    assert_eq!(get(address, "/readyz").status, 200);
    let port = address.port().to_string();
    let health = place.run(&["health", "--port", &port]).with(0);
    assert!(health.out.contains("\"ready\""), "{}", health.out);
    clock.kill();
    place
        .run(&["health", "--port", &port])
        .with(1)
        .naming(&["nothing answers", &port]);
}
