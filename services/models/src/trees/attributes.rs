//! A tree node's attributes, read into plain vectors of one length each.

use super::Kind;
use crate::ModelError;
use tract_onnx::pb::{AttributeProto, NodeProto};

/// How a split compares, as in the specification. `Leaf` is a mode there too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
    Leaf,
}

/// How several trees' weights for one target meet (regressors; classifiers sum).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// What happens to the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
}

/// The attributes of one ensemble. `nodes_*` run in parallel, as do `weight_*`.
#[derive(Debug)]
pub(super) struct Attributes {
    pub place: Place,
    pub kind: Kind,
    pub tree: Vec<i64>,
    pub id: Vec<i64>,
    pub feature: Vec<i64>,
    pub mode: Vec<Mode>,
    pub threshold: Vec<f32>,
    pub if_true: Vec<i64>,
    pub if_false: Vec<i64>,
    pub missing_true: Vec<bool>,
    pub weight_tree: Vec<i64>,
    pub weight_node: Vec<i64>,
    pub weight_class: Vec<i64>,
    pub weight: Vec<f32>,
    pub labels: Vec<i64>,
    pub base: Vec<f32>,
    pub aggregate: Aggregate,
    pub transform: Transform,
}

/// Where we are, for messages.
#[derive(Debug, Clone)]
pub(super) struct Place {
    node: String,
    operator: String,
}

