//! Where things stand.

use std::ops::Range;

use saphyr_parser::Span;

/// From the parser's places, counted in characters, to bytes.
pub(super) struct Places {
    /// Byte of every character; none where every character is a byte.
    bytes: Option<Vec<usize>>,
    end: usize,
}

impl Places {
    pub(super) fn of(text: &str) -> Self {
        let places = || text.char_indices().map(|(at, _)| at).collect();
        Places {
            bytes: (!text.is_ascii()).then(places),
            end: text.len(),
        }
    }

    pub(super) fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            None => character.min(self.end),
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.end),
        }
    }

    pub(super) fn range(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }
}
