//! The trainer against forust itself, and against itself.

use super::*;
use crate::Onnx;
use proptest::prelude::*;

/// A small linear congruential generator: tests need no more, and the rows never change.
fn values(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    }
}

/// Rows with missing values, repeated values and a label that depends on three columns.
fn table(rows: usize, width: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut next = values(seed);
    let mut table = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..rows {
        let row: Vec<f32> = (0..width)
            .map(|at| {
                if at == 1 {
                    (next() * 5.0).floor()
                } else {
                    next() - 0.5
                }
            })
            .collect();
        let signal =
            row[0] * 3.0 + row[1] * 0.5 - row[2 % width] * row[0] * 4.0 - 1.0 + (next() - 0.5);
        labels.push(f32::from(signal > 0.0));
        table.extend(
            row.iter()
                .map(|value| if next() < 0.1 { f32::NAN } else { *value }),
        );
    }
    (table, labels)
}

/// forust's own probabilities, for the same rows.
fn forust(params: &TrainParams, rows: &[f32], width: usize, labels: &[f32]) -> Vec<f64> {
    let booster = fit(params, rows, width, labels).unwrap();
    let count = rows.len() / width;
    let columns: Vec<f64> = (0..width)
        .flat_map(|column| {
            rows.iter()
                .skip(column)
                .step_by(width)
                .map(|value| f64::from(*value))
        })
        .collect();
    let odds = booster.predict(&Matrix::new(&columns, count, width), false);
    odds.into_iter()
        .map(|odds| 1.0 / (1.0 + (-odds).exp()))
        .collect()
}

fn largest_difference(params: &TrainParams, rows: &[f32], width: usize, labels: &[f32]) -> f64 {
    let model = Onnx::load(&train(params, rows, width, labels).unwrap().onnx, width).unwrap();
    let mut ours = Vec::new();
    model.predict(rows, &mut ours).unwrap();
    let theirs = forust(params, rows, width, labels);
    assert_eq!(ours.len(), theirs.len());
    ours.iter()
        .zip(&theirs)
        .map(|(ours, theirs)| (f64::from(*ours) - theirs).abs())
        .fold(0.0, f64::max)
}

#[test]
fn the_file_predicts_what_forust_does() {
    for (seed, subsample) in [(1, 1.0), (2, 0.7)] {
        let (rows, labels) = table(3000, 6, seed);
        let params = TrainParams {
            subsample,
            seed,
            ..TrainParams::default()
        };
        let difference = largest_difference(&params, &rows, 6, &labels);
        println!("largest difference from forust: {difference:e}");
        assert!(difference < 1e-6, "{difference}");
    }
}

#[test]
fn the_same_data_gives_the_same_bytes() {
    let (rows, labels) = table(1500, 5, 3);
    let params = TrainParams {
        subsample: 0.5,
        seed: 9,
        ..TrainParams::default()
    };
    let first = train(&params, &rows, 5, &labels).unwrap();
    assert_eq!(first, train(&params, &rows, 5, &labels).unwrap());
    let other = train(&TrainParams { seed: 10, ..params }, &rows, 5, &labels).unwrap();
    assert_ne!(first.onnx, other.onnx);
}

#[test]
fn parameters_outside_of_their_limits_are_named() {
    let refused = |params: TrainParams| params.validate().unwrap_err().to_string();
    let default = TrainParams::default();
    default.validate().unwrap();
    let message = refused(TrainParams {
        learning_rate: f32::NAN,
        ..default.clone()
    });
    assert_eq!(
        message,
        "parameter learning_rate is NaN; above 0, to 1 is allowed"
    );
    let message = refused(TrainParams {
        nbins: 1,
        ..default.clone()
    });
    assert_eq!(message, "parameter nbins is 1; 2 to 4096 is allowed");
    let message = refused(TrainParams {
        l2: -1.0,
        ..default
    });
    assert_eq!(message, "parameter l2 is -1; 0 to 1000000 is allowed");
}

#[test]
fn parameters_are_plain_data() {
    let params: TrainParams = serde_json::from_str(r#"{"max_depth": 3}"#).unwrap();
    assert_eq!(
        params,
        TrainParams {
            max_depth: 3,
            ..TrainParams::default()
        }
    );
    assert!(serde_json::from_str::<TrainParams>(r#"{"max_dept": 3}"#).is_err());
}

#[test]
fn what_is_no_training_set_is_refused() {
    let refused = |rows: &[f32], width, labels: &[f32]| {
        train(&TrainParams::default(), rows, width, labels)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&[1.0, 2.0], 1, &[0.0, 0.0]).contains("both classes"));
    assert!(refused(&[1.0, 2.0], 1, &[0.0, 2.0]).contains("the label 2 in row 1"));
    assert!(refused(&[1.0, 2.0, 3.0], 2, &[0.0, 1.0]).contains("each row needs one label"));
    assert!(refused(&[1.0, f32::INFINITY], 2, &[0.0]).contains("inf in row 0, column 1"));
    assert!(refused(&[], 0, &[]).contains("0 columns"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Odd tables: few rows, columns all missing, constant or of extreme values, no regularization. Training may
    /// fail with an error, and what it gives predicts as forust does.
    #[test]
    fn odd_tables_train_or_are_refused(
        width in 1usize..4,
        cells in prop::collection::vec(
            prop_oneof![
                Just(f32::NAN), Just(0.0), Just(-0.0), Just(f32::MAX), Just(f32::MIN_POSITIVE), -1.0f32..1.0
            ],
            4..60,
        ),
        bits in any::<u64>(),
        l2 in prop_oneof![Just(0.0f32), Just(1.0)],
        min_leaf_weight in prop_oneof![Just(0.0f32), Just(1.0)],
        subsample in prop_oneof![Just(0.1f32), Just(1.0)],
        nbins in prop_oneof![Just(2u16), Just(256)],
    ) {
        let count = cells.len() / width;
        let rows = &cells[..count * width];
        let labels: Vec<f32> = (0..count).map(|row| f32::from((bits >> row) & 1 == 1)).collect();
        let params = TrainParams { iterations: 10, l2, min_leaf_weight, subsample, nbins, ..TrainParams::default() };
        if let Ok(trained) = train(&params, rows, width, &labels) {
            let model = Onnx::load(&trained.onnx, width).unwrap();
            let mut ours = Vec::new();
            model.predict(rows, &mut ours).unwrap();
            for (ours, theirs) in ours.iter().zip(forust(&params, rows, width, &labels)) {
                prop_assert!((f64::from(*ours) - theirs).abs() < 1e-6, "{} {}", ours, theirs);
            }
        }
    }
}
