//! Holds a file against the grammar: unknown and missing keys, wrong types, values out of range.

mod scalars;

use std::ops::Range;

use crate::diagnostic::Report;
use crate::grammar::PROJECT;
use crate::shape::{Absent, Key, Shape};
use crate::suggest::{did_you_mean, listed, nearest};
use crate::tree::{Node, Value, shown};

/// Finds every place where the file is not of the grammar.
pub(crate) fn check(root: &Node, report: &mut Report) {
    let mut checker = Checker {
        report,
        path: Vec::new(),
    };
    checker.record(root, PROJECT);
}

struct Checker<'a, 'r> {
    report: &'r mut Report,
    /// Keys from the root to the value in hand.
    path: Vec<&'a str>,
}

impl<'a> Checker<'a, '_> {
    fn value(&mut self, node: &'a Node, shape: &'static Shape) {
        match (shape, &node.value) {
            (Shape::Short(scalar, _), Value::Scalar { .. }) if !node.is_null() => {
                self.value(node, scalar);
            }
            (Shape::Short(_, map), _) => self.value(node, map),
            (Shape::List(of, least, most), Value::List(items)) => {
                if !(*least..=*most).contains(&items.len()) {
                    let wanted = if least == most {
                        format!("{least}")
                    } else {
                        format!("{least} to {most}")
                    };
                    let message =
                        format!("{} has {} items, not {wanted}", self.name(), items.len());
                    self.report.error(node.span.clone(), message);
                }
                items.iter().for_each(|item| self.value(item, of));
            }
            (
                Shape::Table {
                    what,
                    name,
                    of,
                    most,
                    empty,
                },
                Value::Map(entries),
            ) => {
                let message = match entries.len() {
                    0 if !empty => Some("has no entry".to_owned()),
                    count if count > *most => {
                        Some(format!("has {count} entries, more than {most}"))
                    }
                    _ => None,
                };
                if let Some(message) = message {
                    let message = format!("{} {message}", self.name());
                    self.report
                        .error(node.span.clone(), message)
                        .help(format!("write each {what} as `name: ...` below it"));
                }
                for (key, value) in entries {
                    self.name_of(what, name, &key.text, &key.span);
                    self.within(&key.text, |checker| checker.value(value, of));
                }
            }
            (Shape::Record(keys), Value::Map(_)) => self.record(node, keys),
            (Shape::Choice(choices), Value::Map(_)) => self.choice(node, choices),
            (Shape::List(..) | Shape::Table { .. } | Shape::Record(_) | Shape::Choice(_), _) => {
                self.other_kind(node, shape)
            }
            (_, Value::Scalar { text, plain }) => self.scalar(node, shape, text, *plain),
            _ => self.other_kind(node, shape),
        }
    }

    fn record(&mut self, node: &'a Node, keys: &'static [Key]) {
        let mut misspelt = Vec::new();
        for (key, value) in node.entries() {
            match keys.iter().find(|known| known.name == key.text) {
                Some(known) => self.within(known.name, |checker| checker.value(value, known.shape)),
                None => misspelt.extend(self.unknown(&key.text, &key.span, keys)),
            }
        }
        // What was meant by a misspelt key does not lack as well.
        let lacks = |key: &&Key| {
            key.absent == Absent::Refused
                && node.get(key.name).is_none()
                && !misspelt.contains(&key.name)
        };
        let missing: Vec<_> = keys.iter().filter(lacks).collect();
        if !missing.is_empty() {
            let names = listed(missing.iter().map(|key| key.name));
            let message = format!("{} lacks {names}", self.name());
            let docs: Vec<_> = missing
                .iter()
                .map(|key| format!("{}: {}", key.name, key.doc))
                .collect();
            self.report
                .error(node.span.clone(), message)
                .help(docs.join("\n"));
        }
    }

    /// Tells an unknown key, and returns the known one that it is most like.
    fn unknown(
        &mut self,
        given: &str,
        span: &Range<usize>,
        keys: &'static [Key],
    ) -> Option<&'static str> {
        let names = || keys.iter().map(|key| key.name);
        let message = format!("unknown key `{}` in {}", shown(given), self.name());
        let meant = nearest(given, names());
        let diagnostic = self.report.error(span.clone(), message);
        diagnostic.help(format!("known here: {}", listed(names())));
        if let Some(meant) = meant {
            diagnostic.label(format!("did you mean `{meant}`?"));
        }
        meant
    }

    /// The record among several that the file means: by its first key, else by any of its keys.
    fn choice(&mut self, node: &'a Node, choices: &'static [&'static [Key]]) {
        let tags = || choices.iter().filter_map(|keys| keys.first());
        let given = |keys: &[Key]| keys.iter().any(|key| node.get(key.name).is_some());
        let tagged: Vec<_> = tags().filter(|tag| node.get(tag.name).is_some()).collect();
        match tagged.as_slice() {
            [] => {
                let mut meant = choices.iter().filter(|keys| given(keys));
                match (meant.next(), meant.next()) {
                    (Some(keys), None) => self.record(node, keys),
                    _ => self.no_choice(node, &tags().map(|tag| tag.name).collect::<Vec<_>>()),
                }
            }
            [tag] => {
                let first = |keys: &&&[Key]| keys.first().is_some_and(|key| key.name == tag.name);
                if let Some(keys) = choices.iter().find(first) {
                    self.record(node, keys);
                }
            }
            [one, two, ..] => {
                let message = format!("{} has both `{}` and `{}`", self.name(), one.name, two.name);
                self.report
                    .error(node.span.clone(), message)
                    .help("keep one of them");
            }
        }
    }

    fn no_choice(&mut self, node: &Node, tags: &[&'static str]) {
        let name = self.name();
        match node
            .entries()
            .iter()
            .find(|(key, _)| !tags.contains(&key.text.as_str()))
        {
            Some((key, _)) => {
                let message = format!("unknown key `{}` in {name}", shown(&key.text));
                let diagnostic = self.report.error(key.span.clone(), message);
                diagnostic.help(format!("one of: {}", listed(tags.iter().copied())));
                if let Some(meant) = did_you_mean(&key.text, tags.iter().copied()) {
                    diagnostic.label(meant);
                }
            }
            None => {
                let message = format!("{name} is empty");
                let help = format!("give it one of: {}", listed(tags.iter().copied()));
                self.report.error(node.span.clone(), message).help(help);
            }
        }
    }

    /// A mapping, a list or a scalar where another of the three is wanted.
    fn other_kind(&mut self, node: &Node, shape: &'static Shape) {
        let given = match &node.value {
            _ if node.is_null() => "empty".to_owned(),
            Value::Scalar { text, .. } => format!("`{}`", shown(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        };
        let message = format!("{} is {given}, not {}", self.name(), wanted(shape));
        let diagnostic = self.report.error(node.span.clone(), message);
        match (shape, &node.value) {
            (Shape::List(..), Value::Scalar { text, .. }) if !text.is_empty() => {
                diagnostic.help(format!("write [{}]", shown(text)));
            }
            (Shape::Record(keys), _) => {
                diagnostic.help(format!(
                    "its keys: {}",
                    listed(keys.iter().map(|key| key.name))
                ));
            }
            (Shape::Choice(choices) | Shape::Short(_, Shape::Choice(choices)), _) => {
                let tags = || choices.iter().filter_map(|keys| Some(keys.first()?.name));
                let near = node.text().and_then(|text| nearest(text, tags()));
                let tag = near.or(tags().next()).unwrap_or_default();
                diagnostic.help(format!(
                    "write {{{tag}: ...}}, or with one of: {}",
                    listed(tags())
                ));
            }
            _ => {}
        }
    }

    fn within(&mut self, key: &'a str, check: impl FnOnce(&mut Self)) {
        self.path.push(key);
        check(self);
        self.path.pop();
    }

    fn last(&self) -> &'a str {
        self.path.last().copied().unwrap_or("project")
    }

    /// The value in hand, as a message calls it.
    fn name(&self) -> String {
        if self.path.is_empty() {
            return "the project file".into();
        }
        format!("`{}`", shown(&self.path.join(".")))
    }
}

/// A shape in words.
fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".into(),
        Shape::TopicName | Shape::FieldName => "a name".into(),
        Shape::Word(words) => format!("one of {}", listed(words.iter().map(|(word, _)| *word))),
        Shape::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Shape::Number(least, most) => format!("a number from {least} to {most}"),
        Shape::Between(least, most) => format!("a number between {least} and {most}"),
        Shape::Flag => "true or false".into(),
        Shape::Span => "a length of time such as 30m, 12h or 7d".into(),
        Shape::Moment => "a moment such as 1996-08-19T04:00".into(),
        Shape::List(..) => "a list".into(),
        Shape::Table { what, .. } => format!("a mapping from the name of each {what}"),
        Shape::Record(_) | Shape::Choice(_) => "a mapping".into(),
        Shape::Short(scalar, _) => format!("{} or a mapping", wanted(scalar)),
    }
}
