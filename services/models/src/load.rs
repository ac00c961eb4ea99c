//! From bytes to a model that predicts.
//!
//! Two engines give the probabilities. A graph that is nothing but a tree classifier, as the built-in trainer and
//! most boosting libraries write it, is evaluated directly, row by row. Anything else is compiled by tract and runs
//! at one fixed batch size, the last rows padded with zeros: tract's kernels differ by batch size, and with them the
//! last bits of a sum would. The tests hold the two engines against each other bit for bit.

use crate::check::{check, not_onnx};
use crate::trees::{Ensemble, Kind, Scratch};
use crate::{ModelError, operators, signature};
use prost::Message;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::*;

/// Rows per run of a compiled graph. Small enough that one row of a small network costs microseconds, large enough
/// to keep a kernel's tiles (16 to 64 rows on today's processors) full.
pub const BATCH: usize = 64;

/// The largest file: a boosted ensemble of a thousand trees has about 10 MiB, and each replica keeps its models,
/// old and new, in memory.
pub const MAX_BYTES: usize = 256 << 20;

/// Columns that a row may have: as many as a wide feature view could ever want, and 64 rows of it are 16 MiB.
pub const MAX_WIDTH: usize = 1 << 16;

/// The ONNX front door.
#[derive(Debug)]
pub struct Onnx;

