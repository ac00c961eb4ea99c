//! YAML as nodes that know where they stand.
//!
//! The parser's events are taken one by one, so that a limit stops the reading at once. Only the YAML that a reader
//! of JSON would understand is taken: no anchors and aliases (a few lines of them expand to gigabytes), no tags, one
//! document. Duplicate keys are mistakes, for whichever of the two counted, a reader would take the other.

mod places;

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::Report;
use places::Places;

/// Largest file. A project of a thousand models takes less; more is some other file.
pub const MAX_BYTES: usize = 1 << 20;

/// Deepest nesting. The language itself goes seven deep; a deeper file is a mistake of indentation or an attack.
pub const MAX_DEPTH: usize = 16;

/// Most keys of a mapping and items of a list. A log of a thousand sources has some ten thousand topics, which is
/// where Kafka clusters begin to need care; and looking for duplicates takes the square of it.
pub(crate) const MAX_ENTRIES: usize = 1000;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub value: Value,
    /// What a message about it points at: the scalar, or the key of a mapping or list.
    pub span: Range<usize>,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(crate) struct Key {
    pub text: String,
    pub span: Range<usize>,
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let found = self.entries().iter().find(|(found, _)| found.text == key);
        found.map(|(_, node)| node)
    }

    /// The pairs of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Nothing was written, or the word for nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if crate::scalar::is_null(text))
    }
}

/// The file's root, or nothing where it cannot be read as YAML; the report says why.
pub(crate) fn read(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; a project file has at most {MAX_BYTES}",
            text.len()
        );
        report
            .error(0..0, message)
            .help("is this the project file? Data are published with `mainstem publish`");
        return None;
    }
    let places = Places::of(text);
    let mut builder = Builder::new(report);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.take(event, places.range(span)).ok()?,
            // The scanner looks ahead and gives up on its own at 255 open brackets.
            Err(error) if error.info().contains("recursion limit") => {
                let at = places.byte(error.marker().index());
                too_deep(builder.report, at..at + 1);
                return None;
            }
            Err(error) => {
                let at = places.byte(error.marker().index());
                let message = format!("this is not YAML: {}", error.info());
                builder
                    .report
                    .error(at..at + 1, message)
                    .help("look at this line and the one before: indentation (spaces, no tabs), colons, brackets");
                return None;
            }
        }
    }
    builder.finish()
}

fn too_deep(report: &mut Report, span: Range<usize>) {
    report
        .error(span, format!("nested deeper than {MAX_DEPTH}"))
        .help("the language goes seven deep; check the brackets and the indentation");
}

/// A mistake that ends the reading; it is in the report.
struct Stop;

enum Frame {
    List(Vec<Node>),
    Map(Vec<(Key, Node)>, Option<Key>),
}

struct Builder<'r> {
    report: &'r mut Report,
    open: Vec<(Frame, Range<usize>)>,
    root: Option<Node>,
}

impl<'r> Builder<'r> {
    fn new(report: &'r mut Report) -> Self {
        Builder {
            report,
            open: Vec::new(),
            root: None,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Stop> {
        match event {
            Event::Alias(_) => Err(self.refuse(span, "aliases (`*name`)")),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                Err(self.refuse(span, "anchors (`&name`)"))
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err(self.refuse(span, "tags (`!name`)")),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(self.refuse(span, "several documents (`---`)"))
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                self.scalar(text, plain, span)
            }
            Event::SequenceStart(..) => self.open(Frame::List(Vec::new()), span),
            Event::MappingStart(..) => self.open(Frame::Map(Vec::new(), None), span),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, span: Range<usize>, what: &str) -> Stop {
        self.report
            .error(span, format!("{what} are not part of a project file"))
            .help("write the value out");
        Stop
    }

    /// The key that waits for its value.
    fn waiting(&self) -> Option<&Key> {
        match self.open.last() {
            Some((Frame::Map(_, key), _)) => key.as_ref(),
            _ => None,
        }
    }

    fn scalar(&mut self, text: String, plain: bool, span: Range<usize>) -> Result<(), Stop> {
        if let Some((Frame::Map(_, key @ None), _)) = self.open.last_mut() {
            *key = Some(Key { text, span });
            return Ok(());
        }
        let blank = span.is_empty();
        let span = match self.waiting() {
            Some(key) if blank => key.span.clone(),
            _ => span,
        };
        self.add(Node {
            value: Value::Scalar { text, plain },
            span,
        })
    }

    fn open(&mut self, frame: Frame, span: Range<usize>) -> Result<(), Stop> {
        if let Some((Frame::Map(_, None), _)) = self.open.last() {
            self.report
                .error(
                    span.start..span.start + 1,
                    "a key must be a word, not a list or a mapping",
                )
                .help("write `key: value`; quote text that begins with [ or {");
            return Err(Stop);
        }
        let span = match self.waiting() {
            Some(key) => key.span.clone(),
            None => span.start..span.start + 1,
        };
        if self.open.len() >= MAX_DEPTH {
            too_deep(self.report, span);
            return Err(Stop);
        }
        self.open.push((frame, span));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        let (value, span) = match self.open.pop() {
            Some((Frame::List(items), span)) => (Value::List(items), span),
            Some((Frame::Map(entries, _), span)) => (Value::Map(entries), span),
            None => return Ok(()),
        };
        self.add(Node { value, span })
    }

    fn add(&mut self, node: Node) -> Result<(), Stop> {
        let entries = match self.open.last() {
            Some((Frame::List(items), _)) => items.len(),
            Some((Frame::Map(entries, _), _)) => entries.len(),
            None => 0,
        };
        if entries >= MAX_ENTRIES {
            let message = format!("more than {MAX_ENTRIES} entries");
            self.report
                .error(node.span, message)
                .help("split the project: each log has one of its own");
            return Err(Stop);
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Frame::List(items), _)) => items.push(node),
            Some((Frame::Map(entries, waiting), _)) => {
                let Some(key) = waiting.take() else {
                    return Ok(());
                };
                let Some((first, _)) = entries.iter().find(|(other, _)| other.text == key.text)
                else {
                    entries.push((key, node));
                    return Ok(());
                };
                self.report
                    .error(
                        key.span.clone(),
                        format!("`{}` is given twice", shown(&key.text)),
                    )
                    .label("again here")
                    .also(first.span.clone(), "first here")
                    .help("keep one of them");
                if self.report.is_full() {
                    return Err(Stop);
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Option<Node> {
        match self.root {
            Some(root) if matches!(root.value, Value::Map(_)) => Some(root),
            Some(root) if !root.is_null() => {
                self.report
                    .error(root.span, "a project file is a mapping of keys to values")
                    .help("begin with `project: <name>`; `mainstem init` writes a commented file");
                None
            }
            _ => {
                self.report
                    .error(0..0, "the file is empty")
                    .help("begin with `project: <name>`; `mainstem init` writes a commented file");
                None
            }
        }
    }
}

/// A text as a message shows it: the first part of a long one.
pub(crate) fn shown(text: &str) -> String {
    /// Longer than any name; a message stays on its line.
    const SHOWN: usize = 72;
    let mut short: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push_str("...");
    }
    short
}
