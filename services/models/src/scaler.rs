//! `Scaler` of `ai.onnx.ml`: `(x - offset) * scale`, per column or for all columns alike.
//!
//! It stands before most linear models that scikit-learn exports, and tract has none.

use crate::ModelError;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

/// Refuses a `Scaler` with attributes that we don't know, or of lengths that fit no row.
pub(crate) fn check(node: &NodeProto) -> Result<(), ModelError> {
    if node.op_type != "Scaler" {
        return Ok(());
    }
    let refuse = |problem: String| ModelError::Refused {
        node: crate::check::name(node),
        operator: "ai.onnx.ml.Scaler".into(),
        problem,
        remedy: "export it with offset and scale, one number each or one per column".into(),
    };
    if let Some(other) = node
        .attribute
        .iter()
        .find(|attribute| !matches!(attribute.name.as_str(), "offset" | "scale"))
    {
        return Err(refuse(format!("attribute {} is not known", other.name)));
    }
    let (offset, scale) = (floats(node, "offset"), floats(node, "scale"));
    if offset.is_empty() || scale.is_empty() {
        return Err(refuse("attribute offset or scale is missing".into()));
    }
    if offset.len() != scale.len() && offset.len() != 1 && scale.len() != 1 {
        return Err(refuse(format!(
            "offset has {} entries and scale {}",
            offset.len(),
            scale.len()
        )));
    }
    Ok(())
}

/// Builds a `Scaler`.
pub(crate) fn scaler(
    _: &ParsingContext,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    check(node)?;
    let row = |name| {
        tensor1(&floats(node, name))
            .broadcast_into_rank(2)
            .map(Tensor::into_arc_tensor)
    };
    Ok((
        expand(Scaler {
            offset: row("offset")?,
            scale: row("scale")?,
        }),
        vec![],
    ))
}

fn floats(node: &NodeProto, name: &str) -> Vec<f32> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
        .map_or(vec![], |found| found.floats.clone())
}

#[derive(Debug, Clone)]
struct Scaler {
    offset: Arc<Tensor>,
    scale: Arc<Tensor>,
}

impl Expansion for Scaler {
    fn name(&self) -> StaticName {
        "Scaler".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].rank, 2)?;
        s.equals(&inputs[0].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        use tract_onnx::tract_core::ops::math;
        let width = model.outlet_fact(inputs[0])?.shape[1].clone();
        for (name, row) in [("offset", &self.offset), ("scale", &self.scale)] {
            let length = row.len();
            ensure!(
                length == 1 || width == length.to_dim(),
                "{name} has {length} entries for {width} columns"
            );
        }
        let offset = model.add_const(format!("{prefix}.offset"), self.offset.clone())?;
        let scale = model.add_const(format!("{prefix}.scale"), self.scale.clone())?;
        let centered = model.wire_node(
            format!("{prefix}.centered"),
            math::sub(),
            &[inputs[0], offset],
        )?;
        model.wire_node(prefix, math::mul(), &[centered[0], scale])
    }
}
