//! The statistics on real data: the electricity market that the example is about.
//!
//! `period` is the half hour of the day and never drifts; `vicprice` is constant until row 17,424.

use mainstem_statistics::{Counts, Grid, Precision, ks, psi};
use std::path::Path;

const COLUMNS: [&str; 6] = [
    "period",
    "nswprice",
    "nswdemand",
    "vicprice",
    "vicdemand",
    "transfer",
];
const REFERENCE: usize = 5_000;
const WEEK: usize = 336;
const CHANGE: usize = 17_424;

#[expect(clippy::expect_used, reason = "a helper of tests")]
fn column(name: &str) -> Vec<f64> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/electricity/electricity.csv");
    let text =
        std::fs::read_to_string(&path).expect("examples/electricity/electricity.csv can be read");
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    let position = header
        .split(',')
        .position(|column| column == name)
        .expect("the column is in the header");
    let field = |line: &str| {
        line.split(',')
            .nth(position)
            .and_then(|field| field.parse().ok())
    };
    lines.map(|line| field(line).expect("a number")).collect()
}

fn profile(values: &[f64]) -> (Grid, Counts) {
    let grid = Grid::freeze(values);
    let counts = Counts::of(&grid, values);
    (grid, counts)
}

#[test]
fn the_grid_is_within_its_bound_of_the_exact_statistic() {
    for name in COLUMNS {
        let values = column(name);
        assert_eq!(values.len(), 45_312);
        let (reference, rest) = values.split_at(REFERENCE);
        let (grid, counts) = profile(reference);
        let (mut worst, mut largest_bound) = (0.0_f64, 0.0_f64);
        for window in rest.chunks_exact(WEEK) {
            let exact = ks::exact(reference, window).unwrap();
            let sketch = ks::on_grid(&grid, &counts, &Counts::of(&grid, window)).unwrap();
            let Precision::Sketch { bound } = sketch.precision else {
                panic!("a grid gives a sketch")
            };
            let error = exact.statistic - sketch.statistic;
            assert!(
                (-1e-12..=bound + 1e-12).contains(&error),
                "{name}: {error} is not in 0..={bound}"
            );
            worst = worst.max(error);
            largest_bound = largest_bound.max(bound);
        }
        assert!(largest_bound <= 1.0 / 256.0);
        println!(
            "{name}: {} cells, off by {worst:.6}, bound {largest_bound:.6}",
            grid.cells()
        );
    }
}

#[test]
fn the_half_hour_of_the_day_never_drifts() {
    let values = column("period");
    let (reference, rest) = values.split_at(REFERENCE);
    let (grid, counts) = profile(reference);
    let weeks = rest.chunks_exact(WEEK).map(|window| {
        let window = Counts::of(&grid, window);
        let ks = ks::on_grid(&grid, &counts, &window).unwrap().statistic;
        (ks, psi::psi(&grid, &counts, &window).unwrap().statistic)
    });
    let (ks, psi) = weeks.fold((0.0_f64, 0.0_f64), |(a, b), (ks, psi)| {
        (a.max(ks), b.max(psi))
    });
    println!("period: KS up to {ks:.6}, PSI up to {psi:.6}");
    assert!(ks <= 0.01 && psi <= 0.01, "KS {ks}, PSI {psi}");
}

#[test]
fn a_constant_that_starts_to_vary_drifts_every_week() {
    let values = column("vicprice");
    let (grid, counts) = profile(&values[..REFERENCE]);
    let compare = |window: &[f64]| {
        let window = Counts::of(&grid, window);
        let ks = ks::on_grid(&grid, &counts, &window).unwrap().statistic;
        (ks, psi::psi(&grid, &counts, &window).unwrap().statistic)
    };
    assert_eq!(compare(&values[REFERENCE..CHANGE]), (0.0, 0.0));
    let (ks, psi) = compare(&values[CHANGE..]);
    let weeks = values[CHANGE..].chunks_exact(WEEK).map(compare);
    let least = weeks.fold((1.0_f64, f64::INFINITY), |(a, b), (ks, psi)| {
        (a.min(ks), b.min(psi))
    });
    println!(
        "vicprice: KS {ks:.4}, PSI {psi:.4}; in the mildest weeks {:.4}, {:.4}",
        least.0, least.1
    );
    for (ks, psi) in [(ks, psi), least] {
        assert!(ks > 0.4 && psi > 0.25, "KS {ks}, PSI {psi}");
    }
}
