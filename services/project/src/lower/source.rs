//! Sources: columns, and what says whom a record is about and when it happened.

use std::collections::BTreeMap;

use mainstem_schemas::Millis;
use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, KeyFormat, Source};

use super::names::{column_type, columns, unknown};
use super::record::Record;
use super::topic;
use crate::diagnostic::Report;
use crate::grammar::SOURCE;
use crate::suggest::listed;
use crate::tree::{Key, Node, shown};

pub(super) fn sources(
    file: &Record<'_>,
    entries: &[(Key, Node)],
    report: &mut Report,
) -> BTreeMap<String, Source> {
    let sources = entries
        .iter()
        .map(|(key, node)| (key.text.clone(), source(file, node, report)));
    let mut sources: BTreeMap<_, _> = sources.collect();
    for (number, source) in (1..).zip(sources.values_mut()) {
        source.number = number;
    }
    sources
}

fn source(file: &Record<'_>, node: &Node, report: &mut Report) -> Source {
    let record = Record::of(Some(node), SOURCE);
    let source = Source {
        number: 0,
        fields: record.entries("fields").iter().filter_map(field).collect(),
        entity: entity(node, record.get("entity"), report),
        time: time(node, record.get("time"), report),
        topic: record
            .get("topic")
            .map(|topic| topic::topic(file, topic, report)),
    };
    topic::fits(&record, &source, report);
    source
}

fn entity(source: &Node, entity: Option<&Node>, report: &mut Report) -> Entity {
    let text = |key| entity.and_then(|entity| entity.get(key));
    if let Some(column) = text("column") {
        return Entity::Column(key_column(source, column, "the entity", report));
    }
    match text("key").and_then(Node::text) {
        Some("json") => Entity::Key(KeyFormat::Json),
        Some("avro") => Entity::Key(KeyFormat::Avro),
        Some(_) => Entity::Key(KeyFormat::Text),
        None => {
            let constant = text("constant").and_then(Node::text);
            Entity::Constant(constant.unwrap_or_default().to_owned())
        }
    }
}

fn time(source: &Node, time: Option<&Node>, report: &mut Report) -> EventTime {
    if let Some(column) = time.and_then(|time| time.get("column")) {
        return EventTime::Column(key_column(source, column, "the event time", report));
    }
    if time.is_some_and(|time| time.get("record").is_some()) {
        return EventTime::Timestamp;
    }
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
