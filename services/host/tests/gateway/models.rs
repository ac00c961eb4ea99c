//! Requests about models: asked over HTTP and by the commands' own function.

use mainstem_host::gateway::ask::{Answer, AskError, ask};
use mainstem_host::{processor, ticker};
use mainstem_schemas::EventId;
use mainstem_schemas::events::*;
use serde_json::json;

use super::client::{JSON, get, post, request};
use super::world::{NOON, Shop};

fn approved(version: &str) -> Event {
    ModelApproved {
        model: "returns".into(),
        version: version.into(),
        detail: "better".into(),
    }
    .into()
}

fn rejected(version: &str) -> Event {
    let retrain = EventId::named("run", version.as_bytes());
    ModelRejected {
        model: "returns".into(),
        version: version.into(),
        retrain,
        detail: "worse".into(),
    }
    .into()
}

fn promoted(version: &str) -> Event {
    Promoted {
        model: "returns".into(),
        version: version.into(),
        previous: None,
        retrain: None,
        detail: String::new(),
        since: NOON,
    }
    .into()
}

#[test]
fn a_request_waits_for_the_tick_and_names_its_actor() {
    let shop = Shop::new("stream");
    shop.tick(NOON);
    let (handle, address) = shop.serve();
    let headers = [JSON, ("x-mainstem-actor", "ada")];
    let path = "/v1/models/returns/retrain";
    let asked = request(address, "POST", path, &headers, br#"{"note": "new shelf"}"#);
    assert_eq!(asked.status, 202, "{}", asked.body);
    let id: EventId = asked.json()["request"].as_str().unwrap().parse().unwrap();
    let found = shop.events("requests.trigger");
    let [(envelope, Event::RetrainAsked(event))] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (envelope.id, envelope.actor.as_deref(), envelope.time),
        (id, Some("ada"), NOON)
    );
    assert_eq!(
        (event.model.as_str(), event.note.as_str()),
        ("returns", "new shelf")
    );

    // Nothing more to say needs no body, and is another request.
    assert_eq!(request(address, "POST", path, &[], b"").status, 202);
    assert_eq!(
        shop.events("requests.trigger")[1].0.actor.as_deref(),
        Some("http")
    );
    handle.stop();

    let event = RetrainAsked {
        model: "returns".into(),
        note: String::new(),
    }
    .into();
    let answer = ask(
        &shop.store,
        &shop.project,
        "requests.trigger",
        "returns",
        &event,
        "bob",
    )
    .unwrap();
    let id = match answer {
        Answer::Waiting(id) => id,
        other => panic!("{other:?}"),
    };
    let (envelope, _) = shop.events("requests.trigger").pop().unwrap();
    assert_eq!((envelope.id, envelope.actor.as_deref()), (id, Some("bob")));
}

#[test]
fn a_key_makes_a_request_one() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let asked = |path: &str, key: &str| {
        let headers = [JSON, ("idempotency-key", key)];
        let reply = request(address, "POST", path, &headers, b"{}");
        assert_eq!(reply.status, 202, "{}", reply.body);
        reply.json()["request"].as_str().unwrap().to_owned()
    };
    let path = "/v1/models/returns/retrain";
    let ids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| asked(path, "k1"))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(shop.events("requests.trigger").len(), 1);
    assert_ne!(asked(path, "k2"), ids[0]);
    assert_ne!(asked("/v1/models/other/retrain", "k1"), ids[0]);
    assert_eq!(shop.events("requests.trigger").len(), 3);
    request(
        address,
        "POST",
        path,
        &[JSON, ("idempotency-key", "a b")],
        b"",
    )
    .problem(400, "bad-request", path);
    handle.stop();
}

