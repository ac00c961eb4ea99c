//! Sources: columns, and which of them say whom a record is about and when it happened.

use std::collections::BTreeMap;

use mainstem_schemas::Millis;
use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, Source};

use super::names::{column_type, columns, unknown};
use super::record::Record;
use crate::diagnostic::Report;
use crate::grammar::SOURCE;
use crate::suggest::listed;
use crate::tree::{Key, Node, shown};

pub(super) fn sources(entries: &[(Key, Node)], report: &mut Report) -> BTreeMap<String, Source> {
    let sources = entries
        .iter()
        .map(|(key, node)| (key.text.clone(), source(node, report)));
    let mut sources: BTreeMap<_, _> = sources.collect();
    for (number, source) in (1..).zip(sources.values_mut()) {
        source.number = number;
    }
    sources
}

fn source(node: &Node, report: &mut Report) -> Source {
    let record = Record::of(Some(node), SOURCE);
    let fields = record.entries("fields").iter().filter_map(field).collect();
    let entity = record.get("entity");
    let time = record.get("time");
    Source {
        number: 0,
        fields,
        entity: match entity.and_then(|entity| entity.get("column")) {
            Some(column) => Entity::Column(key_column(node, column, "the entity", report)),
            None => {
                let constant = entity.and_then(|entity| entity.get("constant")?.text());
                Entity::Constant(constant.unwrap_or_default().to_owned())
            }
        },
        time: match time.and_then(|time| time.get("column")) {
            Some(column) => EventTime::Column(key_column(node, column, "the event time", report)),
            None => {
                let time = Record::of(time, &[]);
                let start = time.moment("start");
                if let Some(node) = time.get("start").filter(|_| start < Millis(0)) {
                    let message = format!("`start` is {start}, before log time begins");
                    report
                        .error(node.span.clone(), message)
                        .label("must be 1970 or later")
                        .help("move the times of all rows by the same span, for instance by whole years");
                }
                EventTime::Row {
                    start,
                    every: time.span("every"),
                }
            }
        },
    }
}

fn field((key, node): &(Key, Node)) -> Option<Field> {
    let (kind, optional) = column_type(node.text()?)?;
    Some(Field {
        name: key.text.clone(),
        kind,
        optional,
    })
}

/// A column that every record must have, as text or as a whole number.
fn key_column(source: &Node, column: &Node, role: &str, report: &mut Report) -> String {
    let Some(name) = column.text() else {
        return String::new();
    };
    let Some(columns) = columns(Some(source)) else {
        return name.to_owned();
    };
    let Some((key, kind)) = columns.iter().find(|(key, _)| key.text == name) else {
        let names = columns.iter().map(|(key, _)| key.text.as_str());
        unknown(report, column.span.clone(), "column", name, names);
        return name.to_owned();
    };
    match kind.text().and_then(column_type) {
        Some((FieldType::Double | FieldType::Boolean, _)) => {
            let kind = kind.text().unwrap_or_default();
            let message = format!("{role} cannot be column `{}`, of type {kind}", shown(name));
            let usable = columns
                .iter()
                .filter(|(_, kind)| matches!(kind.text(), Some("string" | "long")));
            let usable = listed(usable.map(|(key, _)| key.text.as_str()));
            let diagnostic = report.error(column.span.clone(), message);
            diagnostic
                .label("must be string or long")
                .also(key.span.clone(), "declared here");
            if !usable.is_empty() {
                diagnostic.help(format!("columns that can: {usable}"));
            }
        }
        Some((_, true)) => {
            let message = format!(
                "{role} cannot be column `{}`, which may be missing",
                shown(name)
            );
            report
                .error(column.span.clone(), message)
                .also(kind.span.clone(), "the ? says so")
                .help("take the ? off the column's type, or take another column");
        }
        _ => {}
    }
    name.to_owned()
}
