//! Properties of grids and counts, over floats of every kind.

use mainstem_statistics::{Counts, Grid, Precision, ks};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any bits at all, mixed with values that repeat and with the special ones.
fn value() -> impl Strategy<Value = f64> {
    let special = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        5e-324,
        -5e-324,
    ];
    prop_oneof![
        2 => any::<u64>().prop_map(f64::from_bits),
        4 => -1.0..1.0_f64,
        2 => (0..9_i32).prop_map(|i| f64::from(i) / 4.0),
        1 => proptest::sample::select(special.to_vec()),
    ]
}

fn columns() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, u16)> {
    (
        vec(value(), 0..400),
        vec(value(), 0..200),
        prop_oneof![Just(4_u16), Just(16), Just(256), 1..300_u16],
    )
}

proptest! {
    #[test]
    fn any_split_and_order_gives_the_same_bytes(
        (reference, window, cells) in columns(),
        shuffled in any::<proptest::sample::Index>(),
        cuts in vec(any::<proptest::sample::Index>(), 0..5),
    ) {
        let grid = Grid::freeze_at(&reference, cells).unwrap();
        let whole = Counts::of(&grid, &window);
        let mut other = window.clone();
        other.rotate_left(shuffled.index(window.len() + 1).min(window.len()));
        other.reverse();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(window.len() + 1)).collect();
        ends.extend([0, window.len()]);
        ends.sort_unstable();
        let parts: Vec<_> = ends.windows(2).map(|cut| Counts::of(&grid, &other[cut[0]..cut[1]])).collect();
        for order in [parts.clone(), parts.into_iter().rev().collect()] {
            let mut merged = Counts::new(&grid);
            order.iter().for_each(|part| merged.merge(part).unwrap());
            prop_assert_eq!(merged.to_bytes(), whole.to_bytes());
        }
        let mut single = Counts::new(&grid);
        window.iter().for_each(|value| single.add(&grid, *value).unwrap());
        prop_assert_eq!(single, whole);
        let mut turned = reference.clone();
        turned.reverse();
        prop_assert_eq!(Grid::freeze_at(&turned, cells).unwrap().to_bytes(), grid.to_bytes());
    }

    #[test]
    fn every_value_has_exactly_one_cell((reference, window, cells) in columns()) {
        let grid = Grid::freeze_at(&reference, cells).unwrap();
        for value in reference.iter().chain(&window).copied() {
            let holds = |cell: usize| {
                let lower = cell.checked_sub(1).map(|below| grid.bounds()[below]);
                lower.is_none_or(|lower| lower < value) && grid.bounds().get(cell).is_none_or(|upper| value <= *upper)
            };
            let holding: Vec<usize> = (0..grid.cells()).filter(|cell| !value.is_nan() && holds(*cell)).collect();
            let expected = if value.is_nan() { vec![] } else { vec![grid.cell(value)] };
            prop_assert_eq!(holding, expected);
            prop_assert_eq!(value.is_nan(), grid.cell(value) == grid.cells());
        }
        let counts = Counts::of(&grid, &window);
        prop_assert_eq!(counts.total(), window.len() as u64);
        prop_assert_eq!(counts.missing(), window.iter().filter(|value| value.is_nan()).count() as u64);
    }

    #[test]
    fn cells_are_few_and_small((reference, _, cells) in columns()) {
        let grid = Grid::freeze_at(&reference, cells).unwrap();
        let counts = Counts::of(&grid, &reference);
        prop_assert!(grid.cells() < 2 * usize::from(cells));
        for (cell, count) in counts.cells().iter().enumerate() {
            prop_assert!(grid.is_tie(cell) || count * u64::from(cells) <= counts.present());
        }
        for run in reference.chunk_by(|a, b| a == b).filter(|run| !run[0].is_nan()) {
            let all = reference.iter().filter(|value| **value == run[0]).count() as u64;
            prop_assert!(all * u64::from(cells) <= counts.present() || grid.is_tie(grid.cell(run[0])));
        }
    }

    #[test]
    fn reads_what_it_writes((reference, window, cells) in columns()) {
        let grid = Grid::freeze_at(&reference, cells).unwrap();
        let counts = Counts::of(&grid, &window);
        prop_assert_eq!(&Grid::from_bytes(&grid.to_bytes()).unwrap(), &grid);
        prop_assert_eq!(&Counts::from_bytes(&counts.to_bytes()).unwrap(), &counts);
        let pair = (grid, counts);
        let json = serde_json::to_string(&pair).unwrap();
        prop_assert_eq!(&serde_json::from_str::<(Grid, Counts)>(&json).unwrap(), &pair);
        let binary = postcard::to_stdvec(&pair).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<(Grid, Counts)>(&binary).unwrap(), &pair);
    }

    #[test]
    fn bytes_that_decode_are_canonical(bytes in vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 0..40)) {
        if let Ok(grid) = Grid::from_bytes(&bytes) {
            prop_assert_eq!(grid.to_bytes(), bytes.clone());
        }
        if let Ok(counts) = Counts::from_bytes(&bytes) {
            prop_assert_eq!(counts.to_bytes(), bytes);
        }
    }

    #[test]
    fn the_exact_statistic_lies_within_the_bound((reference, window, cells) in columns()) {
        let grid = Grid::freeze_at(&reference, cells).unwrap();
        let counts = |values: &[f64]| Counts::of(&grid, values);
        let sketch = ks::on_grid(&grid, &counts(&reference), &counts(&window));
        match (ks::exact(&reference, &window), sketch) {
            (Ok(exact), Ok(sketch)) => {
                let Precision::Sketch { bound } = sketch.precision else { panic!("a grid gives a sketch") };
                prop_assert!(bound <= 1.0 / f64::from(cells));
                prop_assert!(sketch.statistic <= exact.statistic + 1e-12);
                prop_assert!(exact.statistic <= sketch.statistic + bound + 1e-12);
                prop_assert_eq!((exact.reference, exact.window), (sketch.reference, sketch.window));
            }
            (exact, sketch) => prop_assert_eq!(exact.unwrap_err(), sketch.unwrap_err()),
        }
    }
}
