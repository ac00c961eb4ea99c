//! Monitors of sources: columns that are numbers, and bins that can be compared with.

use std::collections::BTreeMap;

use mainstem_schemas::definition::{DeclaredColumn, DeclaredDrift, FieldType, Monitor};

use super::model::{thresholds, windows};
use super::names::{column_type, columns, object, unknown};
use super::record::Record;
use crate::diagnostic::Report;
use crate::grammar::{COLUMN, DECLARED_DRIFT, MONITOR, PSI, WINDOW};
use crate::scalar;
use crate::tree::{Key, Node, shown};

/// How far the sum of shares may be from 1: a third may be written as 0.3333333.
const ROUNDED: f64 = 1e-6;

pub(super) fn monitors(
    root: &Node,
    entries: &[(Key, Node)],
    report: &mut Report,
) -> BTreeMap<String, Monitor> {
    let monitors = entries
        .iter()
        .map(|(key, node)| (key.text.clone(), monitor(root, key, node, report)));
    monitors.collect()
}

fn monitor(root: &Node, key: &Key, node: &Node, report: &mut Report) -> Monitor {
    let record = Record::of(Some(node), MONITOR);
    let models = root.get("models").map(Node::entries).unwrap_or_default();
    if let Some((model, _)) = models.iter().find(|(model, _)| model.text == key.text) {
        let message = format!("`{}` is a monitor and a model", shown(&key.text));
        report
            .error(key.span.clone(), message)
            .also(model.span.clone(), "the model")
            .help("name one of them otherwise: the topic `drift` tells them apart by their names");
    }
    let source = object(root, "sources", key, record.get("source"), report);
    let drift = record.record("drift", DECLARED_DRIFT);
    let watched = record.entries("columns").iter();
    Monitor {
        source: source.map(|(key, _)| key.text.clone()).unwrap_or_default(),
        windows: windows(record.record("windows", WINDOW)),
        drift: DeclaredDrift {
            psi: thresholds(drift.record("psi", PSI), report),
            windows: drift.whole("windows"),
            min_rows: drift.whole("min_rows"),
        },
        columns: watched
            .map(|(key, node)| column(source.map(|(_, source)| source), key, node, report))
            .collect(),
    }
}

fn column(source: Option<&Node>, key: &Key, node: &Node, report: &mut Report) -> DeclaredColumn {
    check_column(source, key, report);
    let record = Record::of(Some(node), COLUMN);
    let edges = numbers(record, "edges");
    check_edges(record, report);
    DeclaredColumn {
        name: key.text.clone(),
        shares: shares(record, edges.len() + 1, report),
        missing: record.number("missing"),
        edges,
    }
}

/// It must be there and be a number.
fn check_column(source: Option<&Node>, key: &Key, report: &mut Report) {
    let Some(columns) = columns(source) else {
        return;
    };
    let Some((declared, kind)) = columns.iter().find(|(column, _)| column.text == key.text) else {
        let names = columns.iter().map(|(key, _)| key.text.as_str());
        let what = "column of the monitor's source";
        return unknown(report, key.span.clone(), what, &key.text, names);
    };
    let kind = kind.text().unwrap_or_default();
    if let Some((FieldType::String, _)) = column_type(kind) {
        let message = format!(
            "a monitor cannot watch column `{}`, of type {kind}",
            shown(&key.text)
        );
        report
            .error(key.span.clone(), message)
            .label("must be double, long or boolean")
            .also(declared.span.clone(), "declared here");
    }
}

fn numbers(record: Record<'_>, key: &str) -> Vec<f64> {
    let items = record.items(key).iter();
    items
        .filter_map(|item| scalar::number(item.text()?))
        .collect()
}

fn check_edges(record: Record<'_>, report: &mut Report) {
    for pair in record.items("edges").windows(2) {
        let [one, two] = pair else { continue };
        let number = |node: &Node| scalar::number(node.text()?);
        if let (Some(below), Some(above)) = (number(one), number(two))
            && below >= above
        {
            let message = format!("edge {above} comes after {below}");
            report
                .error(two.span.clone(), message)
                .help("write the edges in increasing order, each once");
            return;
        }
    }
}

/// One a bin, of all of them; where none are written, the same for each.
fn shares(record: Record<'_>, bins: usize, report: &mut Report) -> Vec<f64> {
    let Some(node) = record.get("shares") else {
        return vec![1.0 / bins as f64; bins];
    };
    let shares = numbers(record, "shares");
    let sum: f64 = shares.iter().sum();
    if shares.len() != record.items("shares").len() {
        return shares;
    }
    if shares.len() != bins {
        let message = format!("{} shares for {bins} bins", shares.len());
        report.error(node.span.clone(), message).help(
            "so many edges part one bin more: give each a share, the first and the last bin too",
        );
    } else if (sum - 1.0).abs() > ROUNDED {
        let message = format!("the shares sum up to {}", (sum * 1e6).round() / 1e6);
        report
            .error(node.span.clone(), message)
            .help("they are shares of all values that are not missing: let them sum up to 1");
    }
    shares
}
