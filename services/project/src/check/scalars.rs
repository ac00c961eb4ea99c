//! Words of the file: names, numbers, times.

use std::ops::Range;

use mainstem_schemas::Span;

use super::{Checker, wanted};
use crate::diagnostic::Diagnostic;
use crate::scalar;
use crate::shape::{LONGEST_SPAN, LONGEST_TEXT, Shape, is_field_name, is_topic_name};
use crate::suggest::{did_you_mean, listed};
use crate::tree::{Node, Value, shown};

const DAY: i64 = 86_400_000;

impl Checker<'_, '_> {
    pub(super) fn scalar(&mut self, node: &Node, shape: &'static Shape, text: &str, plain: bool) {
        if node.is_null() {
            let message = format!("{} has no value", self.name());
            let help = format!("write {}, or leave the key out", wanted(shape));
            self.report.error(node.span.clone(), message).help(help);
            return;
        }
        match shape {
            Shape::TopicName | Shape::FieldName => {
                self.name_of(self.last(), shape, text, &node.span);
            }
            Shape::Word(words) => self.word(node, words, text),
            Shape::Text if plain && !scalar::is_text(text) => {
                let help = format!("quote it: '{}'", shown(text));
                self.kind(node, shape, text).help(help);
            }
            Shape::Text if text.is_empty() => {
                let message = format!("{} is empty", self.name());
                self.report.error(node.span.clone(), message);
            }
            Shape::Text if text.len() > LONGEST_TEXT => {
                let name = self.name();
                let message = format!("{name} has {} bytes, more than {LONGEST_TEXT}", text.len());
                self.report.error(node.span.clone(), message);
            }
            Shape::Flag if scalar::flag(text).is_none() || !plain => {
                let diagnostic = self.kind(node, shape, text);
                match text.to_lowercase().as_str() {
                    "yes" | "on" | "1" | "true" => diagnostic.label("write true"),
                    _ => diagnostic.label("write true or false"),
                };
            }
            Shape::Whole(..) | Shape::Number(..) | Shape::Between(..) => {
                self.number(node, shape, text, plain);
            }
            Shape::Span => self.span(node, text),
            Shape::Moment => {
                if let Err(why) = scalar::moment(text) {
                    let message = format!("{}: {why}", self.name());
                    self.report.error(node.span.clone(), message);
                }
            }
            _ => {}
        }
    }

    fn number(&mut self, node: &Node, shape: &'static Shape, text: &str, plain: bool) {
        let Some(number) = scalar::number(text).filter(|_| plain) else {
            let diagnostic = self.kind(node, shape, text);
            if scalar::number(text).is_some() {
                diagnostic.label("write it without quotes");
            }
            return;
        };
        let fits = match shape {
            Shape::Whole(least, most) => {
                if number.fract() != 0.0
                    || (scalar::whole(text).is_none() && !text.starts_with('-') && number < 4e9)
                {
                    self.kind(node, shape, text)
                        .label("write it without a fraction or an exponent");
                    return;
                }
                scalar::whole(text).is_some_and(|whole| (*least..=*most).contains(&whole))
            }
            Shape::Number(least, most) => (*least..=*most).contains(&number),
            Shape::Between(least, most) => number > *least && number < *most,
            _ => true,
        };
        if !fits {
            let message = format!("{} is {}, out of its range", self.name(), shown(text));
            let diagnostic = self.report.error(node.span.clone(), message);
            diagnostic.label(format!("must be {}", wanted(shape)));
        }
    }

    fn span(&mut self, node: &Node, text: &str) {
        let longest = Span(LONGEST_SPAN * DAY);
        let message = match scalar::span(text) {
            Err(why) => format!("{}: {why}", self.name()),
            Ok(span) if span.0 == 0 => {
                format!("{} is {text}; it must be more than nothing", self.name())
            }
            Ok(span) if span > longest => {
                format!("{} is {}, more than {longest}", self.name(), shown(text))
            }
            Ok(_) => return,
        };
        self.report.error(node.span.clone(), message);
    }

    fn word(&mut self, node: &Node, words: &'static [(&str, &str)], text: &str) {
        let words = || words.iter().map(|(word, _)| *word);
        if !words().any(|word| word == text) {
            let message = format!("{} cannot be `{}`", self.name(), shown(text));
            let diagnostic = self.report.error(node.span.clone(), message);
            diagnostic.help(format!("one of: {}", listed(words())));
            if let Some(meant) = did_you_mean(text, words()) {
                diagnostic.label(meant);
            }
        }
    }

    pub(super) fn name_of(&mut self, what: &str, shape: &Shape, text: &str, span: &Range<usize>) {
        let (fits, rule): (fn(&str) -> bool, _) = match shape {
            Shape::TopicName => (
                is_topic_name,
                "a name has 1 to 63 lower-case letters, digits and _, a letter first: it is part of a topic's name",
            ),
            _ => (
                is_field_name,
                "a name has 1 to 63 letters, digits and _, no digit first: it is a field of an Avro record",
            ),
        };
        if fits(text) {
            return;
        }
        let message = format!("`{}` is no name for a {what}", shown(text));
        let diagnostic = self.report.error(span.clone(), message);
        diagnostic.help(rule);
        let lower = text
            .trim()
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        if fits(&lower) {
            diagnostic.label(format!("write `{lower}`"));
        }
    }

    /// A scalar of another type than is wanted.
    fn kind(&mut self, node: &Node, shape: &'static Shape, text: &str) -> &mut Diagnostic {
        let plain = matches!(node.value, Value::Scalar { plain: true, .. });
        let kind = if plain {
            scalar::kind(text)
        } else {
            "quoted text"
        };
        let message = format!("{} is {kind}, not {}", self.name(), wanted(shape));
        self.report.error(node.span.clone(), message)
    }
}
