//! Blobs: every one that an event names is there and holds what its digest says.

use std::collections::BTreeMap;

use mainstem_kernel::Partition;
use mainstem_kernel::log::{FetchLimit, LogError, Reader};
use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Catalog, Digest, topics};

use super::found::Found;
use super::holes;
use super::report::{Finding, Place};

/// Topics whose events name blobs, by their short names.
const NAMING: [&str; 5] = ["definitions", "outcomes", "runs", "models", "deployments"];

/// Blobs by digest, each with the first event that names it.
#[derive(Default)]
pub(super) struct Named {
    by_digest: BTreeMap<Digest, String>,
}

impl Named {
    /// Notes a blob.
    pub(super) fn note(&mut self, digest: Digest, by: impl FnOnce() -> String) {
        self.by_digest.entry(digest).or_insert_with(by);
    }

    /// Notes what the events of a project name. What cannot be read was found before.
    pub(super) fn read(
        &mut self,
        reader: &mut dyn Reader,
        catalog: &Catalog,
        project: &str,
        partitions: &[Partition],
    ) -> Result<(), LogError> {
        let topics = NAMING.map(|room| topics::fixed(project, room));
        let naming = |at: &&Partition| topics.iter().any(|topic| **topic == *at.topic);
        for partition in partitions.iter().filter(naming) {
            let range = reader.range(partition)?;
            let (mut batch, mut from) = (Batch::new(), range.start);
            while from < range.end {
                batch.clear();
                let limit = FetchLimit::default();
                let hole = holes::fetch(reader, partition, from, range.end, limit, &mut batch)?;
                let last = batch.offsets().last().map(|last| last + 1);
                let Some(next) = hole.map(|hole| hole.next).or(last) else {
                    break;
                };
                from = next;
                for record in batch.iter() {
                    let event = Event::decode(catalog, record.value.unwrap_or_default());
                    for digest in event.iter().flat_map(blobs_of) {
                        let place = Place::new(partition, record.offset);
                        let name = event.as_ref().map_or("", Event::name);
                        self.note(digest, || format!("{name} at {place}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks at every blob.
    pub(super) fn check(&self, blobs: &dyn Blobs, found: &mut Found) {
        for (digest, named) in &self.by_digest {
            let (digest, named) = (*digest, named.clone());
            found.report.blobs += 1;
            match blobs.get(&digest) {
                Ok(bytes) if Digest::of(&bytes) == digest => {}
                Ok(_) => found.find(Finding::BlobDamaged {
                    digest,
                    named,
                    why: "its bytes have another digest".into(),
                }),
                Err(error) => {
                    let why = error.to_string();
                    found.find(match error {
                        BlobError::Missing(_) => Finding::BlobMissing { digest, named, why },
                        BlobError::Damaged(_) => Finding::BlobDamaged { digest, named, why },
                        BlobError::Store(_) => Finding::BlobUnread { digest, named, why },
                    });
                }
            }
        }
    }
}

/// The blobs that an event names.
fn blobs_of(event: &Event) -> Vec<Digest> {
    match event {
        Event::DefinitionApplied(e) => vec![e.digest],
        Event::DatasetBuilt(e) => vec![e.parquet, e.profile],
        Event::DatasetBound(e) => vec![e.parquet, e.profile],
        Event::TrainingCompleted(e) => vec![e.onnx, e.prediction_profile],
        Event::BaselineBuilt(e) => vec![e.onnx],
        Event::RunFinished(e) => vec![e.onnx, e.profile, e.prediction_profile],
        Event::ModelVersionRegistered(e) => {
            let profiles = [e.profile, e.prediction_profile];
            [Some(e.onnx)]
                .into_iter()
                .chain(profiles)
                .flatten()
                .collect()
        }
        Event::DeploymentStarted(e) => {
            let profiles = [e.profile, e.prediction_profile];
            [Some(e.onnx)]
                .into_iter()
                .chain(profiles)
                .flatten()
                .collect()
        }
        _ => Vec::new(),
    }
}