impl Place {
    /// A refusal at this node.
    pub(super) fn refuse(
        &self,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ModelError {
        ModelError::Refused {
            node: self.node.clone(),
            operator: self.operator.clone(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// A refusal because the attributes contradict each other: no exporter writes such a file.
    pub(super) fn broken(&self, problem: impl Into<String>) -> ModelError {
        self.refuse(problem, "the file is damaged: export the model again")
    }
}

const LENGTHS: &str = "the file is damaged: export the model again";

/// Everything a file may say. `nodes_hitrates` is a hint for the reader of a tree and changes no prediction.
const COMMON: &[&str] = &[
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
    "nodes_hitrates",
    "base_values",
    "post_transform",
];
const CLASSIFIER: &[&str] = &[
    "class_treeids",
    "class_nodeids",
    "class_ids",
    "class_weights",
    "classlabels_int64s",
    "classlabels_strings",
];
const REGRESSOR: &[&str] = &[
    "target_treeids",
    "target_nodeids",
    "target_ids",
    "target_weights",
    "n_targets",
    "aggregate_function",
];

impl Attributes {
    /// Reads a node, refusing attributes and values that we don't know.
    pub(super) fn read(node: &NodeProto, kind: Kind) -> Result<Attributes, ModelError> {
        let reader = Reader::new(node, kind)?;
        let weights = if kind == Kind::Classifier {
            "class"
        } else {
            "target"
        };
        let tree = reader.ints("nodes_treeids").to_vec();
        let nodes = tree.len();
        if nodes == 0 {
            return Err(reader.place.broken("attribute nodes_treeids names no node"));
        }
        let missing = reader.ints("nodes_missing_value_tracks_true");
        let weight = reader.floats(&format!("{weights}_weights")).to_vec();
        let attributes = Attributes {
            kind,
            id: reader.parallel("nodes_nodeids", nodes)?,
            feature: reader.parallel("nodes_featureids", nodes)?,
            mode: reader.modes(nodes)?,
            threshold: reader.floats("nodes_values").to_vec(),
            if_true: reader.parallel("nodes_truenodeids", nodes)?,
            if_false: reader.parallel("nodes_falsenodeids", nodes)?,
            missing_true: if missing.is_empty() {
                vec![false; nodes]
            } else {
                missing.iter().map(|flag| *flag != 0).collect()
            },
            weight_tree: reader.parallel(&format!("{weights}_treeids"), weight.len())?,
            weight_node: reader.parallel(&format!("{weights}_nodeids"), weight.len())?,
            weight_class: reader.parallel(&format!("{weights}_ids"), weight.len())?,
            labels: reader.labels()?,
            base: reader.floats("base_values").to_vec(),
            aggregate: reader.aggregate()?,
            transform: reader.transform()?,
            tree,
            weight,
            place: reader.place.clone(),
        };
        attributes.check_lengths()?;
        Ok(attributes)
    }

    fn check_lengths(&self) -> Result<(), ModelError> {
        let nodes = self.tree.len();
        for (name, length) in [
            ("nodes_values", self.threshold.len()),
            ("nodes_missing_value_tracks_true", self.missing_true.len()),
        ] {
            if length != nodes {
                return Err(self.place.broken(format!(
                    "attribute {name} has {length} entries for {nodes} nodes"
                )));
            }
        }
        if self.weight.is_empty() {
            return Err(self.place.broken("no leaf has a weight"));
        }
        if let Some(weight) = self
            .weight
            .iter()
            .chain(&self.base)
            .find(|weight| !weight.is_finite())
        {
            return Err(self
                .place
                .broken(format!("a leaf's weight or base value is {weight}")));
        }
        Ok(())
    }
}

struct Reader<'a> {
    place: Place,
    kind: Kind,
    node: &'a NodeProto,
}

impl<'a> Reader<'a> {
    fn new(node: &'a NodeProto, kind: Kind) -> Result<Reader<'a>, ModelError> {
        let place = Place {
            node: crate::check::name(node),
            operator: node.op_type.clone(),
        };
        let own = if kind == Kind::Classifier {
            CLASSIFIER
        } else {
            REGRESSOR
        };
        for attribute in &node.attribute {
            let name = attribute.name.as_str();
            if name.ends_with("_as_tensor") {
                return Err(place.refuse(
                    format!("attribute {name} holds 64-bit floats; models run in 32-bit floats"),
                    "convert the model with a float32 input type",
                ));
            }
            if !COMMON.contains(&name) && !own.contains(&name) {
                return Err(place.refuse(
                    format!("attribute {name} is not known"),
                    format!("known are {} and {}", COMMON.join(", "), own.join(", ")),
                ));
            }
            if !attribute.ref_attr_name.is_empty() {
                return Err(place.refuse(
                    format!("attribute {name} refers to a function's"),
                    "inline the functions",
                ));
            }
        }
        Ok(Reader { place, kind, node })
    }

    fn get(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
    }

    fn ints(&self, name: &str) -> &'a [i64] {
        self.get(name).map_or(&[], |attribute| &attribute.ints)
    }

    fn floats(&self, name: &str) -> &'a [f32] {
        self.get(name).map_or(&[], |attribute| &attribute.floats)
    }

    fn text(&self, name: &str, default: &'static str) -> String {
        self.get(name).map_or(default.into(), |attribute| {
            String::from_utf8_lossy(&attribute.s).into_owned()
        })
    }

    fn parallel(&self, name: &str, length: usize) -> Result<Vec<i64>, ModelError> {
        let ints = self.ints(name);
        if ints.len() != length {
            let problem = format!(
                "attribute {name} has {} entries, {length} expected",
                ints.len()
            );
            return Err(self.place.refuse(problem, LENGTHS));
        }
        Ok(ints.to_vec())
    }

    fn modes(&self, length: usize) -> Result<Vec<Mode>, ModelError> {
        let names = self
            .get("nodes_modes")
            .map_or(&[][..], |attribute| &attribute.strings);
        if names.len() != length {
            let problem = format!(
                "attribute nodes_modes has {} entries, {length} expected",
                names.len()
            );
            return Err(self.place.refuse(problem, LENGTHS));
        }
        let mode = |name: &Vec<u8>| {
            match name.as_slice() {
            b"BRANCH_LEQ" => Ok(Mode::Leq),
            b"BRANCH_LT" => Ok(Mode::Lt),
            b"BRANCH_GTE" => Ok(Mode::Gte),
            b"BRANCH_GT" => Ok(Mode::Gt),
            b"BRANCH_EQ" => Ok(Mode::Eq),
            b"BRANCH_NEQ" => Ok(Mode::Neq),
            b"LEAF" => Ok(Mode::Leaf),
            other => Err(self.place.refuse(
                format!("attribute nodes_modes has {:?}", String::from_utf8_lossy(other)),
                "known are BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, BRANCH_EQ, BRANCH_NEQ and LEAF",
            )),
        }
        };
        names.iter().map(mode).collect()
    }

    fn labels(&self) -> Result<Vec<i64>, ModelError> {
        if self.kind == Kind::Regressor {
            let targets = self.get("n_targets").map_or(0, |attribute| attribute.i);
            // A model with more targets than this is not one for tables; the limit keeps a row's scores small.
            if !(1..=1024).contains(&targets) {
                let problem = format!("attribute n_targets is {targets}, 1 to 1024 expected");
                return Err(self.place.refuse(problem, "export a model with one target"));
            }
            return Ok((0..targets).collect());
        }
        if self
            .get("classlabels_strings")
            .is_some_and(|attribute| !attribute.strings.is_empty())
        {
            return Err(self.place.refuse(
                "attribute classlabels_strings is used; class labels must be int64",
                "train on integer classes (0 and 1), or encode the labels before the model",
            ));
        }
        let labels = self.ints("classlabels_int64s").to_vec();
        if !(2..=1024).contains(&labels.len()) {
            let problem = format!(
                "attribute classlabels_int64s has {} classes, 2 to 1024 expected",
                labels.len()
            );
            return Err(self
                .place
                .refuse(problem, "train on data with both classes"));
        }
        Ok(labels)
    }

    fn aggregate(&self) -> Result<Aggregate, ModelError> {
        match self.text("aggregate_function", "SUM").as_str() {
            "SUM" => Ok(Aggregate::Sum),
            "AVERAGE" => Ok(Aggregate::Average),
            "MIN" => Ok(Aggregate::Min),
            "MAX" => Ok(Aggregate::Max),
            other => Err(self.place.refuse(
                format!("attribute aggregate_function is {other:?}"),
                "known are SUM, AVERAGE, MIN and MAX",
            )),
        }
    }

    fn transform(&self) -> Result<Transform, ModelError> {
        match (self.text("post_transform", "NONE").as_str(), self.kind) {
            ("NONE", _) => Ok(Transform::None),
            ("LOGISTIC", Kind::Classifier) => Ok(Transform::Logistic),
            ("SOFTMAX", Kind::Classifier) => Ok(Transform::Softmax),
            ("SOFTMAX_ZERO", Kind::Classifier) => Ok(Transform::SoftmaxZero),
            (other, Kind::Classifier) => Err(self.place.refuse(
                format!("attribute post_transform is {other:?}"),
                "known are NONE, LOGISTIC, SOFTMAX and SOFTMAX_ZERO",
            )),
            (other, Kind::Regressor) => Err(self.place.refuse(
                format!(
                    "attribute post_transform is {other:?}; runtimes disagree on a regressor's"
                ),
                "export with NONE and put a Sigmoid node after the regressor",
            )),
        }
    }
}
