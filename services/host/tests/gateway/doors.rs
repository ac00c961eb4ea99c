//! Predictions for whoever asks.

use std::collections::BTreeSet;

use mainstem_host::auditor::{self, Asked, Parts};
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::TaskId;
use mainstem_rooms::machines::machine;
use mainstem_schemas::{Digest, Millis, PredictionId};
use serde_json::{Value, json};

use super::client::{JSON, Reply, get, post, request};
use super::world::{NOON, Shop};

const INFER: &str = "/v2/models/returns/infer";

fn ask(data: Value, rows: usize, parameters: Value) -> String {
    let tensor = json!({"name": "features", "shape": [rows, 2], "datatype": "FP64", "data": data});
    json!({"id": "mine", "parameters": parameters, "inputs": [tensor]}).to_string()
}

fn open() -> Shop {
    let shop = Shop::new("stream");
    shop.tick(NOON);
    shop.write("deployments", [shop.started("v1", shop.model(1))]);
    shop
}

/// Audits the log; what was written by hand, and not by a room, is no matter.
fn parts<'a>(shop: &'a Shop, resolver: &'a StoreResolver) -> Parts<'a> {
    Parts {
        log: shop.store.log.as_ref(),
        blobs: shop.store.blobs.as_ref(),
        resolver,
        factory: &machine,
        project: &shop.project,
    }
}

fn audit(shop: &Shop) -> auditor::Report {
    let resolver = StoreResolver::new(shop.store.blobs.clone());
    auditor::verify(&parts(shop, &resolver), &mut |_| {}).unwrap()
}

fn unexpected(report: &auditor::Report) -> Vec<String> {
    let said = report.findings.iter().map(ToString::to_string);
    said.filter(|said| !said.contains("shop.deployments") && !said.contains("names the blob"))
        .collect()
}

#[test]
fn an_answer_is_in_the_log_before_it_is_given() {
    let shop = open();
    let (handle, address) = shop.serve();
    let reply = post(
        address,
        INFER,
        &ask(json!([[9.5, 1], [null, 0]]), 2, json!({"entity": "ada"})),
    );
    let made = shop.predictions();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let told = reply.json();
    assert_eq!(
        (
            told["model_name"].as_str(),
            told["model_version"].as_str(),
            told["id"].as_str()
        ),
        (Some("returns"), Some("v1"), Some("mine"))
    );
    let outputs = json!([
        {"name": "probability", "datatype": "FP64", "shape": [2], "data": [1.0, 0.0]},
        {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]},
    ]);
    assert_eq!(told["outputs"], outputs);
    let [first, second] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!(
        (first.event_time, first.target_time),
        (NOON, Millis(NOON.0 + 86_400_000))
    );
    assert_eq!(
        (first.entity.as_str(), first.class, first.inputs.as_deref()),
        ("ada", 1, Some(&[9.5, 1.0][..]))
    );
    let missing = second.inputs.as_ref().unwrap();
    assert!(missing[0].is_nan() && missing[1] == 0.0);
    assert_eq!(
        told["parameters"]["origins"],
        json!([first.origin, second.origin])
    );
    assert_ne!(first.origin, second.origin);
    let predictions = told["parameters"]["predictions"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(predictions.len(), 2);
    assert_ne!(predictions[0], predictions[1]);

    // One output, a time of one's own, a flat tensor of the other type.
    let tensor = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0]});
    let parameters = json!({"entity": "bob", "event_time": "2001-09-09T00:00:00Z"});
    let body =
        json!({"parameters": parameters, "inputs": [tensor], "outputs": [{"name": "label"}]});
    let told = post(address, INFER, &body.to_string()).json();
    assert_eq!(
        told["outputs"],
        json!([{"name": "label", "datatype": "INT64", "shape": [1], "data": [0]}])
    );
    assert_eq!(told["parameters"]["event_time"], "2001-09-09T00:00:00Z");
    handle.stop();
    assert_eq!(first.actor.as_deref(), Some("http"));
    let report = audit(&shop);
    assert_eq!(unexpected(&report), [] as [&str; 0]);
    assert!(report.derived_events >= 3, "{report}");
    // The id in the answer leads back to it.
    let handed = predictions[0].as_str().unwrap();
    let asked = Asked {
        id: handed,
        version: None,
        role: None,
    };
    let resolver = StoreResolver::new(shop.store.blobs.clone());
    let explained = auditor::explain(&parts(&shop, &resolver), &asked).unwrap();
    let id: PredictionId = handed.parse().unwrap();
    assert_eq!(explained.steps[0].id, Some(id.event));
}

