//! How a file begins: a publication keeps the digest of it, so that nobody goes on with another file of that name.

use std::io::{self, Read};

use mainstem_schemas::Digest;

/// Bytes that are looked at: enough to tell two exports of one system apart, and no second reading of a large file.
const LENGTH: u64 = 64 << 10;

/// The first bytes of a file.
pub(super) struct Beginning(pub Vec<u8>);

impl Beginning {
    /// Reads them.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(bytes: &mut impl Read) -> io::Result<Self> {
        let mut begin = Vec::new();
        bytes.take(LENGTH).read_to_end(&mut begin)?;
        Ok(Beginning(begin))
    }

    /// What a publication keeps.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Whether the file of that digest is the beginning of this one: it was shorter, and lines were added since.
    pub fn has_grown_from(&self, earlier: Digest) -> bool {
        let ends = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n');
        let mut lengths = ends.flat_map(|(at, _)| [at, at + 1]);
        lengths.any(|length| Digest::of(self.0.get(..length).unwrap_or_default()) == earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Beginning {
        Beginning::read(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn a_file_grows_by_lines() {
        let longer = of("a,b\n1,2\n3,4\n");
        for shorter in ["a,b", "a,b\n", "a,b\n1,2", "a,b\n1,2\n"] {
            assert!(longer.has_grown_from(of(shorter).digest()), "{shorter:?}");
        }
        for other in ["", "a,b\n1", "a,b\n1,3\n", "a,b\n1,2\n3,4\n5,6\n"] {
            assert!(!longer.has_grown_from(of(other).digest()), "{other:?}");
        }
    }

    #[test]
    fn what_lies_behind_the_beginning_does_not_count() {
        let begin = "x".repeat(LENGTH as usize);
        assert_eq!(of(&begin).digest(), of(&(begin + "y")).digest());
    }
}
