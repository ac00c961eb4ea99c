//! What a fold may know beside its records: things resolved by digest before the fold, so that it stays pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use mainstem_schemas::Digest;

/// A compiled model: rows in, probabilities out. Equal rows give equal bits however they are cut into calls.
pub trait Model: Send + Sync {
    /// Numbers in a row.
    fn inputs(&self) -> usize;

    /// Appends the probability of the positive class of each row; `rows` is row-major, NaN is missing.
    ///
    /// # Errors
    /// What the runtime says, in words.
    fn predict(&self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), String>;

    /// What computes it, with its version.
    fn runtime(&self) -> &str;
}

/// Something that a fold needs and that is named by its digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Need {
    /// A model with that many inputs.
    Model {
        /// Digest of the ONNX file.
        onnx: Digest,
        /// Numbers in a row.
        inputs: usize,
    },
    /// Bytes, such as a profile.
    Blob(Digest),
    /// A schema of an outside registry in the topic `schemas`: the task waits until it is there.
    Schema {
        /// Number of the source.
        source: u16,
        /// Id in the outside registry.
        id: u32,
    },
}

impl Need {
    /// The digest; a schema is told by its words, since nobody knows it yet.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Need::Schema { source, id } => {
                Digest::of(format!("schema {id} of source {source}").as_bytes())
            }
            Need::Model { onnx, .. } => *onnx,
            Need::Blob(digest) => *digest,
        }
    }
}

/// What was resolved.
#[derive(Clone)]
pub enum Resolved {
    /// A compiled model.
    Model(Arc<dyn Model>),
    /// Bytes.
    Blob(Arc<[u8]>),
}

/// Resolves needs; the shell reads the blob store and compiles.
pub trait Resolver: Send + Sync {
    /// Looks a need up.
    ///
    /// # Errors
    /// Why it cannot be had, and what to do; the task waits.
    fn resolve(&self, need: &Need) -> Result<Resolved, String>;
}

/// Everything resolved for one task.
#[derive(Clone, Default)]
pub struct Known {
    resolved: BTreeMap<Digest, Resolved>,
}

impl Known {
    /// Resolves what is missing of `needs`.
    ///
    /// # Errors
    /// The resolver's.
    pub fn learn(&mut self, needs: &[Need], resolver: &dyn Resolver) -> Result<(), String> {
        for need in needs {
            if let Entry::Vacant(place) = self.resolved.entry(need.digest()) {
                place.insert(resolver.resolve(need)?);
            }
        }
        Ok(())
    }

    /// Forgets all but `needs`.
    pub fn keep(&mut self, needs: &[Need]) {
        self.resolved
            .retain(|digest, _| needs.iter().any(|need| need.digest() == *digest));
    }

    /// How many things are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resolved.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resolved.is_empty()
    }

    /// A model.
    #[must_use]
    pub fn model(&self, onnx: &Digest) -> Option<&Arc<dyn Model>> {
        match self.resolved.get(onnx) {
            Some(Resolved::Model(model)) => Some(model),
            _ => None,
        }
    }

    /// A blob's bytes.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        match self.resolved.get(digest) {
            Some(Resolved::Blob(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// A resolver that has nothing: for machines that need nothing.
pub struct Nothing;

impl Resolver for Nothing {
    fn resolve(&self, need: &Need) -> Result<Resolved, String> {
        Err(format!("there is no store to find {} in", need.digest()))
    }
}
