//! Files that are no models, or not ours to run: an error that says so, and never a panic.

use crate::data::table;
use crate::python;
use mainstem_models::{MAX_BYTES, ModelError, Onnx, TrainParams, train};
use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};

fn trained() -> Vec<u8> {
    let (rows, labels) = table(200, 4, 2);
    train(
        &TrainParams {
            iterations: 3,
            max_depth: 3,
            ..TrainParams::default()
        },
        &rows,
        4,
        &labels,
    )
    .unwrap()
    .onnx
}

/// The trained model, changed.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(trained().as_slice()).unwrap();
    change(&mut model);
    model.encode_to_vec()
}

fn node(model: &mut ModelProto) -> &mut NodeProto {
    &mut model.graph.as_mut().unwrap().node[0]
}

fn attribute<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut AttributeProto {
    node(model)
        .attribute
        .iter_mut()
        .find(|attribute| attribute.name == name)
        .unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let message = Onnx::load(bytes, 4).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

#[test]
fn bytes_that_are_no_model() {
    refused(b"", &["not an ONNX model", "no graph"]);
    refused(b"no model at all", &["not an ONNX model"]);
    refused(&trained()[..200], &["not an ONNX model"]);
    let large = vec![0; MAX_BYTES + 1];
    assert!(matches!(
        Onnx::load(&large, 4),
        Err(ModelError::TooLarge { .. })
    ));
}

#[test]
fn inputs_that_do_not_fit() {
    let message = Onnx::load(&trained(), 5).unwrap_err().to_string();
    assert!(
        message.contains("\"input\" has 4 columns; expected one float32 matrix of 5 columns"),
        "{message}"
    );
    assert!(matches!(
        Onnx::load(&trained(), 0),
        Err(ModelError::Input { .. })
    ));
    let twice = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        let mut second = graph.input[0].clone();
        second.name = "second".into();
        graph.input.push(second);
    });
    refused(&twice, &["it has 2 inputs (input, second)"]);
    let model = Onnx::load(&trained(), 4).unwrap();
    let mut out = vec![7.0];
    assert_eq!(
        model.predict(&[0.0; 6], &mut out),
        Err(ModelError::Rows {
            values: 6,
            width: 4
        })
    );
    assert_eq!(out, [7.0]);
}

#[test]
fn operators_and_attributes_that_we_do_not_know() {
    let operator = changed(|model| node(model).op_type = "RandomNormal".into());
    refused(
        &operator,
        &[
            "\"trees\"",
            "ai.onnx.ml.RandomNormal",
            "export the model with these",
        ],
    );
    let domain = changed(|model| node(model).domain = "com.example".into());
    refused(&domain, &["com.example.TreeEnsembleClassifier"]);
    let unknown = changed(|model| attribute(model, "class_ids").name = "class_idz".into());
    refused(&unknown, &["attribute class_idz is not known"]);
    let probit = changed(|model| attribute(model, "post_transform").s = b"PROBIT".to_vec());
    refused(
        &probit,
        &[
            "PROBIT",
            "known are NONE, LOGISTIC, SOFTMAX and SOFTMAX_ZERO",
        ],
    );
    let strings = changed(|model| {
        let labels = attribute(model, "classlabels_int64s");
        labels.name = "classlabels_strings".into();
        labels.strings = vec![b"no".to_vec(), b"yes".to_vec()];
    });
    refused(&strings, &["classlabels_strings", "must be int64"]);
    let base = changed(|model| attribute(model, "base_values").floats = vec![0.1, 0.2]);
    refused(&base, &["2 base_values"]);
    let norm = changed(|model| {
        let node = node(model);
        node.op_type = "Normalizer".into();
        node.attribute.clear();
    });
    refused(&norm, &["ai.onnx.ml.Normalizer", "norm is MAX"]);
    let perm = changed(|model| {
        let node = node(model);
        node.op_type = "Transpose".into();
        node.domain.clear();
        let perm = AttributeProto {
            name: "perm".into(),
            ints: vec![0, 2, 0],
            ..AttributeProto::default()
        };
        node.attribute = vec![perm];
    });
    refused(&perm, &["Transpose", "perm does not name each axis once"]);
    let external = changed(|model| {
        let location = StringStringEntryProto {
            key: "location".into(),
            value: "secret".into(),
        };
        let tensor = TensorProto {
            name: "weights".into(),
            external_data: vec![location],
            ..TensorProto::default()
        };
        model.graph.as_mut().unwrap().initializer.push(tensor);
    });
    refused(&external, &["\"weights\" lies in another file"]);
}

#[test]
fn trees_that_are_none() {
    let ids = |name: &'static str, change: fn(&mut Vec<i64>)| {
        changed(|model| change(&mut attribute(model, name).ints))
    };
    refused(
        &ids("nodes_truenodeids", |ids| ids[0] = 9999),
        &["tree 0: node 0 points to node 9999"],
    );
    refused(&ids("nodes_truenodeids", |ids| ids[0] = 0), &["cycle"]);
    refused(
        &ids("nodes_truenodeids", |ids| ids[1] = ids[0]),
        &["two parents"],
    );
    refused(
        &ids("nodes_nodeids", |ids| ids[1] = 0),
        &["tree 0 has two nodes of id 0"],
    );
    refused(&ids("nodes_featureids", |ids| ids[0] = -1), &["column -1"]);
    refused(&ids("nodes_featureids", |ids| ids[0] = 4), &["column 4"]);
    refused(
        &ids("nodes_featureids", |ids| ids.truncate(1)),
        &["nodes_featureids has 1 entries"],
    );
    refused(
        &ids("class_ids", |ids| ids[0] = 2),
        &["class or target 2 of 2"],
    );
    refused(
        &ids("class_nodeids", |ids| ids[0] = 0),
        &["for nodes that are no leaf"],
    );
    let leaf = changed(|model| attribute(model, "nodes_modes").strings[0] = b"LEAF".to_vec());
    refused(&leaf, &["cannot be reached from the root"]);
    let nan = changed(|model| attribute(model, "class_weights").floats[0] = f32::NAN);
    refused(&nan, &["weight or base value is NaN"]);
}

/// Loads damaged bytes; what loads nevertheless must run.
fn survive(bytes: &[u8], width: usize) {
    if let Ok(model) = Onnx::load(bytes, width) {
        let mut out = Vec::new();
        let rows = vec![0.5; 3 * width];
        if model.predict(&rows, &mut out).is_ok() {
            assert_eq!(out.len(), 3);
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let ours = trained();
    let wanted = [
        "scikit_network",
        "scikit_logistic",
        "scikit_decision_tree_zipmap",
        "op_Slice",
        "op_Gemm",
    ];
    let wanted = wanted.iter().chain(&[
        "op_Reshape_Transpose_Flatten",
        "op_Normalizer_L1",
        "op_LinearRegressor",
    ]);
    let theirs = wanted.map(|name| {
        python::cases()
            .iter()
            .find(|case| case.name == *name)
            .unwrap()
    });
    let mut files: Vec<(&[u8], usize)> = theirs
        .map(|case| (case.onnx.as_slice(), case.width))
        .collect();
    files.push((&ours, 4));
    let config = ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(
        file in 0..files.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    )| {
        let (bytes, width) = files[file];
        let mut bytes = bytes.to_vec();
        for (at, value, edit) in &edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = *value,
                1 => bytes[at] ^= 1 << (value % 8),
                2 => bytes.insert(at, *value),
                _ => { bytes.remove(at); }
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes, width);
    });
}
