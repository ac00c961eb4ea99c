//! Every statistic against scipy, scikit-learn and numpy, to 1e-9.
//!
//! The samples are made here, from a fixed seed, and sent to `tests/python/statistics_reference.py` at the workspace's
//! root, which answers with what the Python libraries make of them. A missing interpreter is a failure, not a skip.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mainstem_statistics::blocks::{Block, mean_difference};
use mainstem_statistics::psi::Bins;
use mainstem_statistics::shares::Shares;
use mainstem_statistics::{
    Confusion, Counts, Error, Grid, Pair, Tested, distances, ks, means, ranks,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TOLERANCE: f64 = 1e-9;

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn sample(&mut self, size: usize, mut shape: impl FnMut(f64) -> f64) -> Vec<f64> {
        (0..size).map(|_| shape(self.unit())).collect()
    }
}

/// Pairs of columns: distinct, shifted, tied, constant, disjoint, of very unequal size, infinite, some missing.
fn columns() -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut random = Random(1);
    let r = &mut random;
    let gaps = |u: f64| if u < 0.1 { f64::NAN } else { u };
    let infinite = |u: f64| {
        if u < 0.1 {
            f64::NEG_INFINITY
        } else if u > 0.8 {
            f64::INFINITY
        } else {
            u
        }
    };
    vec![
        (r.sample(5_000, |u| u), r.sample(336, |u| u)),
        (r.sample(5_000, |u| u), r.sample(336, |u| u * u + 0.1)),
        (
            r.sample(3_001, |u| libm::log(1.0 - u)),
            r.sample(2_003, |u| 1.3 * libm::log(1.0 - u)),
        ),
        (
            r.sample(4_000, |u| (u * 7.0).floor()),
            r.sample(500, |u| (u * u * 8.0).floor() - 1.0),
        ),
        (
            r.sample(4_000, |u| (u * 90.0).floor()),
            r.sample(500, |u| (u * 95.0).floor()),
        ),
        (vec![0.003467; 5_000], r.sample(336, |u| u / 100.0)),
        (vec![1.0; 10], vec![1.0; 3]),
        (r.sample(50, |u| u), r.sample(70, |u| u + 2.0)),
        (r.sample(9, |u| u), r.sample(4, |u| u)),
        (r.sample(20_000, |u| u), r.sample(1, |u| u)),
        (r.sample(5_000, gaps), r.sample(336, |u| gaps(u * 0.8))),
        (
            r.sample(1_000, |u| if u < 0.5 { -0.0 } else { u }),
            r.sample(300, |u| if u < 0.4 { 0.0 } else { u }),
        ),
        (
            r.sample(1_000, infinite),
            r.sample(400, |u| infinite(u * 0.9)),
        ),
        (
            r.sample(2_000, |u| 1e9 + u),
            r.sample(400, |u| 1e9 + u + 0.05),
        ),
    ]
}

fn outcomes() -> Vec<(Vec<bool>, Vec<bool>)> {
    let mut random = Random(2);
    let mut draw = |size: usize, labels: f64, right: f64| {
        let label: Vec<bool> = (0..size).map(|_| random.unit() < labels).collect();
        let predicted = label
            .iter()
            .map(|label| *label == (random.unit() < right))
            .collect();
        (label, predicted)
    };
    let (positive, negative) = (vec![true; 5], vec![false; 5]);
    vec![
        draw(10_000, 0.42, 0.84),
        draw(500, 0.02, 0.9),
        draw(7, 0.5, 0.5),
        (positive.clone(), negative.clone()),
        (negative.clone(), positive.clone()),
        (negative.clone(), negative),
        (positive.clone(), positive),
    ]
}

fn differences() -> Vec<Vec<Block>> {
    let mut random = Random(3);
    let mut draw = |blocks: usize, count: fn(f64) -> u64| -> Vec<Block> {
        let mut block = || {
            let count = count(random.unit());
            Block {
                sum: ((random.unit() - 0.45) * 0.2 * count as f64).round(),
                count,
            }
        };
        (0..blocks).map(|_| block()).collect()
    };
    vec![
        draw(119, |_| 336),
        draw(60, |u| 1 + (u * 500.0) as u64),
        draw(2, |u| 5 + (u * 9.0) as u64),
        draw(30, |_| 10),
    ]
}

/// JSON has no NaN and no infinities; Python's `float` reads their names.
fn numbers(values: &[f64]) -> Value {
    values
        .iter()
        .map(|value| {
            if value.is_finite() {
                json!(value)
            } else {
                json!(value.to_string())
            }
        })
        .collect()
}

