//! Every expression against a naive reading of its definition; cuts, refusals, bits.

use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_schemas::definition::{Expression, Feature, Project, Statistic};

use mainstem_schemas::{Batch, EventId, Millis, wire};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::harness::{Bench, arrive, body, cut, project, spec};

mod refusals;
mod times;

const DAY: i64 = 86_400_000;

fn of_features(features: Vec<Feature>) -> Project {
    project(serde_json::to_value(features).unwrap())
}

fn bench(project: &Project) -> Bench<FeatureMachine> {
    let mut bench = Bench::new(
        FeatureMachine::new("p", "v"),
        spec(project, "features/v/0"),
        project,
    );
    bench.tick(Millis(DAY));
    bench
}

/// An arrival per record: entity, x, n; a second apart.
fn arrivals(bench: &Bench<FeatureMachine>, records: &[(usize, Option<f64>, i64)]) -> Batch {
    let schema = bench.catalog.id_of("s").unwrap();
    let mut batch = Batch::new();
    for (row, (entity, x, n)) in records.iter().enumerate() {
        let id = EventId::row(7, 1, row as u64);
        let time = Millis(1000 * row as i64);
        arrive(&mut batch, schema, &format!("e{entity}"), id, time, |out| {
            body(out, *x, *n, n % 2 == 0, None)
        });
    }
    batch
}

/// The rows that were written: the features, NaN where they are missing.
fn rows(bench: &Bench<FeatureMachine>, project: &Project) -> Vec<Vec<f64>> {
    let names = view_outputs(&project.views["v"]);
    let layout = Layout::new(
        names
            .iter()
            .map(|name| Wanted::optional(name, Kind::Number)),
    )
    .unwrap();
    let known = bench
        .catalog
        .known(bench.catalog.id_of("features.v").unwrap())
        .unwrap();
    let decoder = FlatDecoder::compile(known.schema().unwrap(), &layout).unwrap();
    let mut columns = Columns::new(&layout);
    for record in bench.output("p.features.v").iter() {
        let (_, body) = wire::split(record.value.unwrap()).unwrap();
        decoder.append(body, &mut columns).unwrap();
    }
    let value = |column, row| columns.number(column, row).unwrap_or(f64::NAN);
    (0..columns.rows())
        .map(|row| (0..names.len()).map(|column| value(column, row)).collect())
        .collect()
}

/// The definitions read aloud: an operand's value at a record of an entity's history, computed from nothing.
struct Naive<'a> {
    features: &'a [Feature],
    history: Vec<(Option<f64>, i64)>,
}

