//! Writing ONNX: the one shape in which this crate saves a model.
//!
//! One `TreeEnsembleClassifier` from `input` `[N, width]` to `label` (int64) and `probabilities` `[N, 2]`. The bytes
//! depend on the trees alone: no time, no host, no map's order.

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// Version 8 and these operator sets are read by every runtime of the last years, and have all we use.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 15;
const ML_OPSET: i64 = 3;

/// Trees as ONNX writes them: one entry per node in each vector.
#[derive(Debug, Default)]
pub(crate) struct TreeTable {
    pub tree: Vec<i64>,
    pub id: Vec<i64>,
    pub column: Vec<i64>,
    pub mode: Vec<&'static str>,
    pub threshold: Vec<f32>,
    pub if_true: Vec<i64>,
    pub if_false: Vec<i64>,
    pub missing_true: Vec<bool>,
    pub weight_tree: Vec<i64>,
    pub weight_node: Vec<i64>,
    pub weight: Vec<f32>,
}

impl TreeTable {
    /// Appends a split: `if_true` where the value is below `threshold`, and where it is missing if `missing_true`.
    pub(crate) fn split(
        &mut self,
        tree: i64,
        id: i64,
        column: i64,
        threshold: f32,
        to: [i64; 2],
        missing_true: bool,
    ) {
        self.node(tree, id, column, "BRANCH_LT", threshold, to, missing_true);
    }

    /// Appends a leaf.
    pub(crate) fn leaf(&mut self, tree: i64, id: i64, weight: f32) {
        self.node(tree, id, 0, "LEAF", 0.0, [0, 0], false);
        self.weight_tree.push(tree);
        self.weight_node.push(id);
        self.weight.push(weight);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the columns of one table; two callers, above"
    )]
    fn node(
        &mut self,
        tree: i64,
        id: i64,
        column: i64,
        mode: &'static str,
        threshold: f32,
        [if_true, if_false]: [i64; 2],
        missing_true: bool,
    ) {
        self.tree.push(tree);
        self.id.push(id);
        self.column.push(column);
        self.mode.push(mode);
        self.threshold.push(threshold);
        self.if_true.push(if_true);
        self.if_false.push(if_false);
        self.missing_true.push(missing_true);
    }
}

/// The file's bytes.
pub(crate) fn classifier(
    trees: TreeTable,
    width: usize,
    base: Option<f32>,
    transform: &str,
    doc: &str,
) -> Vec<u8> {
    let mut attribute = vec![
        ints("nodes_treeids", trees.tree),
        ints("nodes_nodeids", trees.id),
        ints("nodes_featureids", trees.column),
        strings("nodes_modes", &trees.mode),
        floats("nodes_values", trees.threshold),
        ints("nodes_truenodeids", trees.if_true),
        ints("nodes_falsenodeids", trees.if_false),
        ints(
            "nodes_missing_value_tracks_true",
            trees
                .missing_true
                .iter()
                .map(|flag| i64::from(*flag))
                .collect(),
        ),
        ints("class_treeids", trees.weight_tree),
        ints("class_nodeids", trees.weight_node),
        // All weights are for class 0: that is how ONNX says "one score for two classes".
        ints("class_ids", vec![0; trees.weight.len()]),
        floats("class_weights", trees.weight),
        ints("classlabels_int64s", vec![0, 1]),
        AttributeProto {
            s: transform.into(),
            ..attribute("post_transform", AttributeType::String)
        },
    ];
    attribute.extend(base.map(|base| floats("base_values", vec![base])));
    let node = NodeProto {
        input: vec!["input".into()],
        output: vec!["label".into(), "probabilities".into()],
        name: "trees".into(),
        op_type: "TreeEnsembleClassifier".into(),
        domain: "ai.onnx.ml".into(),
        attribute,
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: vec![node],
        name: "mainstem".into(),
        input: vec![value("input", DataType::Float, &[None, Some(width)])],
        output: vec![
            value("label", DataType::Int64, &[None]),
            value("probabilities", DataType::Float, &[None, Some(2)]),
        ],
        ..GraphProto::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto {
        domain: domain.into(),
        version,
    };
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![opset("", OPSET), opset("ai.onnx.ml", ML_OPSET)],
        producer_name: "mainstem".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: doc.into(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: kind as i32,
        ..AttributeProto::default()
    }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        ints,
        ..attribute(name, AttributeType::Ints)
    }
}

fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto {
        floats,
        ..attribute(name, AttributeType::Floats)
    }
}

fn strings(name: &str, strings: &[&str]) -> AttributeProto {
    let strings = strings
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    AttributeProto {
        strings,
        ..attribute(name, AttributeType::Strings)
    }
}

/// A tensor's name, type and shape; `None` is the number of rows.
fn value(name: &str, kind: DataType, shape: &[Option<usize>]) -> ValueInfoProto {
    let dim = |size: &Option<usize>| Dimension {
        value: Some(match size {
            Some(size) => dimension::Value::DimValue(*size as i64),
            None => dimension::Value::DimParam("N".into()),
        }),
        ..Dimension::default()
    };
    let shape = TensorShapeProto {
        dim: shape.iter().map(dim).collect(),
    };
    let tensor = type_proto::Tensor {
        elem_type: kind as i32,
        shape: Some(shape),
    };
    let kind = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..TypeProto::default()
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(kind),
        ..ValueInfoProto::default()
    }
}