#[expect(clippy::expect_used, clippy::panic, reason = "a helper of tests")]
fn ask(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace's root");
    let named = std::env::var_os("MAINSTEM_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| root.join("target/venv/bin/python"));
    let advice = "Run `cargo xtask test --setup`, or name an interpreter with numpy, scipy and scikit-learn in \
                  MAINSTEM_TEST_PYTHON.";
    let mut command = Command::new(&python);
    command
        .arg(root.join("tests/python/statistics_reference.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}. {advice}", python.display()));
    let mut stdin = child.stdin.take().expect("a pipe");
    let sent = stdin.write_all(question.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the script ends");
    assert!(
        sent.is_ok() && output.status.success(),
        "{}: {}. {advice}",
        python.display(),
        output.status
    );
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}

#[track_caller]
fn assert_near(ours: Option<f64>, theirs: &Value, what: &str) {
    match (ours, theirs.as_f64()) {
        (Some(ours), Some(theirs)) => assert!(
            (ours - theirs).abs() <= TOLERANCE,
            "{what}: {ours}, expected {theirs}"
        ),
        (ours, theirs) => assert_eq!(ours, theirs, "{what}"),
    }
}

#[test]
fn kolmogorov_smirnov() {
    let pairs = columns();
    let question = pairs
        .iter()
        .map(|(r, w)| json!({"reference": numbers(r), "window": numbers(w)}));
    let answer = ask(&json!({"ks": question.collect::<Value>()}));
    for (i, (reference, window)) in pairs.iter().enumerate() {
        assert_near(
            Some(ks::exact(reference, window).unwrap().statistic),
            &answer["ks"][i],
            &format!("ks {i}"),
        );
    }
}

#[test]
fn population_stability_index() {
    let (mut question, mut ours) = (Vec::new(), Vec::new());
    for (reference, window) in columns() {
        let grid = Grid::freeze(&reference);
        let bins = Bins::new(&grid, &Counts::of(&grid, &reference)).unwrap();
        ours.push(bins.compare(&Counts::of(&grid, &window)).unwrap().statistic);
        let bounds = numbers(&bins.bounds(&grid));
        question.push(
            json!({"bounds": bounds, "reference": numbers(&reference), "window": numbers(&window)}),
        );
    }
    let answer = ask(&json!({"psi": question}));
    for (i, ours) in ours.into_iter().enumerate() {
        assert_near(Some(ours), &answer["psi"][i], &format!("psi {i}"));
    }
}

#[test]
fn classification() {
    let cases = outcomes();
    let question = cases
        .iter()
        .map(|(label, predicted)| json!({"label": label, "predicted": predicted}));
    let answer = ask(&json!({"classification": question.collect::<Value>()}));
    for (i, (label, predicted)) in cases.iter().enumerate() {
        let mut counts = Confusion::default();
        label
            .iter()
            .zip(predicted)
            .for_each(|(label, predicted)| counts.add(*label, *predicted));
        let theirs = &answer["classification"][i];
        assert_eq!(
            json!({"tp": counts.tp, "fp": counts.fp, "tn": counts.tn, "fn": counts.fn_}),
            theirs["counts"]
        );
        assert_near(
            counts.accuracy(),
            &theirs["accuracy"],
            &format!("accuracy {i}"),
        );
        assert_near(
            counts.precision(),
            &theirs["precision"],
            &format!("precision {i}"),
        );
        assert_near(counts.recall(), &theirs["recall"], &format!("recall {i}"));
        assert_near(counts.f1(), &theirs["f1"], &format!("f1 {i}"));
    }
}

#[test]
fn block_intervals() {
    let cases = differences();
    let question = cases.iter().map(|blocks| {
        let (sums, counts): (Vec<f64>, Vec<u64>) =
            blocks.iter().map(|block| (block.sum, block.count)).unzip();
        json!({"sums": sums, "counts": counts})
    });
    let answer = ask(&json!({"blocks": question.collect::<Value>()}));
    for (i, blocks) in cases.iter().enumerate() {
        let (ours, theirs) = (mean_difference(blocks).unwrap(), &answer["blocks"][i]);
        assert_near(Some(ours.mean), &theirs["mean"], &format!("mean {i}"));
        assert_near(
            Some(ours.standard_error),
            &theirs["standard_error"],
            &format!("standard error {i}"),
        );
        assert_near(Some(ours.low), &theirs["low"], &format!("low {i}"));
        assert_near(Some(ours.high), &theirs["high"], &format!("high {i}"));
    }
}

/// As near as scipy's own figures are to the truth: relative where they are large.
#[track_caller]
fn assert_close(ours: f64, theirs: &Value, what: &str) {
    let theirs: f64 = match theirs {
        Value::String(name) => name.parse().unwrap(),
        number => number
            .as_f64()
            .unwrap_or_else(|| panic!("{what}: {ours}, where scipy has no answer")),
    };
    let close = (ours - theirs).abs() <= TOLERANCE * theirs.abs().max(1.0);
    assert!(close || ours == theirs, "{what}: {ours}, expected {theirs}");
}

fn answers(name: &str, pairs: &[(Vec<f64>, Vec<f64>)]) -> Vec<Value> {
    let question = pairs
        .iter()
        .map(|(r, w)| json!({"test": name, "reference": numbers(r), "window": numbers(w)}));
    let mut answer = ask(&json!({"two_sample": question.collect::<Value>()}));
    serde_json::from_value(answer["two_sample"].take()).unwrap()
}

fn is_finite((reference, window): &(Vec<f64>, Vec<f64>)) -> bool {
    let values = reference.iter().chain(window);
    values.copied().all(|value| !value.is_infinite())
}

#[test]
fn distances_of_distributions() {
    let pairs: Vec<_> = columns().into_iter().filter(is_finite).collect();
    type Distance = fn(&Pair) -> Result<f64, Error>;
    let methods: [(&str, Distance); 2] = [
        ("wasserstein", distances::wasserstein),
        ("energy", distances::energy),
    ];
    for (name, method) in methods {
        for (i, theirs) in answers(name, &pairs).iter().enumerate() {
            let pair = Pair::of(&pairs[i].0, &pairs[i].1).unwrap();
            assert_close(method(&pair).unwrap(), theirs, &format!("{name} {i}"));
        }
    }
}

/// Statistic and p-value; null where either of us says that the samples are none for the test.
#[track_caller]
fn compare(name: &str, pairs: &[(Vec<f64>, Vec<f64>)], test: fn(&Pair) -> Result<Tested, Error>) {
    let mut compared = 0;
    for (i, theirs) in answers(name, pairs).iter().enumerate() {
        let pair = Pair::of(&pairs[i].0, &pairs[i].1).unwrap();
        match test(&pair) {
            Ok(ours) => {
                let what = format!("{name} {i}");
                assert_close(ours.statistic, &theirs["statistic"], &what);
                assert_close(
                    ours.p_value,
                    &theirs["p_value"],
                    &format!("{what}, p-value"),
                );
                compared += 1;
            }
            Err(error) => assert!(
                theirs.is_null(),
                "{name} {i}: {error}, where scipy says {theirs}"
            ),
        }
    }
    assert!(compared >= 10, "{name}: {compared} compared");
}

#[test]
fn ranks_and_means() {
    let all = columns();
    let finite: Vec<_> = columns().into_iter().filter(is_finite).collect();
    compare("cramer_von_mises", &all, ranks::cramer_von_mises);
    compare("mann_whitney", &all, |pair| Ok(ranks::mann_whitney(pair)));
    compare("anderson_darling", &all, ranks::anderson_darling);
    compare("student", &finite, means::student);
    compare("welch", &finite, means::welch);
}

#[test]
fn shares_of_categories() {
    let cases: [(&[u64], &[u64]); 6] = [
        (&[100, 200, 300], &[12, 18, 30]),
        (&[100, 200, 300], &[300, 200, 100]),
        (&[5, 0, 7], &[1, 0, 9]),
        (&[5, 3, 7], &[1, 0, 9]),
        (&[5, 0, 7], &[1, 2, 9]),
        (&[1_000_000, 999_000], &[501_000, 499_000]),
    ];
    let question =
        cases.map(|(reference, window)| json!({"reference": reference, "window": window}));
    let answer = ask(&json!({"shares": question}));
    for (i, (reference, window)) in cases.into_iter().enumerate() {
        let (shares, theirs) = (Shares::of(reference, window).unwrap(), &answer["shares"][i]);
        let chi_squared = shares.chi_squared().unwrap();
        let ours = [
            ("chi_squared", chi_squared.statistic),
            ("chi_squared_p", chi_squared.p_value),
            ("kullback_leibler", shares.kullback_leibler()),
            ("jensen_shannon", shares.jensen_shannon()),
            ("hellinger", shares.hellinger()),
            ("total_variation", shares.total_variation()),
        ];
        for (name, ours) in ours {
            assert_close(ours, &theirs[name], &format!("{name} {i}"));
        }
    }
}

#[test]
fn proportions_of_positives() {
    let cases = [
        ((30, 100), (55, 120)),
        ((1, 9), (2, 7)),
        ((500_000, 1_000_000), (501_000, 1_000_000)),
    ];
    let answer = ask(&json!({"proportions": cases}));
    for (i, (reference, window)) in cases.into_iter().enumerate() {
        let (ours, theirs) = (
            means::proportions(reference, window).unwrap(),
            &answer["proportions"][i],
        );
        assert_close(ours.statistic, &theirs["statistic"], &format!("z {i}"));
        assert_close(ours.p_value, &theirs["p_value"], &format!("z {i}, p-value"));
    }
    assert_eq!(means::proportions((5, 5), (3, 3)), Err(Error::Constant));
}
