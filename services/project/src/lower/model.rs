//! Models: their view, features and label, and the policies that must fit each other.

use std::collections::BTreeMap;

use mainstem_schemas::definition::{
    Baseline, DriftMonitor, Label, Model, PerformancePolicy, RetrainPolicy, Rollout, Thresholds,
    Training, Windows,
};
use mainstem_schemas::events::DriftMethod;

use super::names::{column_type, columns, object, unknown};
use super::record::Record;
use crate::diagnostic::Report;
use crate::grammar::{
    DRIFT, INITIAL, KS, LABEL, MODEL, PERFORMANCE, PSI, RETRAIN, ROLLOUT, TRAINING, WINDOW,
};
use crate::scalar;
use crate::shape::Key as Known;
use crate::tree::{Key, Node, shown};
use mainstem_schemas::definition::FieldType;

pub(super) fn models(
    root: &Node,
    entries: &[(Key, Node)],
    report: &mut Report,
) -> BTreeMap<String, Model> {
    let models = entries
        .iter()
        .map(|(key, node)| (key.text.clone(), model(root, key, node, report)));
    models.collect()
}

fn model(root: &Node, key: &Key, node: &Node, report: &mut Report) -> Model {
    let record = Record::of(Some(node), MODEL);
    let view = object(root, "views", key, record.get("view"), report);
    let features = features(record, view.map(|(_, view)| view), report);
    let label = record.record("label", LABEL);
    check_label(root, view.map(|(_, view)| view), label, report);
    let baseline = record
        .get("baseline")
        .and_then(|baseline| baseline.get("persistence"));
    if let Some((node, name)) = baseline.and_then(|node| Some((node, node.text()?)))
        && !features.is_empty()
        && !features.iter().any(|feature| feature == name)
    {
        let known = features.iter().map(String::as_str);
        unknown(
            report,
            node.span.clone(),
            "feature of this model",
            name,
            known,
        );
    }
    Model {
        view: view.map(|(key, _)| key.text.clone()).unwrap_or_default(),
        features,
        label: Label {
            column: label.word("column").to_owned(),
            horizon: label.span("horizon"),
            timeout: label.span("timeout"),
        },
        threshold: record.number("threshold"),
        training: training(record.record("training", TRAINING), report),
        baseline: baseline
            .and_then(Node::text)
            .map(|name| Baseline::Persistence(name.to_owned())),
        control: record.flag("control"),
        windows: windows(record.record("windows", WINDOW)),
        drift: drift(record.record("drift", DRIFT), report),
        retrain: retrain(record, report),
        rollout: rollout(record.record("rollout", ROLLOUT)),
    }
}

/// The features of a model: those that it lists, each of them in the view and once; else all of the view.
fn features(record: Record<'_>, view: Option<&Node>, report: &mut Report) -> Vec<String> {
    let all = view
        .and_then(|view| view.get("features"))
        .map(Node::entries)
        .unwrap_or_default();
    let names = all.iter().map(|(key, _)| key.text.as_str());
    if record.get("features").is_none() {
        return names.map(str::to_owned).collect();
    }
    let mut chosen: Vec<String> = Vec::new();
    for item in record.items("features") {
        let Some(name) = item.text() else { continue };
        if chosen.iter().any(|other| other == name) {
            let message = format!("feature `{}` is listed twice", shown(name));
            report
                .error(item.span.clone(), message)
                .help("keep one of them");
            continue;
        }
        if !all.is_empty() && !names.clone().any(|known| known == name) {
            unknown(
                report,
                item.span.clone(),
                "feature of the view",
                name,
                names.clone(),
            );
        }
        chosen.push(name.to_owned());
    }
    chosen
}

/// A label must be a binary column of the view's source, and there must be an arrival that carries it.
fn check_label(root: &Node, view: Option<&Node>, label: Record<'_>, report: &mut Report) {
    let sources = root.get("sources").map(Node::entries).unwrap_or_default();
    let source = view.and_then(|view| match view.get("source") {
        Some(named) => root.get("sources")?.get(named.text()?),
        None => sources
            .first()
            .filter(|_| sources.len() == 1)
            .map(|(_, source)| source),
    });
    if let (Some(columns), Some(node)) = (columns(source), label.get("column"))
        && let Some(name) = node.text()
    {
        match columns.iter().find(|(key, _)| key.text == name) {
            None => {
                let names = columns.iter().map(|(key, _)| key.text.as_str());
                unknown(
                    report,
                    node.span.clone(),
                    "column of the view's source",
                    name,
                    names,
                );
            }
            Some((key, kind)) => {
                let kind = kind.text().unwrap_or_default();
                if let Some((FieldType::Double | FieldType::String, _)) = column_type(kind) {
                    let message = format!(
                        "the label cannot be column `{}`, of type {kind}",
                        shown(name)
                    );
                    report
                        .error(node.span.clone(), message)
                        .label("must be long (0 and 1) or boolean")
                        .also(key.span.clone(), "declared here");
                }
            }
        }
    }
    let every = source.and_then(|source| source.get("time")?.get("every")?.text());
    let every = every.and_then(|text| scalar::span(text).ok());
    let horizon = label.span("horizon");
    if let (Some(every), Some(node)) = (every, label.get("horizon"))
        && every.0 > 0
        && horizon.0 % every.0 != 0
    {
        let message = format!("the horizon {horizon} is no multiple of the {every} between rows");
        report
            .error(node.span.clone(), message)
            .help("no row lies there, so no label would ever come; take a multiple");
    }
}

