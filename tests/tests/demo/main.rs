//! What the demo promises, through the binary that users run. The whole data take minutes in a debug build, so the
//! test command runs these with `--release --include-ignored`, and only the short ones elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod future;
mod kafka;
mod kills;

use std::sync::OnceLock;

use mainstem_tests::binary::mainstem;
use serde_json::Value;

struct Demo {
    dir: tempfile::TempDir,
    report: Value,
}

/// Runs the demo, on the embedded log unless told otherwise.
fn play(more: &[&str]) -> Demo {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("summary.json");
    let output = mainstem()
        .args(["demo", "--dir"])
        .arg(dir.path().join("demo"))
        .arg("--report")
        .arg(&file)
        .args(more)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    Demo { dir, report }
}

fn first() -> &'static Demo {
    static FIRST: OnceLock<Demo> = OnceLock::new();
    FIRST.get_or_init(|| play(&[]))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn every_row_is_predicted_labelled_and_audited() {
    let report = &first().report;
    assert_eq!(report["rows"], 45_312);
    assert_eq!(report["predictions"], 40_312);
    assert_eq!(report["labels_joined"], 40_311);
    assert_eq!(report["audit"]["mismatches"], 0);
    assert!(number(&report["audit"]["derived_events"]) > 300_000.0);
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn mainstem_beats_no_model_and_the_first_model_does_not() {
    let accuracy = &first().report["accuracy"];
    let (none, first, mainstem) = (
        number(&accuracy["no_change"]),
        number(&accuracy["first_model"]),
        number(&accuracy["mainstem"]),
    );
    assert_eq!(
        (none * 10_000.0).round(),
        8_548.0,
        "the share of half hours whose class stays is a fact of the data"
    );
    assert!(first <= none - 0.005, "{first} against {none}");
    assert!(mainstem >= none + 0.003, "{mainstem} against {none}");
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn retrains_have_both_reasons_and_some_challenger_never_serves() {
    let retrains = first().report["retrains"].as_array().unwrap();
    let reason = |wanted: &str| retrains.iter().any(|retrain| retrain["reason"] == wanted);
    assert!(reason("drift") && reason("performance"));
    assert_eq!(retrains[0]["reason"], "initial");
    assert_eq!(retrains[0]["requested_at_row"], 5_000);
    let rejected: Vec<&Value> = retrains
        .iter()
        .filter(|retrain| retrain["promoted_at_row"].is_null())
        .collect();
    assert!(!rejected.is_empty());
    for retrain in retrains {
        assert!(
            retrain["reason"] == "initial" || !retrain["evidence"].as_array().unwrap().is_empty()
        );
        assert!(retrain["model_version"].is_string() && retrain["gate"].is_string());
    }
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn drift_is_detected_where_the_columns_change_and_never_in_the_period() {
    let detections = first().report["drift_detections"].as_array().unwrap();
    for feature in ["vicprice", "vicdemand", "transfer"] {
        for method in ["psi", "ks"] {
            let soon = |detection: &&Value| {
                detection["feature"] == feature
                    && detection["method"] == method
                    && (17_424.0..=18_524.0).contains(&number(&detection["row"]))
            };
            assert!(
                detections.iter().any(|detection| soon(&detection)),
                "{feature} by {method}"
            );
        }
    }
    assert!(
        detections
            .iter()
            .all(|detection| detection["feature"] != "period")
    );
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn every_run_prints_the_same_figures() {
    let (one, two) = (&first().report, &play(&[]).report);
    assert_eq!(without_observed(one), without_observed(two));
}

/// Turns are cut by when workers looked: they are no figure of the loop; nor is the time it took.
fn without_observed(report: &Value) -> Value {
    let mut report = report.clone();
    for observed in ["seconds", "turns"] {
        report[observed] = Value::Null;
    }
    report["audit"]["turns"] = Value::Null;
    if let Some(records) = report["records"].as_object_mut() {
        records.retain(|topic, _| !topic.ends_with("turns") && !topic.ends_with("snapshots"));
    }
    report
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn the_report_opens_without_a_network() {
    let page = std::fs::read_to_string(first().dir.path().join("demo/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"));
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
#[ignore = "the whole data, in a release build: cargo xtask test runs it"]
fn a_directory_that_holds_a_project_is_refused_with_a_remedy() {
    let output = mainstem()
        .args(["demo", "--dir"])
        .arg(first().dir.path().join("demo"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("name an empty directory with --dir"));
}
