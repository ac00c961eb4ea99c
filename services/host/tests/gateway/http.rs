//! What every request meets: limits, refusals, health.

use std::io::Write;
use std::net::TcpStream;

use mainstem_host::Store;
use mainstem_host::gateway::{self, GatewayError, Options};

use super::client::{JSON, get, post, read, request};
use super::world::Shop;

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let taken = gateway::start(
        &shop.store,
        &Options {
            port: address.port(),
            ..Options::default()
        },
    );
    let error = taken.err().unwrap();
    assert!(matches!(error, GatewayError::PortInUse(port) if port == address.port()));
    let said = error.to_string();
    assert!(
        said.contains(&address.port().to_string()) && said.contains("--port"),
        "{said}"
    );
    handle.stop();
    // It is free again at once.
    gateway::start(
        &shop.store,
        &Options {
            port: address.port(),
            ..Options::default()
        },
    )
    .unwrap()
    .stop();
}

#[test]
fn it_says_whether_it_lives_and_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let handle = gateway::start(&store, &Options::default()).unwrap();
    let address = handle.address();
    assert!(address.ip().is_loopback());
    assert_eq!(get(address, "/healthz").status, 200);
    assert_eq!(get(address, "/v2/health/live").json()["live"], true);
    for path in ["/readyz", "/v2/health/ready"] {
        let why = get(address, path).problem(503, "unavailable", path);
        assert!(why.contains("mainstem apply"), "{why}");
    }
    handle.stop();

    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    assert_eq!(get(address, "/readyz").json()["project"], "shop");
    assert_eq!(get(address, "/v2/health/ready").json()["ready"], true);
    assert_eq!(get(address, "/v2").json()["name"], "mainstem");
    handle.stop();
}

#[test]
fn whatever_is_refused_is_a_problem_with_its_members() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let orders = "/v1/sources/orders";
    let path = "/v1/nothing?x=1";
    let why = get(address, path).problem(404, "no-such-path", "/v1/nothing");
    assert!(why.contains("/v1/sources/"), "{why}");
    let refused = get(address, orders);
    refused.problem(405, "method-not-allowed", orders);
    assert_eq!(refused.header("allow"), Some("POST"));
    let refused = request(
        address,
        "POST",
        orders,
        &[("content-type", "text/csv")],
        b"a,b",
    );
    let why = refused.problem(415, "unsupported-media-type", orders);
    assert!(why.contains("application/x-ndjson"), "{why}");
    assert_eq!(
        refused.header("accept"),
        Some("application/json, application/x-ndjson")
    );
    request(address, "POST", orders, &[], b"{}").problem(415, "unsupported-media-type", orders);
    let packed = [JSON, ("content-encoding", "gzip")];
    request(address, "POST", orders, &packed, b"{}").problem(415, "unsupported-media-type", orders);

    let long = vec![b' '; (8 << 20) + 1];
    let why = request(address, "POST", orders, &[JSON], &long).problem(413, "too-large", orders);
    assert!(why.contains("8388608"), "{why}");
    let many = format!("[{}{{}}]", "{},".repeat(10_000));
    let why = post(address, orders, &many).problem(413, "too-large", orders);
    assert!(why.contains("10001 records"), "{why}");

    for (actor, fits) in [("ada@example.com", true), ("", false), ("<b>", false)] {
        let reply = request(
            address,
            "POST",
            "/v1/models/none/retrain",
            &[("x-mainstem-actor", actor)],
            b"",
        );
        if fits {
            reply.problem(404, "unknown-model", "/v1/models/none/retrain");
        } else {
            reply.problem(400, "bad-request", "/v1/models/none/retrain");
        }
    }
    let long = "a".repeat(129);
    request(
        address,
        "POST",
        orders,
        &[JSON, ("x-mainstem-actor", &long)],
        b"{}",
    )
    .problem(400, "bad-request", orders);
    request(
        address,
        "POST",
        orders,
        &[JSON, ("idempotency-key", "k")],
        b"{}",
    )
    .problem(400, "bad-request", orders);
    handle.stop();
    assert_eq!(shop.records("arrivals.orders"), []);
    assert_eq!(shop.records("rejects.orders"), []);
}

#[test]
fn pages_of_other_machines_are_refused() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let asked = |headers: &[(&str, &str)]| request(address, "GET", "/healthz", headers, b"");
    for host in ["localhost", "LocalHost:80", "127.0.0.1", "[::1]:7878"] {
        assert_eq!(asked(&[("host", host)]).status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
    ] {
        asked(&[("host", host)]).problem(421, "foreign-host", "/healthz");
    }
    assert_eq!(asked(&[("origin", "http://localhost:3000")]).status, 200);
    for origin in ["https://evil.example", "null"] {
        asked(&[("origin", origin)]).problem(403, "foreign-origin", "/healthz");
    }
    handle.stop();
}

#[test]
fn too_many_at_once_are_turned_away_and_a_slow_body_is_not_waited_for() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let head = format!(
        "POST /v1/sources/orders HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{{"
    );
    // More than there are places, for a question below may take one before the last of them comes.
    let mut slow: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    // All places are taken once one is turned away.
    let busy = (0..200)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let reply = post(address, "/v1/sources/none", "{}");
            (reply.status != 404).then_some(reply)
        })
        .unwrap();
    busy.problem(503, "busy", "/v1/sources/none");
    assert_eq!(busy.header("retry-after"), Some("1"));
    assert_eq!(get(address, "/healthz").status, 200, "health has no queue");
    let late = read(slow.remove(0));
    late.problem(408, "too-slow", "/v1/sources/orders");
    drop(slow);
    handle.stop();
}

#[test]
fn a_stop_takes_less_than_a_second() {
    let shop = Shop::new("wall");
    let (handle, address) = shop.serve();
    // Nobody ticks: this one would wait for ten seconds.
    let waiting = std::thread::spawn(move || post(address, "/v1/models/returns/retrain", "{}"));
    while shop.records("requests.trigger").is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let idle = TcpStream::connect(address).unwrap();
    let began = std::time::Instant::now();
    handle.stop();
    assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
    let answer = waiting.join().unwrap();
    assert_eq!(
        answer.status, 202,
        "what is in the log is told: {}",
        answer.body
    );
    drop(idle);
}
