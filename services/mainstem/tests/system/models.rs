//! Models that cannot be used: each is named with its remedy, and what does not need it goes on.

use std::net::SocketAddr;

use mainstem_host::blobs::DirBlobs;
use mainstem_kernel::Partition;
use mainstem_schemas::events::{DeploymentStarted, Event, Role};
use mainstem_schemas::{Batch, Digest, Envelope, EventId, Millis};
use serde_json::json;

use crate::client::{Reply, get, post};
use crate::place::Place;
use crate::process::{Process, until};
use crate::shop::{BEGIN, HEADER, NAME, orders, project};

const INFER: &str = "/v2/models/pays/infer";

fn up(place: &Place) -> (Process, SocketAddr) {
    let mut up = place.start(&["up", "--port", "0"]);
    let address = up.address();
    (up, address)
}

fn infer(address: SocketAddr) -> Reply {
    let tensor = json!({"name": "x", "datatype": "FP64", "shape": [1, 3], "data": [8.0, 5.0, 1.0]});
    let body = json!({"inputs": [tensor], "parameters": {"entity": "ada"}});
    post(address, INFER, &body.to_string())
}

/// With a first version that serves; its ONNX file.
fn served() -> (Place, Process, SocketAddr, Digest) {
    let place = Place::applied(&project("wall", 2));
    let (up, address) = up(&place);
    place.write("first.csv", HEADER.to_owned() + &orders(8, 0..10));
    place.run(&["publish", "orders", "first.csv"]).with(0);
    place.run(&["retrain", "pays"]).with(0);
    until("the first version serves", || {
        get(address, "/v2/models/pays").json()["versions"] == json!(["baseline", "v1"])
    });
    let onnx = place
        .events("models")
        .into_iter()
        .find_map(|(_, event)| match event {
            Event::ModelVersionRegistered(version) if version.version == "v1" => Some(version.onnx),
            _ => None,
        });
    (place, up, address, onnx.unwrap())
}

#[test]
fn a_damaged_model_stops_its_predictions_alone_and_a_copy_mends_it() {
    let (place, running, address, onnx) = served();
    assert_eq!(infer(address).status, 200);
    drop(running);
    let blobs = DirBlobs::open(&place.data().join("blobs")).unwrap();
    let file = blobs.path(&onnx);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, "no model").unwrap();

    let (mut running, address) = up(&place);
    running.warns(&format!("{onnx}"));
    let why = infer(address).problem(503, "unavailable", INFER);
    for said in [&why, &running.err()] {
        assert!(
            said.contains(&onnx.to_string()) && said.contains("restore"),
            "{said}"
        );
    }
    running.warns("predict/pays/0 waits");
    place.write("next.csv", HEADER.to_owned() + &orders(8, 10..15));
    place.run(&["publish", "orders", "next.csv"]).with(0);
    until("the features are there", || {
        place.count("features.spending") == 120
    });
    let found = place.run(&["audit", "verify"]).with(1).out;
    assert!(found.contains(&onnx.to_string()), "{found}");

    std::fs::write(&file, bytes).unwrap();
    // Of each of the new rows by the champion, the control and the naive forecast, and one that was asked for.
    until("the predictions are there", || {
        place.count("predictions.pays") == 3 * 40 + 1
    });
    assert_eq!(infer(address).status, 200);
    drop(running);
    place.verify();
}

/// Deploys a model as a champion, as if somebody had brought it.
fn deploy(place: &Place, version: &str, onnx: Digest) {
    let catalog = place.store().catalog(NAME).unwrap();
    let event = Event::from(DeploymentStarted {
        model: "pays".into(),
        version: version.into(),
        role: Role::Champion,
        onnx,
        features: ["amount", "mean", "paid"].map(str::to_owned).into(),
        view: Digest::default(),
        profile: None,
        prediction_profile: None,
        since: Millis(BEGIN),
    });
    let (mut batch, mut value) = (Batch::new(), Vec::new());
    event.encode(&catalog, &mut value).unwrap();
    let envelope = Envelope {
        id: EventId::named("test", version.as_bytes()),
        kind: event.name().into(),
        ..Envelope::default()
    };
    envelope.push(&mut batch, Some(b"pays"), &value);
    let deployments = Partition::new(&format!("{NAME}.deployments"), 0);
    let mut writer = place.store().log.writer("test").unwrap();
    writer.append(&[(deployments, batch)]).unwrap();
}

#[test]
fn a_file_that_is_no_model_and_one_that_takes_other_inputs_are_named() {
    for (bytes, word) in [
        (b"no model".to_vec(), "not an ONNX model"),
        (mainstem_models::persistence(5, 0), "5"),
    ] {
        let place = Place::applied(&project("wall", 1));
        let onnx = place.store().blobs.put(&bytes).unwrap();
        deploy(&place, "v1", onnx);
        let (mut running, address) = up(&place);
        let why = infer(address).problem(503, "unavailable", INFER);
        running.warns("predict/pays/0 waits");
        for said in [&why, &running.err()] {
            assert!(
                said.contains(&onnx.to_string()) && said.contains(word),
                "{said}"
            );
        }
        place.write("rows.csv", HEADER.to_owned() + &orders(8, 0..5));
        place.run(&["publish", "orders", "rows.csv"]).with(0);
        until("the features are there", || {
            place.count("features.spending") == 40
        });
        assert_eq!(place.count("predictions.pays"), 0);
    }
}
