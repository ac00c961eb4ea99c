//! The doors of an `up` that runs: records, questions and requests of people, and what they refuse.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use mainstem_schemas::events::{Event, Role};
use serde_json::{Value, json};

use crate::client::{JSON, LINES, get, post, request};
use crate::place::Place;
use crate::process::{Process, until};
use crate::shop::{BEGIN, HEADER, orders, project};

const ORDERS: &str = "/v1/sources/orders";
const INFER: &str = "/v2/models/pays/infer";

fn up(place: &Place) -> (Process, SocketAddr) {
    let mut up = place.start(&["up", "--port", "0"]);
    let address = up.address();
    (up, address)
}

/// An order as JSON, with one field as given.
fn order(field: &str, value: &str) -> String {
    let mut fields = vec![
        ("customer", "\"ada\"".to_owned()),
        ("amount", "1.5".into()),
        ("paid", "true".into()),
        ("at", BEGIN.to_string()),
    ];
    fields.retain(|(name, _)| *name != field);
    if !value.is_empty() {
        fields.push((field, value.into()));
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn records_that_do_not_fit_are_told_and_kept_and_the_others_are_taken() {
    let place = Place::applied(&project("wall", 2));
    let (up, address) = up(&place);
    let bad = [
        ("amount", "\"much\"", "\"much\""),
        ("amount", "1e999", "amount"),
        ("amount", "null", "amount"),
        ("paid", "2", "paid"),
        ("at", "\"soon\"", "\"soon\""),
        ("customer", "\"\"", "customer"),
        ("customer", "", "customer is missing"),
        ("shade", "\"red\"", "\"shade\" is not declared"),
    ];
    let mut lines = format!("\u{feff}{}\r\n", order("customer", "\"first\"")).into_bytes();
    for (field, value, _) in bad {
        lines.extend(order(field, value).into_bytes());
        lines.extend(b"\r\n");
    }
    lines.extend(b"{\"customer\":\"\xff\"}\n\n");
    lines.extend(order("customer", "\"last\"").into_bytes());
    let reply = request(address, "POST", ORDERS, &[LINES], &lines);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let told = reply.json();
    assert_eq!(
        (&told["accepted"], &told["rejected"]),
        (&json!(2), &json!(9))
    );
    let rejects = told["rejects"].as_array().unwrap();
    let kept = place.rejected();
    for (number, ((field, _, word), told)) in bad.iter().zip(rejects).enumerate() {
        let declared = place.store().project().unwrap().sources["orders"]
            .fields
            .iter()
            .any(|f| f.name == *field);
        assert_eq!(told["field"], json!(declared.then_some(field)), "{told}");
        assert_eq!(told["line"], number + 2);
        assert!(told["reason"].as_str().unwrap().contains(word), "{told}");
        assert_eq!(kept[number].reason, told["reason"].as_str().unwrap());
        assert_eq!(kept[number].bytes, order(field, bad[number].1).into_bytes());
    }
    assert!(
        rejects[8]["reason"].as_str().unwrap().contains("UTF-8"),
        "{}",
        rejects[8]
    );
    assert_eq!((kept.len(), place.arrived().len()), (9, 2));

    // Nothing that fits: the request fails, and its records are kept all the same.
    let refused = post(address, ORDERS, &order("at", ""));
    let detail = refused.problem(422, "all-rejected", ORDERS);
    assert!(detail.contains("`rejects` says why"), "{detail}");
    assert_eq!(refused.json()["rejects"][0]["field"], "at");
    // No record at all.
    for body in ["", "{", "[]"] {
        post(address, ORDERS, body).problem(400, "bad-request", ORDERS);
    }
    assert_eq!((place.rejected().len(), place.arrived().len()), (10, 2));
    drop(up);
    place.verify();
}

#[test]
fn a_body_of_a_gibibyte_is_refused_and_costs_little_memory() {
    let place = Place::applied(&project("wall", 1));
    let (up, address) = up(&place);
    let head = |rest: &str| {
        let length = 1_u64 << 30;
        format!(
            "POST {ORDERS} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{rest}\r\n"
        )
    };
    // Who asks first, as curl does, is told at once.
    let mut polite = TcpStream::connect(address).unwrap();
    polite
        .write_all(head("expect: 100-continue\r\nconnection: close\r\n").as_bytes())
        .unwrap();
    let reply = crate::client::read(polite);
    assert!(reply.problem(413, "too-large", ORDERS).contains("8388608"));
    // Who does not is cut off.
    let mut rude = TcpStream::connect(address).unwrap();
    rude.write_all(head("").as_bytes()).unwrap();
    let piece = vec![b' '; 1 << 20];
    let sent = (0..1 << 10)
        .take_while(|_| rude.write_all(&piece).is_ok())
        .count();
    assert!(sent < 200, "{sent} MiB were taken");
    let _ = rude.read(&mut [0; 1]);
    assert!(up.peak_memory() < 200_000, "{} kB", up.peak_memory());
    assert_eq!(get(address, "/healthz").json(), json!({"status": "alive"}));
    drop(up);
    assert_eq!(
        place.count("arrivals.orders") + place.count("rejects.orders"),
        0
    );
}

fn ask(rows: Value, count: usize) -> String {
    let tensor = json!({"name": "x", "datatype": "FP64", "shape": [count, 3], "data": rows});
    json!({"inputs": [tensor], "parameters": {"entity": "ada"}}).to_string()
}

fn champion(address: SocketAddr) -> Value {
    get(address, "/v2/models/pays").json()["parameters"]["champion"].clone()
}

#[test]
fn a_model_is_asked_for_trained_asked_promoted_and_rolled_back() {
    let place = Place::applied(&project("wall", 2));
    let (up, address) = up(&place);
    assert_eq!(get(address, "/healthz").status, 200);
    assert_eq!(
        get(address, "/readyz").json(),
        json!({"status": "ready", "project": "shop"})
    );

    // Before there is a version, everything says so.
    let one = ask(json!([8.0, 5.0, 1.0]), 1);
    post(address, INFER, &one).problem(409, "nothing-deployed", INFER);
    get(address, "/v2/models/pays/ready").problem(503, "nothing-deployed", "/v2/models/pays/ready");
    let refused = |args: &[&str], words: &[&str]| place.run(args).with(1).naming(words);
    refused(
        &["retrain", "sales"],
        &["no model \"sales\"", "it has: pays"],
    );
    refused(
        &["promote", "pays", "--version", "v1"],
        &["no version \"v1\"", "none yet"],
    );
    refused(
        &["rollback", "pays"],
        &["no champion before", "promote another version"],
    );
    assert_eq!(
        place.count("requests.trigger") + place.count("requests.rollout"),
        0
    );

    place.write("rows.csv", HEADER.to_owned() + &orders(20, 0..10));
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let asked = place.run(&["retrain", "pays", "--note", "first"]).with(0);
    assert!(asked.out.starts_with("RetrainRequested: "), "{}", asked.out);
    assert!(asked.out.contains("asked for by test"), "{}", asked.out);
    // One retrain at a time.
    let again = post(address, "/v1/models/pays/retrain", "{}");
    assert_eq!(
        (again.status, &again.json()["event"]),
        (200, &json!("RetrainSuppressed"))
    );
    until("the first version serves", || champion(address) == "v1");
    refused(
        &["promote", "pays", "--version", "v1"],
        &["v1 is the champion already"],
    );
    refused(
        &["promote", "pays", "--version", "v9"],
        &["no version \"v9\"", "v1"],
    );
    refused(
        &["promote", "pays", "--version", "baseline"],
        &["never serves"],
    );

    let answer = post(address, INFER, &one).json();
    assert_eq!(answer["model_version"], "v1");
    let id = answer["parameters"]["predictions"][0].as_str().unwrap();
    let made = place
        .events("predictions.pays")
        .into_iter()
        .find_map(|(_, event)| match event {
            Event::PredictionMade(made) if made.entity == "ada" => Some(made),
            _ => None,
        });
    let made = made.unwrap();
    assert_eq!(
        (made.role, made.inputs),
        (Role::Champion, Some(vec![8.0, 5.0, 1.0]))
    );
    assert_eq!(answer["outputs"][0]["data"], json!([made.probability]));
    for (rows, count, word) in [
        (json!([1.0, 2.0]), 1, "do not fill its shape"),
        (json!(["a", 1, 2]), 1, "expected a number"),
        (json!([]), 0, "send at least one row"),
    ] {
        let detail = post(address, INFER, &ask(rows, count)).problem(400, "bad-request", INFER);
        assert!(detail.contains(word), "{detail}");
    }

    // From the answer back to what it rests on.
    let explained = place.run(&["audit", "explain", id]).with(0).out;
    for step in [
        "prediction",
        "inputs",
        "version",
        "deployment",
        "gate",
        "run",
        "data set",
        "trigger",
        "evidence",
    ] {
        let begins = |line: &str| line.starts_with(step);
        assert!(
            explained.lines().any(begins),
            "{step} is not in {explained}"
        );
    }
    let unknown = "00".repeat(16);
    refused(
        &["audit", "explain", &unknown],
        &[&unknown, "the newest there is"],
    );
    refused(
        &["audit", "explain", "yesterday"],
        &["\"yesterday\" is no id", "32 hexadecimal"],
    );
    refused(
        &["audit", "explain", id, "--version", "v7"],
        &["no such version", "v1"],
    );

    // A challenger, in place of the champion before its time, and back.
    place.run(&["retrain", "pays"]).with(0);
    until("a challenger is deployed", || {
        get(address, "/v2/models/pays").json()["parameters"]["shadows"]
            .to_string()
            .contains("v2")
    });
    let promoted = place.run(&["promote", "pays", "--version", "v2"]).with(0);
    assert!(promoted.out.starts_with("Promoted: "), "{}", promoted.out);
    assert_eq!(post(address, INFER, &one).json()["model_version"], "v2");
    let back = place.run(&["rollback", "pays"]).with(0);
    assert!(back.out.starts_with("RolledBack: "), "{}", back.out);
    assert_eq!(post(address, INFER, &one).json()["model_version"], "v1");
    let actors = place
        .events("requests.rollout")
        .into_iter()
        .map(|(envelope, _)| envelope.actor);
    assert!(
        actors
            .into_iter()
            .all(|actor| actor.as_deref() == Some("test"))
    );
    drop(up);
    place.verify();
}

#[test]
fn a_key_makes_a_request_one_and_the_same() {
    let place = Place::applied(&project("wall", 1));
    let (up, address) = up(&place);
    let headers = [JSON, ("idempotency-key", "k1"), ("x-mainstem-actor", "ada")];
    let retrain = || request(address, "POST", "/v1/models/pays/retrain", &headers, b"{}").json();
    assert_eq!(retrain()["request"], retrain()["request"]);
    let requests = place.events("requests.trigger");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].0.actor.as_deref(), Some("ada"));
    drop(up);
    place.verify();
}
