//! The content-addressed store as a directory: `blobs/ab/abcd…`, each file named by the BLAKE3 of its bytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstem_kernel::runner::Blobs;
use mainstem_schemas::Digest;

/// Largest blob: a data set or model beyond it belongs into a store made for such sizes.
const MAX_BLOB: u64 = 4 << 30;

/// Blobs in a directory that all workers of a machine share.
#[derive(Clone, Debug)]
pub struct DirBlobs {
    dir: PathBuf,
}

impl DirBlobs {
    /// Opens the store, and creates it where it is missing.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(dir: &Path) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| told(dir, &error))?;
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
    /// Written beside its place, flushed, then renamed: a killed process leaves no half of a blob under its name.
    fn put(&self, bytes: &[u8]) -> Result<Digest, String> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        if path.exists() {
            return Ok(digest);
        }
        let shelf = path.parent().unwrap_or(&self.dir);
        let draft = shelf.join(format!(".{}.{}", std::process::id(), digest));
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(shelf)?;
            let mut file = fs::File::create(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            fs::File::open(shelf)?.sync_all()
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
    }
}
