//! Monitors in the project file: what is right, and what is told of mistakes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::mistakes;
use mainstem_schemas::Span;
use mainstem_schemas::definition::{DeclaredColumn, Thresholds};

const WATCHED: &str = "\
project: shop
sources:
  orders:
    fields: {customer: string, amount: double?, items: long, paid: boolean, at: long}
    entity: {column: customer}
    time: {column: at}
views:
  v: {features: {amount: amount}}
monitors:
  orders:
    source: orders
    windows: {origin: 2026-01-01T00:00, length: 1h}
    drift: {psi: {detect: 0.3, clear: 0.2}, windows: 3, min_rows: 50}
    columns:
      amount: {edges: [10, 99.5], shares: [0.5, 0.25, 0.25], missing: 0.05}
      items: {edges: [1, 2, 3]}
";

#[test]
fn a_monitor_is_read_as_it_is_written() {
    let project = mainstem_project::parse("mainstem.yaml", WATCHED).unwrap();
    let monitor = &project.monitors["orders"];
    assert_eq!(
        (&monitor.source[..], monitor.windows.length),
        ("orders", Span(3_600_000))
    );
    let psi = Thresholds {
        detect: 0.3,
        clear: 0.2,
    };
    let drift = &monitor.drift;
    assert_eq!((drift.psi, drift.windows, drift.min_rows), (psi, 3, 50));
    let columns = [
        DeclaredColumn {
            name: "amount".into(),
            edges: vec![10.0, 99.5],
            shares: vec![0.5, 0.25, 0.25],
            missing: 0.05,
        },
        DeclaredColumn {
            name: "items".into(),
            edges: vec![1.0, 2.0, 3.0],
            shares: vec![0.25; 4],
            missing: 0.0,
        },
    ];
    assert_eq!(monitor.columns, columns);
    let read = serde_json::from_str(&project.canonical()).unwrap();
    assert_eq!(project, read);
}

#[test]
fn where_there_is_one_source_it_is_that_one_and_the_rest_has_defaults() {
    let (head, _) = WATCHED.split_once("    source:").unwrap();
    let text = format!("{head}    columns: {{paid: {{edges: [0], shares: [0.1, 0.9]}}}}\n");
    let project = mainstem_project::parse("mainstem.yaml", &text).unwrap();
    let monitor = &project.monitors["orders"];
    assert_eq!(
        (&monitor.source[..], monitor.windows.length),
        ("orders", Span(86_400_000))
    );
    assert_eq!((monitor.drift.windows, monitor.drift.min_rows), (2, 100));
}

/// Digests of definitions are in ids and turns: what has no monitor must stay as it was.
#[test]
fn a_definition_without_monitors_is_what_it_was() {
    let (text, _) = WATCHED.split_once("monitors:").unwrap();
    let project = mainstem_project::parse("mainstem.yaml", text).unwrap();
    assert!(!project.canonical().contains("monitors"));
}

mistakes! {
    WATCHED;
    a_monitor_without_columns: "      amount: {edges: [10, 99.5], shares: [0.5, 0.25, 0.25], missing: 0.05}\n      items: {edges: [1, 2, 3]}\n" => "      {}\n";
    a_monitored_column_that_is_not_there: "      items: {edges" => "      itmes: {edges";
    a_monitored_column_of_text: "      items: {edges" => "      customer: {edges";
    edges_that_do_not_increase: "[1, 2, 3]" => "[1, 3, 2]";
    a_share_for_each_edge: "[0.5, 0.25, 0.25]" => "[0.5, 0.5]";
    shares_in_percent: "[0.5, 0.25, 0.25]" => "[50, 25, 25]";
    shares_of_more_than_all: "[0.5, 0.25, 0.25]" => "[0.5, 0.25, 0.35]";
    a_test_that_needs_the_values: "{psi: {detect: 0.3, clear: 0.2}," => "{ks: {detect: 0.3, clear: 0.2},";
    a_monitor_that_clears_above: "clear: 0.2" => "clear: 0.4";
    a_monitor_of_a_source_that_is_not_there: "source: orders" => "source: order";
    a_monitor_named_as_a_model: "monitors:\n" => "models:\n  orders: {label: {column: paid, horizon: 1d}}\nmonitors:\n";
}
