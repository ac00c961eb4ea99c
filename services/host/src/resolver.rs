//! Looks up what folds need: models, compiled, and bytes, from the blob store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mainstem_kernel::known::Resolved;
use mainstem_kernel::runner::Blobs;
use mainstem_kernel::{Model, Need, Resolver};
use mainstem_models::{Onnx, OnnxModel};
use mainstem_schemas::Digest;

use crate::outside::OutsideSchemas;

/// Resolves needs from a blob store. A model that some task still holds is compiled once for all of them.
pub struct StoreResolver {
    blobs: Arc<dyn Blobs>,
    /// Weak: tasks forget the models that nobody deploys any more, and with the last task the model goes.
    models: Mutex<BTreeMap<(Digest, usize), Weak<Compiled>>>,
    /// Where schemas of an outside registry come from; a replay needs none.
    schemas: Option<Arc<OutsideSchemas>>,
}

impl StoreResolver {
    /// A resolver of what lies in `blobs`.
    #[must_use]
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        StoreResolver {
            blobs,
            models: Mutex::default(),
            schemas: None,
        }
    }

    /// Has schemas that the log does not have brought into it.
    #[must_use]
    pub fn with_schemas(mut self, schemas: Arc<OutsideSchemas>) -> Self {
        self.schemas = Some(schemas);
        self
    }

    /// The lock is held while a model is compiled: whoever needs the same one waits instead of compiling it again.
    fn model(&self, onnx: Digest, inputs: usize) -> Result<Arc<Compiled>, String> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get(&(onnx, inputs)).and_then(Weak::upgrade) {
            return Ok(model);
        }
        let bytes = self.blobs.get(&onnx).map_err(|error| error.to_string())?;
        let model =
            Onnx::load(&bytes, inputs).map_err(|error| format!("the model {onnx}: {error}"))?;
        let model = Arc::new(Compiled(model));
        models.retain(|_, held| held.strong_count() > 0);
        models.insert((onnx, inputs), Arc::downgrade(&model));
        Ok(model)
    }
}

impl Resolver for StoreResolver {
    fn resolve(&self, need: &Need) -> Result<Resolved, String> {
        match need {
            Need::Model { onnx, inputs } => Ok(Resolved::Model(self.model(*onnx, *inputs)?)),
            Need::Blob(digest) => match self.blobs.get(digest) {
                Ok(bytes) => Ok(Resolved::Blob(bytes)),
                Err(error) => Err(error.to_string()),
            },
            // It is never handed in: once it has come, it is read from the log.
            Need::Schema { source, id } => Err(match &self.schemas {
                Some(schemas) => schemas.ask(*source, *id),
                None => format!("schema id {id} of source {source} is not in the log"),
            }),
        }
    }
}

/// A compiled ONNX model, as folds know models.
struct Compiled(OnnxModel);

impl Model for Compiled {
    fn inputs(&self) -> usize {
        self.0.inputs()
    }

    fn predict(&self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), String> {
        self.0.predict(rows, out).map_err(|error| error.to_string())
    }

    fn runtime(&self) -> &str {
        mainstem_models::runtime()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::DirBlobs;

    fn resolver() -> (tempfile::TempDir, Arc<DirBlobs>, StoreResolver) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Arc::new(DirBlobs::open(dir.path()).unwrap());
        let resolver = StoreResolver::new(blobs.clone());
        (dir, blobs, resolver)
    }

    fn model(
        resolver: &StoreResolver,
        onnx: Digest,
        inputs: usize,
    ) -> Result<Arc<dyn Model>, String> {
        match resolver.resolve(&Need::Model { onnx, inputs })? {
            Resolved::Model(model) => Ok(model),
            Resolved::Blob(_) => Err("a blob".into()),
        }
    }

    #[test]
    fn a_model_is_compiled_once_while_somebody_holds_it() {
        let (_dir, blobs, resolver) = resolver();
        let onnx = blobs.put(&mainstem_models::persistence(2, 1)).unwrap();
        let first = model(&resolver, onnx, 2).unwrap();
        let second = model(&resolver, onnx, 2).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let mut out = Vec::new();
        second
            .predict(&[0.0, 1.0, 1.0, f32::NAN], &mut out)
            .unwrap();
        assert_eq!((out, second.inputs()), (vec![1.0, 0.0], 2));
        assert!(
            second.runtime().starts_with("mainstem-models "),
            "{}",
            second.runtime()
        );
        drop((first, second));
        assert!(
            resolver
                .models
                .lock()
                .unwrap()
                .values()
                .all(|held| held.upgrade().is_none())
        );
    }

    #[test]
    fn what_cannot_be_had_is_told_and_may_come_later() {
        let (_dir, blobs, resolver) = resolver();
        let bytes = mainstem_models::persistence(2, 0);
        assert!(model(&resolver, Digest::of(&bytes), 2).is_err());
        let onnx = blobs.put(&bytes).unwrap();
        assert!(model(&resolver, onnx, 2).is_ok());
        let width = model(&resolver, onnx, 3).err().unwrap();
        assert!(width.contains(&onnx.to_string()), "{width}");
        let text = blobs.put(b"no model").unwrap();
        assert!(
            model(&resolver, text, 2)
                .err()
                .unwrap()
                .contains("not an ONNX model")
        );
        let Ok(Resolved::Blob(bytes)) = resolver.resolve(&Need::Blob(text)) else {
            panic!("no blob")
        };
        assert_eq!(&*bytes, b"no model");
    }
}
