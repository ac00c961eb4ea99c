//! The naive forecast as a model.

use mainstem_kernel::runner::Blobs;
use mainstem_schemas::Digest;
use mainstem_schemas::definition::Baseline;

use super::failure::Failure;

/// Writes the forecast for rows of these features; gives the digest of the ONNX file.
pub(super) fn build(
    blobs: &dyn Blobs,
    features: &[String],
    baseline: &Baseline,
) -> Result<Digest, Failure> {
    let Baseline::Persistence(feature) = baseline;
    let column = features.iter().position(|name| name == feature);
    let column = column.ok_or_else(|| {
        let features = features.join(", ");
        Failure::lasting(format!(
            "persistence of {feature}: the model takes {features}; name one of them"
        ))
    })?;
    blobs
        .put(&mainstem_models::persistence(features.len(), column))
        .map_err(Failure::passing)
}
