//! Values of a record by their keys, with the grammar's defaults.

use mainstem_schemas::{Millis, Span};

use crate::scalar;
use crate::shape::{Absent, Key};
use crate::tree::{self, Node};

/// A record of the file, or one that is left out.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub node: Option<&'a Node>,
    keys: &'static [Key],
}

impl<'a> Record<'a> {
    pub(super) fn of(node: Option<&'a Node>, keys: &'static [Key]) -> Self {
        Record { node, keys }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node?.get(key)
    }

    pub(super) fn record(&self, key: &str, keys: &'static [Key]) -> Record<'a> {
        Record::of(self.get(key), keys)
    }

    pub(super) fn entries(&self, key: &str) -> &'a [(tree::Key, Node)] {
        self.get(key).map(Node::entries).unwrap_or_default()
    }

    pub(super) fn items(&self, key: &str) -> &'a [Node] {
        self.get(key).map(Node::items).unwrap_or_default()
    }

    /// The scalar that is written, or the grammar's default.
    pub(super) fn word(&self, key: &str) -> &'a str {
        let default = || match self.keys.iter().find(|known| known.name == key)?.absent {
            Absent::Scalar(text) => Some(text),
            _ => None,
        };
        let written = self.get(key).and_then(Node::text);
        written.or_else(default).unwrap_or_default()
    }

    pub(super) fn whole(&self, key: &str) -> u32 {
        scalar::whole(self.word(key)).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> f64 {
        scalar::number(self.word(key)).unwrap_or_default()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        scalar::flag(self.word(key)).unwrap_or_default()
    }

    pub(super) fn span(&self, key: &str) -> Span {
        scalar::span(self.word(key)).unwrap_or_default()
    }

    pub(super) fn moment(&self, key: &str) -> Millis {
        scalar::moment(self.word(key)).unwrap_or_default()
    }
}