#[test]
fn what_cannot_be_predicted_is_told_and_leaves_nothing() {
    let shop = open();
    let (handle, address) = shop.serve();
    let entity = json!({"entity": "ada"});
    let refused = |body: &str, status: u16, kind: &str| {
        post(address, INFER, body).problem(status, kind, INFER)
    };
    let bad = |body: &str| refused(body, 400, "bad-request");
    bad("{");
    assert!(bad("{}").contains("0 input tensors"));
    let named =
        |name: &str| json!({"name": name, "shape": [1, 1], "datatype": "FP64", "data": [1]});
    let why =
        bad(&json!({"parameters": entity, "inputs": [named("amount"), named("was")]}).to_string());
    assert!(
        why.contains("one is taken") && why.contains("order"),
        "{why}"
    );
    let why = bad(&json!({"parameters": entity, "inputs": [named("amount")]}).to_string());
    assert!(why.contains("takes 2 inputs (amount, was), not 1"), "{why}");
    assert!(bad(&ask(json!([1, 2]), 1, json!({}))).contains("entity"));
    bad(&ask(json!([1, 2]), 1, json!({"entity": ""})));
    bad(&ask(
        json!([1, 2]),
        1,
        json!({"entity": "ada", "event_time": "soon"}),
    ));
    bad(&ask(json!([1, 2, 3]), 1, entity.clone()));
    bad(&ask(json!(["1", 2]), 1, entity.clone()));
    bad(&ask(json!([1e300, 2]), 1, entity.clone()));
    bad(&ask(json!([]), 0, entity.clone()));
    let whole = json!({"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]});
    assert!(bad(&json!({"parameters": entity, "inputs": [whole]}).to_string()).contains("FP64"));
    let flat = json!({"name": "x", "shape": [2], "datatype": "FP64", "data": [1, 2]});
    assert!(
        bad(&json!({"parameters": entity, "inputs": [flat]}).to_string()).contains("[1, features]")
    );
    bad(
        &json!({"parameters": entity, "inputs": [named("x")], "outputs": [{"name": "logit"}]})
            .to_string(),
    );
    refused(&ask(json!([]), 1_001, entity.clone()), 413, "too-large");
    let far = json!({"entity": "ada", "event_time": NOON.0 + 86_400_001});
    assert!(refused(&ask(json!([1, 2]), 1, far), 422, "unprocessable").contains("ahead"));
    let path = "/v2/models/sales/infer";
    post(address, path, &ask(json!([1, 2]), 1, entity.clone())).problem(404, "unknown-model", path);
    let path = "/v2/models/other/infer";
    let why =
        post(address, path, &ask(json!([1, 2]), 1, entity)).problem(409, "nothing-deployed", path);
    assert!(why.contains("promote"), "{why}");
    handle.stop();
    assert_eq!(shop.predictions(), []);
}

#[test]
fn a_door_says_what_its_model_takes() {
    let shop = open();
    let (handle, address) = shop.serve();
    let told = get(address, "/v2/models/returns").json();
    assert_eq!(told["versions"], json!(["v1"]));
    assert_eq!(
        told["inputs"],
        json!([{"name": "features", "datatype": "FP64", "shape": [-1, 2]}])
    );
    assert_eq!(told["parameters"]["features"], json!(["amount", "was"]));
    assert_eq!(
        get(address, "/v2/models/returns/ready").json()["ready"],
        true
    );
    let unready = get(address, "/v2/models/other/ready");
    unready.problem(503, "nothing-deployed", "/v2/models/other/ready");
    assert_eq!(
        get(address, "/v2/models/other").json()["versions"],
        json!([])
    );
    get(address, "/v2/models/sales").problem(404, "unknown-model", "/v2/models/sales");
    handle.stop();
}

#[test]
fn the_version_that_serves_answers_and_a_restart_goes_on() {
    let shop = open();
    let infer = |address, entity: &str| -> Reply {
        post(
            address,
            INFER,
            &ask(json!([0, 1]), 1, json!({"entity": entity})),
        )
    };
    let (handle, address) = shop.serve();
    assert_eq!(
        infer(address, "a").json()["outputs"][0]["data"],
        json!([1.0])
    );
    shop.write("deployments", [shop.started("v2", shop.model(0))]);
    let told = infer(address, "b").json();
    assert_eq!(
        (told["model_version"].as_str(), &told["outputs"][0]["data"]),
        (Some("v2"), &json!([0.0]))
    );
    handle.stop();
    let last = || {
        shop.store
            .log
            .last_turn(&TaskId("door/returns/0".into()))
            .unwrap()
            .unwrap()
    };
    let before = last();
    let (handle, address) = shop.serve();
    assert_eq!(infer(address, "c").json()["model_version"], "v2");
    handle.stop();
    let after = last();
    assert_eq!(
        (after.number, after.previous),
        (before.number + 1, before.hash),
        "the chain goes on"
    );
    assert_eq!(shop.predictions().len(), 3);
    assert_eq!(unexpected(&audit(&shop)), [] as [&str; 0]);
}

#[test]
fn two_gateways_answer_side_by_side() {
    let shop = open();
    let (one, two) = (shop.serve(), shop.serve());
    let infer = |address, entity: String| {
        let reply = post(
            address,
            INFER,
            &ask(json!([0, 1]), 1, json!({"entity": entity})),
        );
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["parameters"]["predictions"][0]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = [one.1, two.1, one.1, two.1, one.1]
            .into_iter()
            .enumerate()
            .map(|(thread, address)| {
                scope.spawn(move || {
                    (0..10)
                        .map(|n| infer(address, format!("{thread}/{n}")))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(ids.len(), 50);
    let entities: BTreeSet<String> = shop
        .predictions()
        .into_iter()
        .map(|made| made.entity)
        .collect();
    assert_eq!(
        (shop.predictions().len(), entities.len()),
        (50, 50),
        "nothing is lost, nothing doubled"
    );
    one.0.stop();
    two.0.stop();
    assert_eq!(unexpected(&audit(&shop)), [] as [&str; 0]);
}

#[test]
fn a_question_that_is_sent_again_under_its_key_gets_its_answer_and_no_second_event() {
    let shop = open();
    let send = |address, key: &str, inputs: Value| {
        let body = ask(inputs, 2, json!({"entity": "ada"}));
        let headers = [JSON, ("idempotency-key", key)];
        request(address, "POST", INFER, &headers, body.as_bytes())
    };
    let rows = || json!([[0, 1], [null, 0]]);
    let (handle, address) = shop.serve();
    let first = send(address, "k1", rows()).json();
    assert_eq!(send(address, "k1", rows()).json(), first);
    // Sent twice at once, too.
    let both = std::thread::scope(|scope| {
        let threads = [(); 8].map(|()| scope.spawn(|| send(address, "k2", rows()).json()));
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(
        both.iter()
            .all(|answer| *answer == both[0] && *answer != first)
    );
    handle.stop();
    // A champion that came meanwhile does not change what was answered.
    shop.write("deployments", [shop.started("v2", shop.model(0))]);
    let (handle, address) = shop.serve();
    assert_eq!(send(address, "k1", rows()).json(), first);
    let other = send(address, "k1", json!([[0, 1], [1, 0]]));
    let why = other.problem(422, "unprocessable", INFER);
    assert!(why.contains("a key of its own"), "{why}");
    handle.stop();
    assert_eq!(shop.predictions().len(), 4, "two questions of two rows");
    assert_eq!(unexpected(&audit(&shop)), [] as [&str; 0]);
}

#[test]
fn a_model_that_cannot_be_had_is_told() {
    let shop = Shop::new("stream");
    shop.write("deployments", [shop.started("v1", Digest::of(b"lost"))]);
    let (handle, address) = shop.serve();
    let body = ask(json!([0, 1]), 1, json!({"entity": "ada"}));
    let why = post(address, INFER, &body).problem(503, "unavailable", INFER);
    assert!(why.contains(&Digest::of(b"lost").to_string()), "{why}");
    // Once it is there, so is the answer.
    shop.write("deployments", [shop.started("v2", shop.model(1))]);
    post(address, INFER, &body).problem(503, "unavailable", INFER);
    shop.store.blobs.put(b"lost").unwrap();
    let why = post(address, INFER, &body).problem(503, "unavailable", INFER);
    assert!(why.contains("ONNX"), "{why}");
    handle.stop();
}
