//! A model's signature: one float matrix in, one probability out.

use crate::ModelError;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dim;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, TensorShapeProto};
use tract_onnx::prelude::*;

/// The input as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    pub name: String,
    /// The batch that the file fixes, if it fixes one.
    pub batch: Option<usize>,
}

/// A batch fixed by the file: larger ones than this would make one row cost thousands.
const MAX_BATCH: i64 = 4096;

/// Finds the one input and checks its type and width.
pub(crate) fn input(graph: &GraphProto, width: usize) -> Result<Input, ModelError> {
    let expected = || format!("one float32 matrix of {width} columns, and any number of rows");
    let wrong = |found: String| ModelError::Input {
        found,
        expected: expected(),
    };
    let constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs: Vec<_> = graph
        .input
        .iter()
        .filter(|input| !constant(&input.name))
        .collect();
    let [input] = inputs.as_slice() else {
        let names: Vec<_> = inputs
            .iter()
            .take(20)
            .map(|input| input.name.as_str())
            .collect();
        return Err(wrong(format!(
            "it has {} inputs ({})",
            inputs.len(),
            names.join(", ")
        )));
    };
    let Some(Value::TensorType(tensor)) =
        input.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return Err(wrong(format!("input {:?} is no tensor", input.name)));
    };
    if tensor.elem_type != DataType::Float as i32 {
        let kind =
            DataType::try_from(tensor.elem_type).map_or("unknown", |kind| kind.as_str_name());
        return Err(wrong(format!(
            "input {:?} has elements of type {kind}",
            input.name
        )));
    }
    let batch = match tensor.shape.as_ref() {
        Some(shape) => {
            dims(shape, width).map_err(|found| wrong(format!("input {:?} {found}", input.name)))?
        }
        None => None,
    };
    Ok(Input {
        name: input.name.clone(),
        batch,
    })
}

fn dims(shape: &TensorShapeProto, width: usize) -> Result<Option<usize>, String> {
    let [rows, columns] = shape.dim.as_slice() else {
        return Err(format!("has {} dimensions", shape.dim.len()));
    };
    if let Some(Dim::DimValue(columns)) = columns.value
        && columns > 0
        && usize::try_from(columns) != Ok(width)
    {
        return Err(format!("has {columns} columns"));
    }
    match rows.value {
        // Exporters write 0 and -1 for "any".
        Some(Dim::DimValue(rows @ 1..)) if rows > MAX_BATCH => {
            Err(format!("fixes {rows} rows, over the limit of {MAX_BATCH}"))
        }
        Some(Dim::DimValue(rows @ 1..)) => Ok(usize::try_from(rows).ok()),
        _ => Ok(None),
    }
}

/// The probability among a model's outputs: which, and how many columns it has (2: the second is the positive
/// class; 1: the only one).
pub(crate) fn output(
    facts: &[(String, TypedFact)],
    batch: usize,
) -> Result<(usize, usize), ModelError> {
    let columns = |fact: &TypedFact| match fact.shape.as_concrete() {
        Some([rows, columns]) if *rows == batch => Some(*columns),
        Some([rows]) if *rows == batch => Some(1),
        _ => None,
    };
    let floats: Vec<(usize, Option<usize>)> = facts
        .iter()
        .enumerate()
        .filter(|(_, (_, fact))| fact.datum_type == f32::datum_type())
        .map(|(at, (_, fact))| (at, columns(fact)))
        .collect();
    let of = |wanted: usize| {
        floats
            .iter()
            .filter(move |(_, columns)| *columns == Some(wanted))
    };
    for wanted in [2, 1] {
        let mut candidates = of(wanted);
        if let (Some((at, _)), None) = (candidates.next(), candidates.next()) {
            return Ok((*at, wanted));
        }
    }
    let found = facts
        .iter()
        .take(20)
        .map(|(name, fact)| format!("{name:?} is {fact:?}"))
        .collect::<Vec<_>>();
    Err(ModelError::Output {
        found: found.join(", "),
        expected: "one float32 matrix with the probabilities of two classes, or with one column"
            .into(),
    })
}
