//! The content-addressed store as a directory: `blobs/ab/abcd…`, each file named by the BLAKE3 of its bytes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstem_kernel::runner::Blobs;
use mainstem_schemas::Digest;

/// Largest blob: a data set or model beyond it belongs into a store made for such sizes.
const MAX_BLOB: u64 = 4 << 30;

/// Where blobs are written before they get their names.
const DRAFTS: &str = "drafts";

/// A draft of that age is nobody's: the largest blob is written in minutes.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Blobs in a directory that all workers of a machine share.
#[derive(Clone, Debug)]
pub struct DirBlobs {
    dir: PathBuf,
}

impl DirBlobs {
    /// Opens the store, and creates it where it is missing. Drafts of processes that were killed are swept away.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(dir: &Path) -> Result<Self, String> {
        let drafts = dir.join(DRAFTS);
        fs::create_dir_all(&drafts).map_err(|error| told(dir, &error))?;
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
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// Digests of all blobs, in order.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn all(&self) -> Result<Vec<Digest>, String> {
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
}

impl Blobs for DirBlobs {
    /// Written under a name of its own, flushed, then renamed: neither a killed process nor another writer of the same
    /// bytes leaves half of a blob under its name, and the name is on the disk before anybody tells it.
    fn put(&self, bytes: &[u8]) -> Result<Digest, String> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        let shelf = path.parent().unwrap_or(&self.dir);
        let write = || -> std::io::Result<()> {
            // What is there may be damaged, or another writer's that has not flushed it yet.
            if self.get(&digest).is_err() {
                fs::create_dir_all(shelf)?;
                // Whoever may read the directory may read the blobs, as the umask says.
                let mut draft = tempfile::Builder::new()
                    .permissions(fs::Permissions::from_mode(0o666))
                    .tempfile_in(self.dir.join(DRAFTS))?;
                draft.write_all(bytes)?;
                draft.as_file().sync_all()?;
                draft.persist(&path).map_err(|failed| failed.error)?;
            }
            fs::File::open(shelf)?.sync_all()?;
            fs::File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| told(&path, &error))?;
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, String> {
        let path = self.path(digest);
        let size = fs::metadata(&path)
            .map_err(|error| told(&path, &error))?
            .len();
        if size > MAX_BLOB {
            return Err(format!(
                "{} is {size} bytes, over the limit of {MAX_BLOB}",
                path.display()
            ));
        }
        let bytes = fs::read(&path).map_err(|error| told(&path, &error))?;
        if Digest::of(&bytes) != *digest {
            return Err(format!(
                "{} does not hold what its name says; restore it from a copy",
                path.display()
            ));
        }
        Ok(bytes.into())
    }
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(dir.path()).unwrap();
        let digest = blobs.put(b"model").unwrap();
        assert_eq!(blobs.put(b"model"), Ok(digest));
        assert_eq!(&*blobs.get(&digest).unwrap(), b"model");
        assert_eq!(blobs.all(), Ok(vec![digest]));
        fs::write(blobs.path(&digest), b"nodel").unwrap();
        assert!(blobs.get(&digest).unwrap_err().contains("restore it"));
        assert!(blobs.get(&Digest::of(b"other")).is_err());
        // Put again, it is whole again.
        assert_eq!(blobs.put(b"model"), Ok(digest));
        assert_eq!(&*blobs.get(&digest).unwrap(), b"model");
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
