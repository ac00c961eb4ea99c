//! Mistakes, as a compiler tells them.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Mistakes that are told at once. More would scroll the first, which often causes the rest, off the screen.
pub const MAX_DIAGNOSTICS: usize = 20;

/// One mistake: what is wrong, where, and what to write instead. Displays as plain text with the line and a caret;
/// [`Diagnostic::render`] does so in colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Diagnostic {
    file: Arc<File>,
    message: String,
    span: Range<usize>,
    label: Option<String>,
    also: Option<(Range<usize>, &'static str)>,
    help: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct File {
    name: String,
    text: String,
}

impl Diagnostic {
    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do, where there is more to say than the message does.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Bytes of the file that it is about.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Line, counting from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// Column in characters, counting from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        let line = self.before().rsplit('\n').next().unwrap_or_default();
        line.chars().count() + 1
    }

    /// The message with file, line, column, the line itself and a caret under what is meant.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let primary = AnnotationKind::Primary
            .span(self.span.clone())
            .label(self.label.as_deref());
        let also = self
            .also
            .iter()
            .map(|(span, label)| AnnotationKind::Context.span(span.clone()).label(*label));
        let snippet = Snippet::source(&self.file.text)
            .path(&self.file.name)
            .annotation(primary)
            .annotations(also);
        let title = Level::ERROR.primary_title(&self.message);
        let group: Group<'_> = title.element(snippet);
        let help = self.help.iter().map(|help| Level::HELP.message(help));
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group.elements(help)])
    }

    fn before(&self) -> &str {
        self.file.text.get(..self.span.start).unwrap_or_default()
    }

    /// Adds a word at the caret.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Adds the remedy.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place that belongs to the mistake.
    pub(crate) fn also(&mut self, span: Range<usize>, label: &'static str) -> &mut Self {
        self.also = Some((span, label));
        self
    }
}

/// The mistakes of one file, as they are found.
pub(crate) struct Report {
    file: Arc<File>,
    found: Vec<Diagnostic>,
}

impl Report {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let (name, text) = (name.to_owned(), text.to_owned());
        Report {
            file: Arc::new(File { name, text }),
            found: Vec::new(),
        }
    }

    /// Adds a mistake; what it is given further belongs to it.
    pub(crate) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found.push(Diagnostic {
            span: fit(&self.file.text, span),
            file: Arc::clone(&self.file),
            message: message.into(),
            label: None,
            also: None,
            help: None,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether more mistakes were found than will be told: time to stop looking for remedies.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() > MAX_DIAGNOSTICS
    }

    /// The mistakes by their place; of those at one place the first that was found, for the rest follow from it.
    pub(crate) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|mistake| mistake.span.start);
        self.found.dedup_by_key(|mistake| mistake.span.start);
        self.found.truncate(MAX_DIAGNOSTICS);
        self.found
    }
}

/// A span within the text, on the boundaries of its characters, and within one line: what the renderer asks for.
fn fit(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.floor_char_boundary(span.end.max(start));
    let line = text[start..end].split('\n').next().unwrap_or_default();
    start..start + line.trim_end().len()
}