fn training(record: Record<'_>, report: &mut Report) -> Training {
    let (rows, least) = (record.whole("rows"), record.whole("min_rows"));
    let blame = record.get("min_rows").or_else(|| record.get("rows"));
    if let Some(node) = blame.filter(|_| least > rows) {
        let message = format!("at least {least} rows are more than {rows}, which are the most");
        report
            .error(node.span.clone(), message)
            .help("raise `rows` or lower `min_rows`");
    }
    let parameter =
        |(key, node): &(Key, Node)| Some((key.text.clone(), scalar::number(node.text()?)?));
    Training {
        rows,
        min_rows: least,
        validation: record.number("validation"),
        parameters: record
            .entries("parameters")
            .iter()
            .filter_map(parameter)
            .collect(),
        attempts: record.whole("attempts"),
        effect_timeout: record.span("timeout"),
    }
}

pub(super) fn windows(record: Record<'_>) -> Windows {
    Windows {
        origin: record.moment("origin"),
        length: record.span("length"),
    }
}

fn drift(record: Record<'_>, report: &mut Report) -> DriftMonitor {
    DriftMonitor {
        psi: thresholds(record.record("psi", PSI), report),
        ks: thresholds(record.record("ks", KS), report),
        windows: record.whole("windows"),
        min_rows: record.whole("min_rows"),
    }
}

pub(super) fn thresholds(record: Record<'_>, report: &mut Report) -> Thresholds {
    let (detect, clear) = (record.number("detect"), record.number("clear"));
    let blame = record.get("clear").or_else(|| record.get("detect"));
    if let Some(node) = blame.filter(|_| clear > detect) {
        let message = format!("an alarm is cleared below {clear} and detected from {detect} on");
        report
            .error(node.span.clone(), message)
            .help("`clear` must not be above `detect`, or an alarm would be both");
    }
    Thresholds { detect, clear }
}

fn retrain(model: Record<'_>, report: &mut Report) -> RetrainPolicy {
    let record = model.record("retrain", RETRAIN);
    let given = |key: &str, keys: &'static [Known]| {
        let record = record.record(key, keys);
        record.node.is_some().then_some(record)
    };
    let mut tests = Vec::new();
    for item in record.items("drift") {
        let test = match item.text() {
            Some("psi") => DriftMethod::Psi,
            Some("ks") => DriftMethod::Ks,
            _ => continue,
        };
        if tests.contains(&test) {
            report
                .error(item.span.clone(), "the test is listed twice")
                .help("keep one of them");
        } else {
            tests.push(test);
        }
    }
    if let Some(node) = record
        .get("performance")
        .filter(|_| model.get("baseline").is_none())
    {
        report
            .error(
                node.span.clone(),
                "performance is measured against a baseline, and the model has none",
            )
            .help("give the model one, e.g. `baseline: {persistence: <feature>}`");
    }
    let (expiry, shadow) = (
        record.span("expiry"),
        model.record("rollout", ROLLOUT).span("shadow"),
    );
    let rollout = model
        .get("rollout")
        .and_then(|rollout| rollout.get("shadow"));
    if let Some(node) = record
        .get("expiry")
        .or(rollout)
        .filter(|_| expiry <= shadow)
    {
        let message = format!(
            "a retrain is given up after {expiry}, before its version has been {shadow} in the shadow"
        );
        report
            .error(node.span.clone(), message)
            .help("make `retrain.expiry` longer than `rollout.shadow`");
    }
    RetrainPolicy {
        initial: given("initial", INITIAL).map(|initial| initial.moment("at")),
        drift: tests,
        performance: given("performance", PERFORMANCE).map(|policy| PerformancePolicy {
            windows: policy.whole("windows"),
            tolerance: policy.number("tolerance"),
        }),
        cooldown: record.span("cooldown"),
        expiry,
    }
}

fn rollout(record: Record<'_>) -> Rollout {
    Rollout {
        shadow: record.span("shadow"),
        min_rows: record.whole("min_rows"),
    }
}
