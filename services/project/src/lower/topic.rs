//! Topics of others as sources.

use mainstem_schemas::Span;
use mainstem_schemas::definition::{
    Entity, EventTime, ForeignTopic, Format, KeyFormat, Only, RegistryOf, Source,
};

use super::record::Record;
use crate::diagnostic::Report;
use crate::grammar::TOPIC;
use crate::tree::{Node, shown};

/// Shortest horizon: what a task would have to read again after a crash is at most an hour old, and services may stand
/// still for a night.
const SHORTEST: Span = Span(24 * 60 * 60 * 1000);

/// Longest name that Kafka allows.
const LONGEST: usize = 249;

/// Its number of partitions is not in the file: applying looks it up.
pub(super) fn topic(file: &Record<'_>, node: &Node, report: &mut Report) -> ForeignTopic {
    let record = Record::of(Some(node), TOPIC);
    if let Some(name) = record.get("name") {
        check_name(file.word("project"), name, report);
    }
    if file.word("clock") == "stream" {
        let clock = file.get("clock").map(|clock| clock.span.clone());
        let diagnostic = report.error(
            node.span.clone(),
            "a topic of others cannot be read under `clock: stream`",
        );
        diagnostic.help("a backtest's time is moved by what is published with a pace; take `clock: wall`, or publish the records from a file");
        if let Some(clock) = clock {
            diagnostic.also(clock, "declared here");
        }
    }
    ForeignTopic {
        name: record.word("name").to_owned(),
        format: match record.word("format") {
            "json" => Format::Json,
            _ => Format::Avro,
        },
        registry: match record.word("registry") {
            "own" => RegistryOf::Own,
            _ => RegistryOf::Outside,
        },
        only: record.get("only").map(only),
        in_place: in_place(&record, report),
        partitions: 0,
    }
}

/// The horizon of a topic that is read in place.
fn in_place(record: &Record<'_>, report: &mut Report) -> Option<Span> {
    let read = record.get("read");
    let read = read.filter(|read| read.text() == Some("in_place"));
    let horizon = record.get("horizon");
    match (read, horizon) {
        (None, None) => None,
        (None, Some(horizon)) => {
            report
                .error(
                    horizon.span.clone(),
                    "a topic that is copied has no horizon",
                )
                .help("a copy is kept for ever; leave `horizon` out, or write `read: in_place`");
            None
        }
        (Some(read), None) => {
            report
                .error(read.span.clone(), "a topic that is read in place needs a horizon")
                .label("for how long does it keep its records?")
                .help("say it, `horizon: 30d`: as far back as that an audit recomputes; or take `read: copy`, which keeps them for ever");
            None
        }
        (Some(_), Some(node)) => {
            let horizon = record.span("horizon");
            if horizon < SHORTEST {
                report
                    .error(node.span.clone(), "a horizon is at least 1d")
                    .help("the services must be able to read on after a night's standstill; keep the topic's records longer, or take `read: copy`");
            }
            Some(horizon)
        }
    }
}

fn only(node: &Node) -> Only {
    let pair = |key| {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        let text = |at: usize| items.get(at).and_then(Node::text).unwrap_or_default();
        (text(0).to_owned(), text(1).to_owned())
    };
    if node.get("header").is_some() {
        let (name, value) = pair("header");
        return Only::Header(name, value);
    }
    match node.get("record").and_then(Node::text) {
        Some(record) => Only::Record(record.to_owned()),
        None => {
            let (name, value) = pair("field");
            Only::Field(name, value)
        }
    }
}

fn check_name(project: &str, node: &Node, report: &mut Report) {
    let name = node.text().unwrap_or_default();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() {
        // Told already.
    } else if name.len() > LONGEST || !name.bytes().all(allowed) || [".", ".."].contains(&name) {
        let message = format!("`{}` is no name of a topic", shown(name));
        report
            .error(node.span.clone(), message)
            .help("Kafka's names have 1 to 249 letters, digits, dots, underscores and hyphens");
    } else if name
        .strip_prefix(project)
        .is_some_and(|rest| rest.starts_with('.'))
    {
        let message = format!("`{}` is a topic of this project itself", shown(name));
        report
            .error(node.span.clone(), message)
            .label("must not begin with the project's name and a dot")
            .help("name a topic that others write; what the project writes itself is read by its views and models");
    }
}

/// What cannot be without a topic, and with one.
pub(super) fn fits(source: &Record<'_>, lowered: &Source, report: &mut Report) {
    let of = |key: &str, part: &str| source.get(key)?.get(part);
    let Some(topic) = &lowered.topic else {
        let outside = [
            ("entity", "key", "whom a record is about is its key"),
            ("time", "record", "when a record happened is its timestamp"),
        ];
        for (key, part, what) in outside {
            if let Some(node) = of(key, part) {
                let message = format!("{what}, and what is published has none of its own");
                report
                    .error(node.span.clone(), message)
                    .help("name the topic that others write, `topic: {name: ..., format: ...}`, or take a column");
            }
        }
        return;
    };
    let node = Record::of(source.get("topic"), TOPIC);
    if let (true, Some(entity)) = (
        topic.in_place.is_some() && lowered.entity != Entity::Key(KeyFormat::Text),
        source.get("entity"),
    ) {
        let diagnostic = report.error(
            entity.span.clone(),
            "a topic that is read in place is about whom its records' keys name as text",
        );
        diagnostic.help("what follows from it is partitioned by the entity, and the topic by its keys: write `entity: {key: text}`, or `read: copy`, which partitions it anew");
        if let Some(read) = node.get("read") {
            diagnostic.also(read.span.clone(), "declared here");
        }
    }
    if let (EventTime::Row { .. }, Some(start)) = (&lowered.time, of("time", "start")) {
        report
            .error(start.span.clone(), "records of a topic are not timed by their row")
            .help("take the column that says when it happened, `time: {column: ...}`, or the record's own time, `time: {record: timestamp}`");
    }
    if topic.format == Format::Avro {
        return;
    }
    if let (Some(Only::Record(_)), Some(only)) = (&topic.only, node.get("only")) {
        report
            .error(only.span.clone(), "JSON records have no name")
            .help("tell the event types apart by a header, `{header: [name, value]}`, or a field, `{field: [name, value]}`");
    }
    let avro_key = lowered.entity == Entity::Key(KeyFormat::Avro);
    if let Some(registry) = node.get("registry").filter(|_| !avro_key) {
        report
            .error(registry.span.clone(), "JSON records have no schema ids")
            .help("leave `registry` out, or write `format: avro`");
    }
}
