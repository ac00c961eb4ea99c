//! Models of both sides, in both runtimes.

use crate::data::table;
use crate::python::{self, floats};
use mainstem_models::{Onnx, TrainParams, persistence, train};
use prost::Message;
use std::collections::HashSet;
use tract_onnx::pb::ModelProto;

/// What is not equal to the last bit may differ by this much: both sides sum f32, in different orders.
const NEAR: f32 = 1e-6;

fn differs(ours: f32, theirs: f32) -> f32 {
    if ours.to_bits() == theirs.to_bits() || ours == theirs || (ours.is_nan() && theirs.is_nan()) {
        return 0.0;
    }
    // Relative above 1: raw scores are no probabilities.
    let difference = (ours - theirs).abs() / theirs.abs().max(1.0);
    if difference.is_nan() {
        f32::INFINITY
    } else {
        difference
    }
}

#[test]
fn their_models_in_our_runtime() {
    let mut failures = Vec::new();
    let mut largest = 0.0f32;
    for case in python::cases() {
        let model = match Onnx::load(&case.onnx, case.width) {
            Ok(model) => model,
            Err(error) => {
                failures.push(format!("{}: {error}", case.name));
                continue;
            }
        };
        let mut ours = Vec::new();
        model.predict(&case.rows, &mut ours).unwrap();
        assert_eq!(ours.len(), case.want.len(), "{}", case.name);
        let worst = ours
            .iter()
            .zip(&case.want)
            .map(|(ours, want)| differs(*ours, *want))
            .fold(0.0, f32::max);
        largest = largest.max(worst);
        if worst > NEAR {
            let at = ours
                .iter()
                .zip(&case.want)
                .position(|(ours, want)| differs(*ours, *want) > NEAR)
                .unwrap();
            let row = &case.rows[at * case.width..(at + 1) * case.width];
            let (ours, want) = (ours[at], case.want[at]);
            failures.push(format!(
                "{}: worst {worst:e}; row {at} {row:?}: {ours} for {want}",
                case.name
            ));
        }
    }
    println!(
        "{} models, largest difference {largest:e}",
        python::cases().len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The list of operators is a claim of having compared them: here it is held against the comparison above.
#[test]
fn every_operator_on_the_list_is_compared() {
    let mut unknown = ModelProto::decode(persistence(1, 0).as_slice()).unwrap();
    unknown.graph.as_mut().unwrap().node[0].op_type = "Unknown".into();
    let message = Onnx::load(&unknown.encode_to_vec(), 1)
        .unwrap_err()
        .to_string();
    let (_, list) = message.split_once("known are ").unwrap();
    let (list, _) = list.split_once(';').unwrap();
    let graphs = python::cases().iter().map(|case| {
        ModelProto::decode(case.onnx.as_slice())
            .unwrap()
            .graph
            .unwrap()
    });
    let used: HashSet<String> = graphs
        .flat_map(|graph| graph.node)
        .map(|node| node.op_type)
        .collect();
    let missing: Vec<_> = list
        .split(", ")
        .filter(|name| !used.contains(*name))
        .collect();
    assert!(missing.is_empty(), "not compared: {missing:?}");
}

/// Labels and second column, from ONNX Runtime.
fn run(onnx: &[u8], rows: &[f32], width: usize) -> (Vec<i64>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string();
    std::fs::write(path("model.onnx"), onnx).unwrap();
    std::fs::write(
        path("rows"),
        rows.iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let arguments = [
        "run".into(),
        path("model.onnx"),
        path("rows"),
        width.to_string().into(),
        path("labels"),
        path("want"),
    ];
    python::models(&arguments.each_ref().map(|argument| argument.as_os_str()));
    let labels = std::fs::read(path("labels")).unwrap();
    let labels = labels
        .chunks_exact(8)
        .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    (labels, floats(&std::fs::read(path("want")).unwrap()))
}

fn compare(name: &str, onnx: &[u8], rows: &[f32], width: usize) {
    let mut ours = Vec::new();
    Onnx::load(onnx, width)
        .unwrap()
        .predict(rows, &mut ours)
        .unwrap();
    let (labels, theirs) = run(onnx, rows, width);
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let largest = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| differs(*ours, *theirs))
        .fold(0.0, f32::max);
    println!("{name}: largest difference {largest:e}");
    assert!(largest <= NEAR, "{name}: {largest}");
    for (at, (label, probability)) in labels.iter().zip(&ours).enumerate() {
        // Within the difference between the two runtimes of one half either label is right.
        let undecided = (probability - 0.5).abs() <= NEAR;
        assert!(
            undecided || (*label == 1) == (*probability > 0.5),
            "{name}, row {at}: {label} at {probability}"
        );
    }
}

#[test]
fn our_models_in_their_runtime() {
    let (rows, labels) = table(2000, 6, 1);
    let trained = train(&TrainParams::default(), &rows, 6, &labels).unwrap();
    compare("trained", &trained.onnx, &rows, 6);

    let sampled = TrainParams {
        iterations: 300,
        subsample: 0.6,
        max_depth: 8,
        seed: 4,
        ..TrainParams::default()
    };
    let trained = train(&sampled, &rows, 6, &labels).unwrap();
    compare("sampled", &trained.onnx, &rows, 6);

    // Nothing to split on: no leaf's weight is negative, where ONNX Runtime would read votes.
    let trained = train(
        &TrainParams::default(),
        &[1.0; 10],
        1,
        &[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    );
    compare("constant", &trained.unwrap().onnx, &[1.0, 2.0, f32::NAN], 1);

    let stays = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5, 0.0, f32::NAN, 9.0];
    compare("persistence", &persistence(2, 0), &stays, 2);
}