impl Naive<'_> {
    fn operand(&self, name: &str, own: &str, at: usize) -> f64 {
        match self
            .features
            .iter()
            .find(|feature| feature.name == name && name != own)
        {
            Some(feature) => self.feature(feature, at),
            None => {
                let (x, n) = self.history[at];
                match name {
                    "x" => finite(x.unwrap_or(f64::NAN)),
                    "n" => n as f64,
                    "up" => f64::from(n % 2 == 0),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn feature(&self, feature: &Feature, at: usize) -> f64 {
        let of = |name: &str, at: usize| self.operand(name, &feature.name, at);
        let back = |name: &str, by: u32| {
            at.checked_sub(by as usize)
                .map_or(f64::NAN, |at| of(name, at))
        };
        finite(match &feature.of {
            Expression::Column(name) => of(name, at),
            Expression::Lag { of, by } => back(of, *by),
            Expression::Change { of: name, by } => of(name, at) - back(name, *by),
            Expression::Difference { left, right } => of(left, at) - of(right, at),
            Expression::Ratio { left, right } => of(left, at) / of(right, at),
            Expression::Window {
                statistic,
                of: name,
                last,
            } => {
                let from = (at + 1).saturating_sub(*last as usize);
                let values: Vec<f64> = (from..=at)
                    .map(|at| of(name, at))
                    .filter(|x| !x.is_nan())
                    .collect();
                naive(*statistic, &values)
            }
            Expression::Ewma { of: name, alpha } => {
                let values = (0..=at).map(|at| of(name, at)).filter(|x| !x.is_nan());
                let ewma = |before: Option<f64>, x| {
                    Some(before.map_or(x, |before| alpha * x + (1.0 - alpha) * before))
                };
                values.fold(None, ewma).unwrap_or(f64::NAN)
            }
        })
    }
}

fn naive(statistic: Statistic, values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviations: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    match statistic {
        Statistic::Count => n,
        _ if values.is_empty() => f64::NAN,
        Statistic::Sum => values.iter().sum(),
        Statistic::Mean => mean,
        Statistic::StdPopulation => (deviations / n).sqrt(),
        Statistic::StdSample if values.len() < 2 => f64::NAN,
        Statistic::StdSample => (deviations / (n - 1.0)).sqrt(),
        Statistic::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Statistic::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::NAN }
}

/// Operands: columns, and `f0`..`f3`; a divisor is a column, so that no rounding error is divided by.
fn expression(features_below: usize) -> impl Strategy<Value = Expression> {
    let names: Vec<String> = ["x", "n", "up"]
        .map(String::from)
        .into_iter()
        .chain((0..features_below).map(|k| format!("f{k}")))
        .collect();
    let name = prop::sample::select(names);
    let by = prop::sample::select(vec![1u32, 2, 7, 40]);
    let last = prop::sample::select(vec![1u32, 2, 9, 48, 257, 300]);
    let statistic = prop::sample::select(vec![
        Statistic::Count,
        Statistic::Sum,
        Statistic::Mean,
        Statistic::StdPopulation,
        Statistic::StdSample,
        Statistic::Min,
        Statistic::Max,
    ]);
    (0..7, name.clone(), name, by, last, statistic).prop_map(
        |(kind, of, other, by, last, statistic)| match kind {
            0 => Expression::Column(of),
            1 => Expression::Lag { of, by },
            2 => Expression::Change { of, by },
            3 => Expression::Difference {
                left: of,
                right: other,
            },
            4 => Expression::Ratio {
                left: of,
                right: "n".into(),
            },
            5 => Expression::Ewma { of, alpha: 0.1 },
            _ => Expression::Window {
                statistic,
                of,
                last,
            },
        },
    )
}

/// Features of columns and of earlier features, in any order of declaration.
fn features() -> impl Strategy<Value = Vec<Feature>> {
    let named = |name: &'static str| {
        move |of| Feature {
            name: name.into(),
            of,
        }
    };
    let all = (
        expression(0).prop_map(named("f0")),
        expression(1).prop_map(named("f1")),
        expression(2).prop_map(named("f2")),
        expression(3).prop_map(named("f3")),
    );
    all.prop_map(|(a, b, c, d)| vec![a, b, c, d]).prop_shuffle()
}

fn records(most: usize) -> impl Strategy<Value = Vec<(usize, Option<f64>, i64)>> {
    let x = prop_oneof![
        8 => (-1000i32..1000).prop_map(|x| Some(f64::from(x))),
        1 => Just(None),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::INFINITY)),
    ];
    prop::collection::vec((0usize..2, x, -3i64..4), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_expression_is_what_its_definition_says(features in features(), records in records(700)) {
        let project = of_features(features.clone());
        let mut bench = bench(&project);
        let batch = arrivals(&bench, &records);
        bench.feed(0, &batch);
        let computed = rows(&bench, &project);
        prop_assert_eq!(computed.len(), records.len());
        let mut naive = [0, 1].map(|_| Naive { features: &features, history: Vec::new() });
        for ((entity, x, n), row) in records.iter().zip(computed) {
            let naive = &mut naive[*entity];
            naive.history.push((*x, *n));
            // Naive features of features cost too much at every record.
            if naive.history.len() % 37 != 1 { continue; }
            for (feature, got) in features.iter().zip(row) {
                let want = naive.feature(feature, naive.history.len() - 1);
                let close = (got - want).abs() <= 1e-6 + want.abs() * 1e-9;
                prop_assert!(close || got.is_nan() && want.is_nan(), "{:?}: {} for {}", feature, got, want);
            }
        }
    }

    #[test]
    fn cuts_and_restores_change_no_bit(features in features(), records in records(300), cuts in prop::collection::vec(0usize..300, 0..12)) {
        let project = of_features(features);
        let (mut whole, mut parts) = (bench(&project), bench(&project));
        let batch = arrivals(&whole, &records);
        whole.feed(0, &batch);
        for part in cut(&batch, &cuts) {
            parts.feed(0, &part);
            parts.restore();
        }
        prop_assert_eq!(&whole.wrote, &parts.wrote);
    }

    #[test]
    fn deviations_of_small_noise_on_a_large_mean_are_exact(noise in prop::collection::vec(-1.0f64..1.0, 2..400)) {
        let window = |last, statistic| Expression::Window { statistic, of: "x".into(), last };
        let named = |name: &str, of| Feature { name: name.into(), of };
        let project = of_features(vec![
            named("short", window(48, Statistic::StdSample)),
            named("long", window(300, Statistic::StdSample)),
            named("mean", window(300, Statistic::Mean)),
        ]);
        let mut bench = bench(&project);
        let values: Vec<f64> = noise.iter().map(|x| 1e9 + x).collect();
        let records: Vec<_> = values.iter().map(|x| (0, Some(*x), 1)).collect();
        let batch = arrivals(&bench, &records);
        bench.feed(0, &batch);
        for (row, got) in rows(&bench, &project).into_iter().enumerate().skip(1) {
            for (column, last) in [(0, 48), (1, 300)] {
                let window = &values[(row + 1).saturating_sub(last)..=row];
                let (mut sum, mut squares) = (exact::Sum::default(), exact::Squares::default());
                window.iter().for_each(|x| { sum.put(*x); squares.put(*x); });
                let exact = (squares.deviations(&sum, window.len() as u32) / (window.len() - 1) as f64).sqrt();
                prop_assert!((got[column] - exact).abs() <= exact * 1e-9 + 1e-12, "{} for {exact}", got[column]);
            }
            prop_assert!((got[2] - 1e9).abs() <= 1.0);
        }
    }
}

#[test]
fn a_feature_hides_a_column_but_not_from_itself() {
    let project = project(json!([
        {"name": "twice", "of": {"difference": {"left": "x", "right": "less"}}},
        {"name": "x", "of": {"change": {"of": "x", "by": 1}}},
        {"name": "less", "of": {"difference": {"left": "n", "right": "x"}}},
    ]));
    let mut bench = bench(&project);
    let batch = arrivals(&bench, &[(0, Some(5.0), 1), (0, Some(8.0), 2)]);
    bench.feed(0, &batch);
    let rows = rows(&bench, &project);
    assert!(rows[0].iter().all(|x| x.is_nan()), "{rows:?}");
    assert_eq!(rows[1], [3.0 - (2.0 - 3.0), 3.0, 2.0 - 3.0]);
}

#[test]
fn a_constant_does_not_deviate() {
    for last in [48, 300] {
        let project = project(json!([
            {"name": "std", "of": {"window": {"statistic": "std_population", "of": "x", "last": last}}},
        ]));
        let mut bench = bench(&project);
        let batch = arrivals(&bench, &[(0, Some(0.1), 0); 400]);
        bench.feed(0, &batch);
        assert!(rows(&bench, &project).iter().all(|row| row[0] == 0.0));
    }
}
