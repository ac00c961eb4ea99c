//! Views: features, what they are computed from, and in which order that can be done.

use std::collections::BTreeMap;
use std::ops::Range;

use mainstem_schemas::definition::{Expression, Feature, View};

use super::expression::expression;
use super::names::{column_type, columns, object, unknown};
use super::record::Record;
use crate::diagnostic::Report;
use crate::grammar::VIEW;
use crate::tree::{Key, Node, shown};

/// Fields that every row of features has before its features.
const TAKEN: [&str; 3] = ["origin", "event_time", "entity"];

pub(super) fn views(
    root: &Node,
    entries: &[(Key, Node)],
    report: &mut Report,
) -> BTreeMap<String, View> {
    let views = entries
        .iter()
        .map(|(key, node)| (key.text.clone(), view(root, key, node, report)));
    views.collect()
}

fn view(root: &Node, key: &Key, node: &Node, report: &mut Report) -> View {
    let record = Record::of(Some(node), VIEW);
    let source = object(root, "sources", key, record.get("source"), report);
    let features = record.entries("features");
    let scope = Scope {
        columns: source.and_then(|(_, source)| columns(Some(source))),
        features,
    };
    let mut built = Vec::new();
    for (key, node) in features {
        if TAKEN.contains(&key.text.as_str()) {
            let message = format!("`{}` cannot be the name of a feature", key.text);
            report
                .error(key.span.clone(), message)
                .help("every row has a field of that name before its features; take another name");
        }
        let (of, operands) = expression(node);
        let is_column = matches!(of, Expression::Column(_));
        for (name, span) in operands {
            scope.check(key, name, span, is_column, report);
        }
        built.push(Feature {
            name: key.text.clone(),
            of,
        });
    }
    if let Some(cycle) = cycle(&built) {
        tell_cycle(&built, &cycle, features, report);
    }
    View {
        source: source.map(|(key, _)| key.text.clone()).unwrap_or_default(),
        features: built,
    }
}

/// What an operand of a feature may be.
struct Scope<'a> {
    columns: Option<&'a [(Key, Node)]>,
    features: &'a [(Key, Node)],
}

impl Scope<'_> {
    fn check(
        &self,
        feature: &Key,
        name: &str,
        span: Range<usize>,
        is_column: bool,
        report: &mut Report,
    ) {
        let other = |(key, _): &&(Key, Node)| key.text == name && name != feature.text;
        let hides = self.features.iter().find(other);
        let Some(columns) = self.columns else { return };
        let column = columns.iter().find(|(key, _)| key.text == name);
        match (hides, column) {
            (Some((hiding, _)), column) if is_column => {
                let message = format!("`{}` is a feature here, not a column", shown(name));
                let help = match column {
                    Some(_) => {
                        "the feature hides the column of its name; give the feature another name"
                    }
                    None => "`column` takes a column of the source; a feature needs no second name",
                };
                report
                    .error(span, message)
                    .also(hiding.span.clone(), "the feature")
                    .help(help);
            }
            (Some(_), _) => {}
            (None, None) => {
                let known = columns.iter().map(|(key, _)| key.text.as_str());
                let features = self.features.iter().map(|(key, _)| key.text.as_str());
                let features = features.filter(|other| !is_column && *other != feature.text);
                let what = if is_column {
                    "column"
                } else {
                    "column or feature"
                };
                unknown(report, span, what, name, known.chain(features));
            }
            (None, Some((key, kind))) => {
                let kind = kind.text().unwrap_or_default();
                if matches!(
                    column_type(kind),
                    Some((mainstem_schemas::definition::FieldType::String, _))
                ) {
                    let message = format!(
                        "column `{}` is of type {kind}; features are numbers",
                        shown(name)
                    );
                    report
                        .error(span, message)
                        .label("must be double, long or boolean")
                        .also(key.span.clone(), "declared here");
                }
            }
        }
    }
}

/// The first features that are computed from each other in a ring, each from the next and the last from the first.
/// A feature's own name among its operands is a column, so no ring has one member.
fn cycle(features: &[Feature]) -> Option<Vec<usize>> {
    let place: BTreeMap<&str, usize> = features
        .iter()
        .enumerate()
        .map(|(at, f)| (f.name.as_str(), at))
        .collect();
    let next = |at: usize| -> Vec<usize> {
        let operands = features[at].of.operands();
        let places = operands.iter().filter_map(|name| place.get(name).copied());
        places.filter(|other| *other != at).collect()
    };
    // Depth first with a stack of our own, since a file may chain a thousand features. A feature is done once all
    // that it needs is.
    let mut done = vec![false; features.len()];
    for root in 0..features.len() {
        let mut trail = vec![(root, next(root))];
        while let Some((at, needs)) = trail.last_mut() {
            let Some(need) = needs.pop() else {
                done[*at] = true;
                trail.pop();
                continue;
            };
            if done[need] {
                continue;
            }
            if let Some(from) = trail.iter().position(|(at, _)| *at == need) {
                return Some(trail[from..].iter().map(|(at, _)| *at).collect());
            }
            trail.push((need, next(need)));
        }
    }
    None
}

fn tell_cycle(features: &[Feature], cycle: &[usize], keys: &[(Key, Node)], report: &mut Report) {
    let ring = cycle.iter().chain(cycle.first());
    let names: Vec<_> = ring.map(|at| shown(&features[*at].name)).collect();
    let first = cycle.iter().min().and_then(|at| keys.get(*at));
    if let Some((key, _)) = first {
        report
            .error(
                key.span.clone(),
                format!(
                    "features are computed from each other: {}",
                    names.join(" -> ")
                ),
            )
            .help("one of them must be computed from columns alone, or from other features");
    }
}
