//! Rows to train on, made up and always the same.

/// Rows with missing values, and labels that depend on three columns.
pub fn table(rows: usize, width: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut state = seed;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    };
    let (mut table, mut labels) = (Vec::new(), Vec::new());
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