impl Onnx {
    /// Checks and compiles an ONNX file whose rows have `expected_inputs` columns.
    ///
    /// # Errors
    /// Whatever the bytes are, an error and never a panic: see [`ModelError`]. Memory is the exception: a graph
    /// that multiplies a tensor by itself again and again may ask for more than the machine has.
    pub fn load(bytes: &[u8], expected_inputs: usize) -> Result<OnnxModel, ModelError> {
        let model = decode(bytes, expected_inputs)?;
        match direct(&model, expected_inputs)? {
            Some(trees) => Ok(OnnxModel {
                inputs: expected_inputs,
                engine: Engine::Trees(trees),
            }),
            None => compile(model, expected_inputs),
        }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct OnnxModel {
    inputs: usize,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Trees(Ensemble),
    Graph {
        plan: Arc<TypedRunnableModel>,
        batch: usize,
        columns: usize,
    },
}

impl OnnxModel {
    /// Values per row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Appends to `out` the probability of the positive class for each of the rows, which lie in `rows` one after
    /// the other; NaN is a missing value. Of two classes the positive one is the second; a model with one output
    /// column gives that column.
    ///
    /// A row's bits depend on that row and the model alone, not on how many rows come with it.
    ///
    /// # Errors
    /// `rows` is not whole rows, or tract fails; then `out` is as it was.
    pub fn predict(&self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), ModelError> {
        if !rows.len().is_multiple_of(self.inputs) {
            return Err(ModelError::Rows {
                values: rows.len(),
                width: self.inputs,
            });
        }
        match &self.engine {
            Engine::Trees(trees) => {
                let mut scratch = Scratch::default();
                out.extend(rows.chunks_exact(self.inputs).map(|row| {
                    let mut two = [0.0; 2];
                    trees.eval(row, &mut scratch, &mut two);
                    two[1]
                }));
                Ok(())
            }
            Engine::Graph {
                plan,
                batch,
                columns,
            } => {
                let before = out.len();
                let failed = rows
                    .chunks(batch * self.inputs)
                    .find_map(|rows| self.run(plan, (*batch, *columns), rows, out).err());
                if let Some(error) = failed {
                    out.truncate(before);
                    return Err(error);
                }
                Ok(())
            }
        }
    }

    fn run(
        &self,
        plan: &Arc<TypedRunnableModel>,
        (batch, columns): (usize, usize),
        rows: &[f32],
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let scores = guard("run", || {
            let mut padded = rows.to_vec();
            padded.resize(batch * self.inputs, 0.0);
            let input = Tensor::from_shape(&[batch, self.inputs], &padded)?;
            let scores = plan.run(tvec!(input.into_tvalue()))?;
            let scores = scores.first().map(|scores| {
                scores
                    .try_as_plain_ram()?
                    .as_slice::<f32>()
                    .map(<[f32]>::to_vec)
            });
            scores.unwrap_or_else(|| Ok(Vec::new()))
        })?;
        let rows = rows.len() / self.inputs;
        out.extend(
            scores
                .chunks_exact(columns)
                .take(rows)
                .filter_map(|row| row.last()),
        );
        Ok(())
    }
}

fn decode(bytes: &[u8], width: usize) -> Result<ModelProto, ModelError> {
    if bytes.len() > MAX_BYTES {
        return Err(ModelError::TooLarge {
            bytes: bytes.len(),
            limit: MAX_BYTES,
        });
    }
    if !(1..=MAX_WIDTH).contains(&width) {
        return Err(ModelError::Input {
            found: format!("a row of {width} columns was asked for"),
            expected: format!("1 to {MAX_WIDTH} columns"),
        });
    }
    let mut model = ModelProto::decode(bytes).map_err(|error| not_onnx(error.to_string()))?;
    check(&mut model)?;
    Ok(model)
}

fn graph(model: &ModelProto) -> Result<&GraphProto, ModelError> {
    model
        .graph
        .as_ref()
        .ok_or_else(|| not_onnx("there is no graph in it"))
}

/// The ensemble, if the graph is one two-class tree classifier on the input and nothing that changes its scores.
fn direct(model: &ModelProto, width: usize) -> Result<Option<Ensemble>, ModelError> {
    let graph = graph(model)?;
    let input = signature::input(graph, width)?;
    let makers: HashMap<&str, &NodeProto> = graph
        .node
        .iter()
        .flat_map(|node| {
            node.output
                .iter()
                .map(move |output| (output.as_str(), node))
        })
        .collect();
    let source = |name| source(&makers, name);
    let mut trees = graph
        .node
        .iter()
        .filter(|node| Kind::of(&node.op_type).is_some());
    let (Some(node), None) = (trees.next(), trees.next()) else {
        return Ok(None);
    };
    let ([read], [_, scores]) = (node.input.as_slice(), node.output.as_slice()) else {
        return Ok(None);
    };
    if Kind::of(&node.op_type) != Some(Kind::Classifier) || source(read) != input.name {
        return Ok(None);
    }
    // Any other output must be made from the label alone: then there is no other float output to take for the
    // probability. Casting the label is all that converters do.
    let label = node.output.first().map(String::as_str).unwrap_or_default();
    let from_label = |name| {
        let name = source(name);
        let cast = makers
            .get(name)
            .filter(|node| node.op_type == "Cast" && casts_to_integer(node));
        name == label
            || cast.is_some_and(|node| node.input.iter().all(|input| source(input) == label))
    };
    let (found, others): (Vec<_>, Vec<_>) = graph
        .output
        .iter()
        .partition(|output| !scores.is_empty() && source(&output.name) == scores);
    if found.len() != 1 || !others.iter().all(|output| from_label(&output.name)) {
        return Ok(None);
    }
    let trees = Ensemble::parse(node, Kind::Classifier)?;
    if trees.min_width() > width {
        return Err(ModelError::Input {
            found: format!("a tree splits on column {}", trees.min_width() - 1),
            expected: format!("columns below {width}, the width of a row"),
        });
    }
    Ok((trees.columns() == 2).then_some(trees))
}

/// Where a value comes from, through operators that pass their input on. Each step goes to an earlier node, so this
/// ends.
fn source<'a>(makers: &HashMap<&str, &'a NodeProto>, mut name: &'a str) -> &'a str {
    while let Some(node) = makers.get(name)
        && matches!(node.op_type.as_str(), "ZipMap" | "Identity")
        && let [input] = node.input.as_slice()
    {
        name = input;
    }
    name
}

fn casts_to_integer(node: &NodeProto) -> bool {
    use tract_onnx::pb::tensor_proto::DataType;
    let to = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == "to")
        .map_or(0, |attribute| attribute.i);
    to == DataType::Int64 as i64 || to == DataType::Int32 as i64
}

fn compile(mut model: ModelProto, width: usize) -> Result<OnnxModel, ModelError> {
    let input = signature::input(graph(&model)?, width)?;
    let batch = input.batch.unwrap_or(BATCH);
    let outputs: Vec<String> = graph(&model)?
        .output
        .iter()
        .map(|output| output.name.clone())
        .collect();
    // The shape is ours to set; tract need not parse what the file says of it.
    for input in model.graph.iter_mut().flat_map(|graph| &mut graph.input) {
        if let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
            input.r#type.as_mut().and_then(|kind| kind.value.as_mut())
        {
            tensor.shape = None;
        }
    }
    let mut typed = guard("compiled", || {
        let fact = InferenceFact::dt_shape(f32::datum_type(), [batch, width]);
        operators::front_end()
            .model_for_proto_model(&model)?
            .with_input_fact(0, fact)?
            .into_typed()
    })?;
    let facts = guard("compiled", || {
        let facts = typed
            .output_outlets()?
            .iter()
            .map(|outlet| typed.outlet_fact(*outlet).cloned());
        outputs
            .iter()
            .cloned()
            .zip(facts)
            .map(|(name, fact)| Ok((name, fact?)))
            .collect::<TractResult<Vec<_>>>()
    })?;
    let (output, columns) = signature::output(&facts, batch)?;
    let plan = guard("compiled", move || {
        let outlet = typed.output_outlets()?[output];
        typed.select_output_outlets(&[outlet])?;
        typed.into_optimized()?.into_runnable()
    })?;
    Ok(OnnxModel {
        inputs: width,
        engine: Engine::Graph {
            plan,
            batch,
            columns,
        },
    })
}

/// Runs tract, turning its errors into ours, and its panics too. Panics are the last resort: its front end has
/// `unimplemented!` and unchecked indexing on a file's numbers, and a model file must not take the process down. A
/// half-built graph is dropped, so nothing broken is seen afterwards.
fn guard<T>(stage: &'static str, work: impl FnOnce() -> TractResult<T>) -> Result<T, ModelError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(ModelError::Engine {
            stage,
            reason: format!("{error:#}"),
        }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given");
            Err(ModelError::Engine {
                stage,
                reason: format!("tract panicked: {text}"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TrainParams, persistence, train};

    /// Both engines on one file, bit for bit.
    fn compare(bytes: &[u8], width: usize, rows: &[f32]) {
        let direct = Onnx::load(bytes, width).unwrap();
        assert!(matches!(direct.engine, Engine::Trees(_)));
        let compiled = compile(decode(bytes, width).unwrap(), width).unwrap();
        let run = |model: &OnnxModel| {
            let mut out = Vec::new();
            model.predict(rows, &mut out).unwrap();
            out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(run(&direct), run(&compiled));
    }

    #[test]
    fn both_engines_give_the_same_bits() {
        let value = |at: usize| {
            if at.is_multiple_of(11) {
                f32::NAN
            } else {
                (at * 7919 % 1000) as f32 / 500.0 - 1.0
            }
        };
        let rows: Vec<f32> = (0..200 * 3).map(value).collect();
        let labels: Vec<f32> = rows
            .chunks(3)
            .map(|row| f32::from(row[0] + row[1] * row[2] > 0.1))
            .collect();
        let params = TrainParams {
            iterations: 30,
            ..TrainParams::default()
        };
        compare(&train(&params, &rows, 3, &labels).unwrap().onnx, 3, &rows);
        compare(&persistence(3, 2), 3, &rows);
    }

    #[test]
    fn models_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<OnnxModel>();
    }
}
