//! A row's bits depend on the row alone: not on the rows that come with it, nor on its place among them.

use crate::data::table;
use crate::python;
use mainstem_models::{Onnx, OnnxModel, TrainParams, train};
use proptest::prelude::*;

fn bits(model: &OnnxModel, rows: &[f32]) -> Vec<u32> {
    let mut out = Vec::new();
    model.predict(rows, &mut out).unwrap();
    out.into_iter().map(f32::to_bits).collect()
}

fn models() -> Vec<(OnnxModel, Vec<f32>)> {
    let (rows, labels) = table(400, 6, 5);
    let trained = train(
        &TrainParams {
            iterations: 20,
            ..TrainParams::default()
        },
        &rows,
        6,
        &labels,
    )
    .unwrap();
    let mut models = vec![(Onnx::load(&trained.onnx, 6).unwrap(), rows)];
    let wanted = [
        "scikit_network",
        "scikit_network_tanh",
        "scikit_scaled_logistic",
        "scikit_ranged_forest",
        "op_Softmax",
    ];
    for name in wanted {
        let case = python::cases()
            .iter()
            .find(|case| case.name == name)
            .unwrap();
        models.push((
            Onnx::load(&case.onnx, case.width).unwrap(),
            case.rows[..200 * case.width].to_vec(),
        ));
    }
    models
}

#[test]
fn any_cuts_give_the_same_bits() {
    let models = models();
    proptest!(ProptestConfig::with_cases(40), |(sizes in prop::collection::vec(0usize..150, 1..12))| {
        for (model, rows) in &models {
            let whole = bits(model, rows);
            let mut rest = rows.as_slice();
            let mut pieces = Vec::new();
            for size in &sizes {
                let (head, tail) = rest.split_at((size * model.inputs()).min(rest.len()));
                pieces.extend(bits(model, head));
                rest = tail;
            }
            pieces.extend(bits(model, rest));
            prop_assert_eq!(&whole, &pieces);
        }
    });
}

#[test]
fn a_row_gives_the_same_bits_at_every_place() {
    for (model, rows) in models() {
        let width = model.inputs();
        let row = &rows[width..2 * width];
        let alone = bits(&model, row)[0];
        for place in 0..70 {
            let mut shifted = rows[..place * width].to_vec();
            shifted.extend(row);
            assert_eq!(bits(&model, &shifted)[place], alone, "place {place}");
        }
    }
}
