//! The ensembles as tract sees them: an operator with one input, and a label and scores, or values, as output.

use super::{Ensemble, Kind, Scratch};
use std::sync::Arc;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Builds a `TreeEnsembleClassifier`.
pub(crate) fn classifier(_: &ParsingContext, node: &NodeProto) -> Built {
    build(node, Kind::Classifier)
}

/// Builds a `TreeEnsembleRegressor`.
pub(crate) fn regressor(_: &ParsingContext, node: &NodeProto) -> Built {
    build(node, Kind::Regressor)
}

fn build(node: &NodeProto, kind: Kind) -> Built {
    let ensemble = Ensemble::parse(node, kind)?;
    Ok((
        expand(Trees {
            ensemble: Arc::new(ensemble),
            kind,
        }),
        vec![],
    ))
}

#[derive(Debug, Clone)]
struct Trees {
    ensemble: Arc<Ensemble>,
    kind: Kind,
}

// Tract compares operators to merge equal ones; two ensembles are the same only if they are one.
impl PartialEq for Trees {
    fn eq(&self, other: &Trees) -> bool {
        Arc::ptr_eq(&self.ensemble, &other.ensemble)
    }
}
impl Eq for Trees {}

impl Expansion for Trees {
    fn name(&self) -> StaticName {
        "TreeEnsemble".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(if self.kind == Kind::Classifier { 2 } else { 1 })
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, self.nboutputs()?)?;
        let scores = &outputs[outputs.len() - 1];
        s.equals(&inputs[0].datum_type, f32::datum_type())?;
        s.equals(&inputs[0].rank, 2)?;
        s.equals(&scores.datum_type, f32::datum_type())?;
        s.equals(&scores.rank, 2)?;
        s.equals(&scores.shape[0], &inputs[0].shape[0])?;
        s.equals(&scores.shape[1], self.ensemble.columns().to_dim())?;
        if self.kind == Kind::Classifier {
            s.equals(&outputs[0].datum_type, i64::datum_type())?;
            s.equals(&outputs[0].rank, 1)?;
            s.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        }
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Trees {
    fn name(&self) -> StaticName {
        "TreeEnsemble".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Trees {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let input = input
            .to_plain_array_view::<f32>()?
            .into_dimensionality::<tract_ndarray::Ix2>()?;
        ensure!(
            input.ncols() >= self.ensemble.min_width(),
            "the ensemble reads columns that the rows lack"
        );
        let columns = self.ensemble.columns();
        let mut labels = Vec::with_capacity(input.nrows());
        let mut scores = vec![0.0; input.nrows() * columns];
        let mut scratch = Scratch::default();
        for (row, scores) in input
            .rows()
            .into_iter()
            .zip(scores.chunks_exact_mut(columns))
        {
            let row: std::borrow::Cow<[f32]> = row
                .as_slice()
                .map_or_else(|| row.to_vec().into(), Into::into);
            labels.push(self.ensemble.eval(&row, &mut scratch, scores));
        }
        let scores = Tensor::from_shape(&[input.nrows(), columns], &scores)?.into_tvalue();
        Ok(match self.kind {
            Kind::Classifier => tvec!(tensor1(&labels).into_tvalue(), scores),
            Kind::Regressor => tvec!(scores),
        })
    }
}

impl TypedOp for Trees {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(
            inputs.len() == 1 && inputs[0].rank() == 2,
            "a tree ensemble takes one matrix"
        );
        let rows = inputs[0].shape[0].clone();
        if let Ok(width) = inputs[0].shape[1].to_usize() {
            let needed = self.ensemble.min_width();
            ensure!(
                width >= needed,
                "a tree splits on column {}, but rows have {width} columns",
                needed - 1
            );
        }
        let scores = f32::fact([rows.clone(), self.ensemble.columns().to_dim()]);
        Ok(match self.kind {
            Kind::Classifier => tvec!(i64::fact([rows]), scores),
            Kind::Regressor => tvec!(scores),
        })
    }
}
