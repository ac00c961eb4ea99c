//! One row and many rows through a trained model of 100 trees, and training it.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use mainstem_models::{Onnx, TrainParams, train};
use std::hint::black_box;

#[path = "../tests/data.rs"]
mod data;

fn benches(criterion: &mut Criterion) {
    let (rows, labels) = data::table(8000, 12, 1);
    let params = TrainParams::default();
    let trained = match train(&params, &rows, 12, &labels) {
        Ok(trained) => trained,
        Err(error) => return eprintln!("{error}"),
    };
    let model = match Onnx::load(&trained.onnx, 12) {
        Ok(model) => model,
        Err(error) => return eprintln!("{error}"),
    };
    println!(
        "{} trees, {} leaves, {} bytes",
        trained.trees,
        trained.leaves,
        trained.onnx.len()
    );
    let mut out = Vec::new();
    for count in [1, 64, 8000] {
        let mut start = 0;
        criterion.bench_function(&format!("predict {count} rows"), |bench| {
            bench.iter(|| {
                // A new row each time: one row again and again would be learned by heart by the branch predictor.
                start = if start + count >= 8000 {
                    0
                } else {
                    start + count
                };
                let rows = &rows[start.min(8000 - count) * 12..][..count * 12];
                out.clear();
                black_box(model.predict(black_box(rows), &mut out)).is_ok()
            });
        });
    }
    criterion.bench_function("load", |bench| {
        bench.iter(|| Onnx::load(black_box(&trained.onnx), 12).is_ok())
    });
    let mut slow = criterion.benchmark_group("slow");
    slow.sample_size(10);
    slow.bench_function("train 8000 rows of 12", |bench| {
        bench.iter(|| train(&params, &rows, 12, &labels).is_ok())
    });
}

criterion_group!(all, benches);
criterion_main!(all);
