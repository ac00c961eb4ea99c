//! The store as a directory: `ab/abcd…`, each file named by the BLAKE3 of its bytes.

use std::fmt::Display;
use std::fs;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_schemas::Digest;

use crate::{place_of, within_limit};

/// Where blobs are written before they get their names.
const DRAFTS: &str = "drafts";

/// A draft of that age is nobody's: the largest blob is written in minutes.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// What is written and read to see whether that can be done.
const PROBE: &[u8] = b"mainstem";

/// Blobs in a directory that all workers share.
#[derive(Clone, Debug)]
pub struct DirBlobs {
    dir: PathBuf,
}

impl DirBlobs {
    /// Opens the store, and creates it where it is missing. Drafts of processes that were killed are swept away.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        let drafts = dir.join(DRAFTS);
        fs::create_dir_all(&drafts).map_err(|error| unwritable(dir, &error))?;
        for draft in fs::read_dir(&drafts).into_iter().flatten().flatten() {
            let modified = draft.metadata().and_then(|about| about.modified());
            let age = modified.ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > STALE) {
                // Another process may sweep too.
                let _ = fs::remove_file(draft.path());
            }
        }
        Ok(DirBlobs {
            dir: dir.to_owned(),
        })
    }

    /// Where a blob lies.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(place_of(digest))
    }

    /// Digests of all blobs, in order.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn all(&self) -> Result<Vec<Digest>, BlobError> {
        let mut digests = Vec::new();
        for shelf in fs::read_dir(&self.dir).map_err(|error| told(&self.dir, &error))? {
            let shelf = shelf.map_err(|error| told(&self.dir, &error))?.path();
            for file in fs::read_dir(&shelf).map_err(|error| told(&shelf, &error))? {
                let name = file.map_err(|error| told(&shelf, &error))?.file_name();
                digests.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
            }
        }
        digests.sort();
        Ok(digests)
    }

    /// A file without a blob's name. Whoever may read the directory may read the blobs, as the umask says.
    fn draft(&self) -> std::io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(self.dir.join(DRAFTS))
    }
}

impl Blobs for DirBlobs {
    /// Written under a name of its own, flushed, then renamed: neither a killed process nor another writer of the same
    /// bytes leaves half of a blob under its name, and the name is on the disk before anybody tells it.
    fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        within_limit(&path.display(), bytes.len() as u64)?;
        let shelf = path.parent().unwrap_or(&self.dir);
        let write = || -> std::io::Result<()> {
            // What is there may be damaged, or another writer's that has not flushed it yet.
            if self.get(&digest).is_err() {
                fs::create_dir_all(shelf)?;
                let mut draft = self.draft()?;
                draft.write_all(bytes)?;
                draft.as_file().sync_all()?;
                draft.persist(&path).map_err(|failed| failed.error)?;
            }
            fs::File::open(shelf)?.sync_all()?;
            fs::File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| unwritable(&path, &error))?;
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, BlobError> {
        let path = self.path(digest);
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => BlobError::Missing(path.display().to_string()),
            _ => told(&path, &error),
        };
        let size = fs::metadata(&path).map_err(failed)?.len();
        within_limit(&path.display(), size)?;
        let bytes = fs::read(&path).map_err(failed)?;
        if Digest::of(&bytes) != *digest {
            return Err(BlobError::Damaged(path.display().to_string()));
        }
        Ok(bytes.into())
    }

    /// Writes a draft, reads it and takes it away.
    fn check(&self) -> Result<(), BlobError> {
        let probe = || -> std::io::Result<bool> {
            let (mut draft, mut read) = (self.draft()?, Vec::new());
            draft.write_all(PROBE)?;
            draft.as_file().sync_all()?;
            draft.rewind()?;
            draft.read_to_end(&mut read)?;
            Ok(read == PROBE)
        };
        match probe() {
            Ok(true) => Ok(()),
            Ok(false) => Err(unwritable(&self.dir, &"what is written is read as another")),
            Err(error) => Err(unwritable(&self.dir, &error)),
        }
    }
}

fn told(path: &Path, error: &std::io::Error) -> BlobError {
    BlobError::Store(format!("{}: {error}", path.display()))
}

fn unwritable(path: &Path, error: &dyn Display) -> BlobError {
    BlobError::Store(format!(
        "blobs cannot be written: {}: {error}; the directory must be writable for the user of this process, and have room",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_damage_is_told_from_absence() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(dir.path()).unwrap();
        let digest = blobs.put(b"model").unwrap();
        assert_eq!(blobs.put(b"model"), Ok(digest));
        assert_eq!(&*blobs.get(&digest).unwrap(), b"model");
        assert_eq!(blobs.all(), Ok(vec![digest]));
        let path = blobs.path(&digest);
        fs::write(&path, b"nodel").unwrap();
        let damaged = BlobError::Damaged(path.display().to_string());
        assert_eq!(blobs.get(&digest), Err(damaged));
        // Put again, it is whole again.
        assert_eq!(blobs.put(b"model"), Ok(digest));
        assert_eq!(&*blobs.get(&digest).unwrap(), b"model");
        fs::remove_file(&path).unwrap();
        let missing = BlobError::Missing(path.display().to_string());
        assert_eq!(blobs.get(&digest), Err(missing));
        // A directory in its place is neither.
        fs::create_dir(&path).unwrap();
        assert!(matches!(blobs.get(&digest), Err(BlobError::Store(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(dir.path()).unwrap();
        assert_eq!(blobs.check(), Ok(()));
        let drafts = dir.path().join(DRAFTS);
        assert_eq!(fs::read_dir(&drafts).unwrap().count(), 0);
        // Root may write where it must not: what it cannot do either is to write into a file as into a directory.
        fs::remove_dir(&drafts).unwrap();
        fs::write(&drafts, b"").unwrap();
        for refused in [blobs.check(), DirBlobs::open(dir.path()).map(drop)] {
            let told = refused.unwrap_err().to_string();
            let named = [dir.path().to_str().unwrap(), "must be writable"];
            assert!(named.iter().all(|word| told.contains(word)), "{told}");
        }
    }

    #[test]
    fn writers_of_the_same_bytes_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(dir.path()).unwrap();
        for round in 0u32..50 {
            let bytes = vec![round as u8; 100_000];
            std::thread::scope(|scope| {
                let put = || {
                    let digest = blobs.put(&bytes).unwrap();
                    assert_eq!(*blobs.get(&digest).unwrap(), bytes[..]);
                };
                (0..4).for_each(|_| drop(scope.spawn(put)));
            });
        }
        assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
    }
}
