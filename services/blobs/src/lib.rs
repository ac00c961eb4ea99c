//! The blob store that all workers share: models, data sets and snapshots, each under the BLAKE3 of its bytes.
//!
//! What comes in are bytes, what goes out is their digest, and the other way round. Nothing is ever another under the same
//! name, so all writers may write at once, and whatever is read is compared with its name: damage is told from absence,
//! and both from a store that does not answer ([`BlobError`]). The port is [`Blobs`] of the kernel.
//!
//! | Store | Where |
//! |---|---|
//! | [`DirBlobs`] | a directory that all processes share |
//! | `S3Blobs` | a bucket of S3, or of what speaks its protocol (feature `s3`: HTTP and TLS) |
#![forbid(unsafe_code)]

mod directory;
#[cfg(feature = "s3")]
mod s3;

use mainstem_kernel::runner::BlobError;
#[cfg(doc)]
use mainstem_kernel::runner::Blobs;
use mainstem_schemas::Digest;

pub use directory::DirBlobs;
#[cfg(feature = "s3")]
pub use s3::{S3Blobs, SCHEME};

/// Largest blob: it is held in memory whole, by whoever writes it and whoever reads it.
const MAX_BLOB: u64 = 4 << 30;

/// Where a blob lies in its store: 256 shelves, so that none has more names than tools like.
fn place_of(digest: &Digest) -> String {
    let name = digest.to_string();
    format!("{}/{name}", &name[..2])
}

/// Refuses what is over the limit.
fn within_limit(place: &dyn std::fmt::Display, size: u64) -> Result<(), BlobError> {
    match size {
        0..=MAX_BLOB => Ok(()),
        _ => Err(BlobError::Store(format!(
            "{place} is {size} bytes, over the limit of {MAX_BLOB}; let the model take fewer rows (`training: {{rows}}`)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_over_the_limit_is_refused() {
        assert_eq!(within_limit(&"a", MAX_BLOB), Ok(()));
        let refused = within_limit(&"a", MAX_BLOB + 1).unwrap_err().to_string();
        assert!(
            refused.contains("over the limit of 4294967296"),
            "{refused}"
        );
    }
}