#[test]
fn what_would_be_refused_is_not_asked() {
    let shop = Shop::new("stream");
    let (onnx, path) = (shop.model(1), |door: &str| {
        format!("/v1/models/returns/{door}")
    });
    shop.write(
        "models",
        [
            shop.registered("v1", onnx),
            shop.registered("v2", onnx),
            rejected("v2"),
        ],
    );
    shop.write("deployments", [shop.started("v1", onnx), promoted("v1")]);
    let (handle, address) = shop.serve();
    let refused = |door: &str, body: &str, status, kind: &str| {
        let path = path(door);
        post(address, &path, body).problem(status, kind, &path)
    };
    let unknown = post(address, "/v1/models/sales/retrain", "{}");
    let why = unknown.problem(404, "unknown-model", "/v1/models/sales/retrain");
    assert!(why.contains("other, returns"), "{why}");
    let why = refused("promote", r#"{"version": "v9"}"#, 404, "unknown-version");
    assert!(why.contains("v1, v2"), "{why}");
    let why = refused("promote", r#"{"version": "v2"}"#, 409, "conflict");
    assert!(why.contains("rejected"), "{why}");
    let why = refused("promote", r#"{"version": "v1"}"#, 409, "conflict");
    assert!(why.contains("already"), "{why}");
    refused("promote", r#"{"version": "baseline"}"#, 409, "conflict");
    let why = refused("rollback", "{}", 409, "conflict");
    assert!(why.contains("promote"), "{why}");
    refused("promote", "{}", 422, "unprocessable");
    refused("retrain", r#"{"version": "v1"}"#, 422, "unprocessable");
    refused("rollback", r#"{"version": "v1"}"#, 422, "unprocessable");
    let why = refused("retrain", r#"{"nota": ""}"#, 400, "bad-request");
    assert!(why.contains("nota"), "{why}");
    refused("retrain", "[", 400, "bad-request");
    refused(
        "retrain",
        &json!({"note": "x".repeat(2_001)}).to_string(),
        422,
        "unprocessable",
    );
    let csv = request(
        address,
        "POST",
        &path("retrain"),
        &[("content-type", "text/csv")],
        b"",
    );
    csv.problem(415, "unsupported-media-type", &path("retrain"));
    handle.stop();
    assert_eq!(shop.events("requests.trigger"), []);
    assert_eq!(shop.events("requests.rollout"), []);
    let event = RollbackAsked {
        model: "sales".into(),
        note: String::new(),
    }
    .into();
    let error = ask(
        &shop.store,
        &shop.project,
        "requests.rollout",
        "sales",
        &event,
        "bob",
    )
    .unwrap_err();
    assert!(matches!(error, AskError::UnknownModel { .. }), "{error}");
}

#[test]
fn the_answer_is_the_event_that_the_request_caused() {
    let shop = Shop::new("wall");
    let onnx = shop.model(1);
    let versions = ["v1", "v2"].map(|version| [shop.registered(version, onnx), approved(version)]);
    shop.write("models", versions.into_iter().flatten());
    let options = processor::Options::new(1, "test".into());
    let workers = processor::start(&shop.store, &options).unwrap();
    let clock = ticker::start(&shop.store).unwrap();
    let (handle, address) = shop.serve();
    while get(address, "/v2/models/returns/ready").status != 200 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let done = |door: &str, body: &str| {
        let headers = [JSON, ("x-mainstem-actor", "ada"), ("idempotency-key", door)];
        let reply = request(
            address,
            "POST",
            &format!("/v1/models/returns/{door}"),
            &headers,
            body.as_bytes(),
        );
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply
    };
    let serves = || {
        get(address, "/v2/models/returns").json()["parameters"]["champion"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let promotion = done("promote", r#"{"version": "v2", "note": "it is time"}"#);
    assert_eq!(
        (promotion.json()["event"].as_str(), serves().as_str()),
        (Some("Promoted"), "v2")
    );
    assert_eq!(promotion.json()["value"]["version"], "v2");
    let again = done("promote", r#"{"version": "v2", "note": "it is time"}"#);
    assert_eq!(
        again.json(),
        promotion.json(),
        "the same request has the same answer"
    );
    let back = done("rollback", "{}");
    assert_eq!(
        (back.json()["event"].as_str(), serves().as_str()),
        (Some("RolledBack"), "v1")
    );
    let retrain = done("retrain", r#"{"note": "new shelf"}"#);
    assert_eq!(retrain.json()["event"], "RetrainRequested");
    assert!(
        retrain.json()["value"]["detail"]
            .as_str()
            .unwrap()
            .contains("ada"),
        "{}",
        retrain.body
    );
    handle.stop();
    clock.stop();
    workers.stop();
    assert_eq!(shop.events("requests.rollout").len(), 2);
}
