//! What is refused before tract sees a file.
//!
//! Tract runs far more operators than we have compared with ONNX Runtime, follows references to files on disk, and
//! indexes maps with names from the file. So the graph is walked first, and then stripped of what we don't use:
//! annotations of shapes in the middle of the graph (tract works them out itself) never reach its parser.

use crate::ModelError;
use crate::operators;
use crate::trees::{Ensemble, Kind};
use std::collections::HashSet;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Nodes that a graph may have. A network for tables has tens; the limit bounds the time to compile.
const MAX_NODES: usize = 10_000;

/// A node's name for messages: its own, or its first output's.
pub(crate) fn name(node: &NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

/// Checks a decoded file, and strips what we don't use.
pub(crate) fn check(model: &mut ModelProto) -> Result<&GraphProto, ModelError> {
    if !model.functions.is_empty() {
        return Err(not_onnx(
            "it defines functions of its own, which are not run; inline them",
        ));
    }
    let Some(graph) = model.graph.as_mut() else {
        return Err(not_onnx("there is no graph in it"));
    };
    check_graph(graph)?;
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    for output in &mut graph.output {
        output.r#type = None;
    }
    Ok(graph)
}

pub(crate) fn not_onnx(reason: impl Into<String>) -> ModelError {
    ModelError::NotOnnx {
        reason: reason.into(),
    }
}

fn check_graph(graph: &GraphProto) -> Result<(), ModelError> {
    if graph.node.is_empty() {
        return Err(not_onnx("its graph has no node"));
    }
    if graph.node.len() > MAX_NODES {
        return Err(not_onnx(format!(
            "its graph has {} nodes, over the limit of {MAX_NODES}",
            graph.node.len()
        )));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(not_onnx("it has sparse initializers, which are not read"));
    }
    let mut known: HashSet<&str> = graph
        .input
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    for tensor in &graph.initializer {
        check_tensor(tensor)?;
        known.insert(&tensor.name);
    }
    for node in &graph.node {
        check_node(node)?;
        let unknown = |input: &&String| !input.is_empty() && !known.contains(input.as_str());
        if let Some(input) = node.input.iter().find(unknown) {
            let reader = name(node);
            return Err(not_onnx(format!(
                "node {reader:?} reads {input:?}, which nothing before it makes"
            )));
        }
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if !known.insert(output) {
                return Err(not_onnx(format!("{output:?} is made twice")));
            }
        }
    }
    match graph
        .output
        .iter()
        .find(|output| !known.contains(output.name.as_str()))
    {
        Some(output) => Err(not_onnx(format!(
            "the output {:?} is made by no node",
            output.name
        ))),
        None => Ok(()),
    }
}

fn check_node(node: &NodeProto) -> Result<(), ModelError> {
    let refuse = |problem: &str, remedy: &str| ModelError::Refused {
        node: name(node),
        operator: operators::full_name(node),
        problem: problem.into(),
        remedy: remedy.into(),
    };
    if !operators::known(node) {
        let remedy = format!(
            "known are {}; export the model with these",
            operators::list()
        );
        return Err(refuse(
            "the operator is not one that we have compared with ONNX Runtime",
            &remedy,
        ));
    }
    if let Some((problem, remedy)) = operators::unfit(node) {
        return Err(refuse(problem, remedy));
    }
    for attribute in &node.attribute {
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
            return Err(refuse(
                &format!("attribute {} holds a graph", attribute.name),
                "export without control flow",
            ));
        }
        if attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty() {
            return Err(refuse(
                &format!("attribute {} is a sparse tensor", attribute.name),
                "export it as a tensor",
            ));
        }
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            check_tensor(tensor)?;
        }
    }
    if let Some(kind) = Kind::of(&node.op_type) {
        // Tract would report the same refusal as a chain of text; here it keeps its type.
        Ensemble::parse(node, kind)?;
    }
    crate::scaler::check(node)
}

fn check_tensor(tensor: &TensorProto) -> Result<(), ModelError> {
    if !tensor.external_data.is_empty()
        || tensor.data_location.is_some_and(|location| location != 0)
    {
        let reason = format!(
            "tensor {:?} lies in another file; save the model as one file",
            tensor.name
        );
        return Err(not_onnx(reason));
    }
    // Declared sizes must be backed by data: nothing may be allocated on the word of a header.
    let declared = tensor.dims.iter().try_fold(1u64, |size, dim| {
        size.checked_mul(u64::try_from(*dim).ok()?)
    });
    let lengths = [
        tensor.raw_data.len(),
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
        tensor.string_data.len(),
    ];
    let present = lengths.into_iter().max().unwrap_or(0) as u64;
    match declared {
        Some(declared) if declared <= present => Ok(()),
        _ => Err(not_onnx(format!(
            "tensor {:?} declares the shape {:?} but holds {present} values or bytes",
            tensor.name, tensor.dims
        ))),
    }
}
