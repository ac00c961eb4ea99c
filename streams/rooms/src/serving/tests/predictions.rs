//! Every deployed version answers every row, in order, however the runs are cut.

use std::sync::Arc;

use mainstem_columns::put_features;
use mainstem_kernel::Partition;
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentEnded, DeploymentStarted, Event, PredictionMade, Role};
use mainstem_schemas::{Batch, Digest, EventId, Millis};
use proptest::prelude::*;

use super::the_project;
use crate::harness::{Bench, Halves, Times, cut, events, spec};
use crate::serving::{Inference, NoInference, PredictMachine, inference};

pub fn deployment(version: &str, role: Role, features: &[&str]) -> DeploymentStarted {
    DeploymentStarted {
        model: "m".into(),
        version: version.into(),
        role,
        onnx: Digest::of(version.as_bytes()),
        features: features.iter().map(|name| (*name).to_owned()).collect(),
        view: Digest::default(),
        profile: None,
        prediction_profile: None,
        since: Millis(0),
    }
}

fn bench() -> Bench<PredictMachine> {
    let project = the_project();
    let machine = PredictMachine::new("p", "m");
    Bench::new(machine, spec(&project, "predict/m/0"), &project).with(Arc::new(Halves))
}

pub fn rows(schema: u32, values: &[(Option<f64>, Option<f64>)]) -> Batch {
    let mut batch = Batch::new();
    for (row, (f, g)) in values.iter().enumerate() {
        let id = EventId::row(7, 1, row as u64);
        batch.push_value(
            Some(b"e"),
            |out| put_features(out, schema, &id, Millis(1000 * row as i64), "e", [*f, *g]),
            [],
        );
    }
    batch
}

fn deploy(bench: &mut Bench<PredictMachine>, deployments: &[DeploymentStarted]) {
    let batch = events(
        &bench.catalog,
        "m",
        deployments.iter().cloned().map(Event::from),
    );
    bench.feed(0, &batch);
}

fn predictions(bench: &Bench<PredictMachine>) -> Vec<PredictionMade> {
    let events = bench.events("p.predictions.m").into_iter();
    events
        .map(|event| match event {
            Event::PredictionMade(event) => event,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn every_deployed_version_answers_every_row_in_order() {
    let mut bench = bench();
    let schema = bench.catalog.id_of("features.v").unwrap();
    let batch = rows(schema, &[(Some(1.0), Some(0.5)), (Some(0.5), Some(1.5))]);
    bench.feed(1, &batch);
    assert_eq!(predictions(&bench), [], "nothing is deployed");

    let shadow = deployment("2", Role::Shadow, &["g", "f"]);
    deploy(
        &mut bench,
        &[shadow, deployment("1", Role::Champion, &["f"])],
    );
    bench.feed(1, &batch);
    let got = predictions(&bench);
    let short = |p: &PredictionMade| (p.event_time.0, p.version.clone(), p.probability, p.class);
    let got_short: Vec<_> = got.iter().map(short).collect();
    let want = [
        (0, "1", 0.5, 1),
        (0, "2", 0.25, 0),
        (1000, "1", 0.25, 0),
        (1000, "2", 0.75, 1),
    ];
    assert_eq!(got_short, want.map(|(t, v, p, c)| (t, v.to_owned(), p, c)));
    assert_eq!(got[2].origin, EventId::row(7, 1, 1));
    assert_eq!(
        (got[2].target_time, got[2].entity.as_str()),
        (Millis(2000), "e")
    );
    assert_eq!(
        (got[2].runtime.as_str(), &got[2].inputs),
        ("times 1", &None)
    );

    let ended = DeploymentEnded {
        model: "m".into(),
        version: "2".into(),
        role: Role::Shadow,
        ..ended()
    };
    let batch_of_end = events(&bench.catalog, "m", [ended.into()]);
    bench.feed(0, &batch_of_end);
    bench.feed(1, &batch);
    assert_eq!(predictions(&bench).len(), 4 + 2);
}

fn ended() -> DeploymentEnded {
    let examples = include_str!("../../../../../schemas/examples/DeploymentEnded/v1.json");
    let examples: Vec<serde_json::Value> = serde_json::from_str(examples).unwrap();
    serde_json::from_value(examples[0].clone()).unwrap()
}

#[test]
fn a_row_without_an_answer_and_one_that_is_none_go_to_quarantine() {
    let mut bench = bench();
    let schema = bench.catalog.id_of("features.v").unwrap();
    let control = deployment("1", Role::Control, &["f"]);
    deploy(
        &mut bench,
        &[deployment("1", Role::Champion, &["f"]), control],
    );
    let mut batch = rows(schema, &[(None, Some(1.0))]);
    batch.push(Some(b"e"), Some(b"nonsense"), []);
    bench.feed(1, &batch);
    assert_eq!(predictions(&bench), []);
    let quarantined = bench.events("p.quarantine");
    let reasons: Vec<_> = quarantined
        .iter()
        .map(|event| event.to_json()["reason"].to_string())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].contains("starts with byte") && reasons[1].contains("gave no number"),
        "{reasons:?}"
    );
    assert!(bench.wrote.contains_key(&Partition::new("p.quarantine", 0)));
}

#[test]
fn a_door_predicts_as_the_fold_does() {
    let mut bench = bench();
    let schema = bench.catalog.id_of("features.v").unwrap();
    let champion = deployment("1", Role::Champion, &["f"]);
    deploy(&mut bench, std::slice::from_ref(&champion));
    bench.feed(1, &rows(schema, &[(Some(1.1), None)]));
    let folded = predictions(&bench).remove(0);

    let project = the_project();
    let mut deployed = Deployed::default();
    let request = Inference {
        origin: folded.origin,
        event_time: folded.event_time,
        entity: folded.entity.clone(),
        inputs: vec![1.1],
        actor: Some("ada".into()),
    };
    let model = &project.models["m"];
    let ask = |deployed: &Deployed, request| inference(deployed, &Times(0.5, 1), model, request);
    assert_eq!(
        ask(&deployed, request.clone()),
        Err(NoInference::NoChampion)
    );
    deployed.take("m", &champion.into());
    let asked = ask(&deployed, request.clone()).unwrap();
    assert_eq!(
        asked,
        PredictionMade {
            inputs: Some(vec![1.1]),
            actor: Some("ada".into()),
            ..folded
        }
    );
    let wrong = ask(
        &deployed,
        Inference {
            inputs: vec![],
            ..request.clone()
        },
    )
    .unwrap_err();
    assert_eq!(wrong.to_string(), "version 1 takes 1 inputs (f), not 0");
    let none = ask(
        &deployed,
        Inference {
            inputs: vec![f64::NAN],
            ..request
        },
    );
    assert!(matches!(none, Err(NoInference::Failed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn cuts_and_restores_change_no_bit(
        values in prop::collection::vec((prop::option::of(-2.0..2.0f64), prop::option::of(-2.0..2.0f64)), 0..1500),
        cuts in prop::collection::vec(0usize..1500, 0..10),
    ) {
        let (mut whole, mut parts) = (bench(), bench());
        let schema = whole.catalog.id_of("features.v").unwrap();
        let batch = rows(schema, &values);
        let versions = [deployment("1", Role::Champion, &["f"]), deployment("2", Role::Shadow, &["g", "f"])];
        deploy(&mut whole, &versions);
        deploy(&mut parts, &versions);
        whole.feed(1, &batch);
        for part in cut(&batch, &cuts) {
            parts.feed(1, &part);
            parts.restore();
        }
        prop_assert_eq!(&whole.output("p.predictions.m"), &parts.output("p.predictions.m"));
    }
}
