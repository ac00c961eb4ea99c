//! The bytes of an Avro body, read to their end and no further.

use std::io::{self, Read};

/// What decoding may allocate at once. A length in a damaged body may claim anything up to 2^63 bytes, and
/// apache-avro allocates before it reads; its own limit, 512 MiB, is more than a small machine has to spare. A
/// broker takes records of 1 MiB unless told otherwise, and items of one byte each become values of 56 bytes when
/// an older schema is resolved: so 64 MiB hold every sound body, and no unsound one costs more.
pub(crate) const MAX_ALLOCATION: usize = 64 * 1024 * 1024;

/// A body that knows whether more was asked of it than it has. apache-avro takes the end of the input for null
/// where it resolves an older schema, and so would read a cut record as a whole one.
pub(crate) struct Body<'a> {
    rest: &'a [u8],
    short: bool,
}

impl<'a> Body<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        // The first call in the process counts; the later ones only read the limit.
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        Body {
            rest: bytes,
            short: false,
        }
    }

    /// Whether the record took exactly these bytes; else what is wrong.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.rest.len() {
            _ if self.short => Err("it ends before the record does".into()),
            0 => Ok(()),
            more => Err(format!("{more} bytes follow the record")),
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.short |= buffer.len() > self.rest.len();
        self.rest.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_and_too_many_bytes_are_both_told() {
        let mut two = [0; 2];
        let mut body = Body::new(&[1, 2]);
        body.read_exact(&mut two).unwrap();
        assert_eq!(body.finish(), Ok(()));

        let mut body = Body::new(&[1]);
        assert!(body.read_exact(&mut two).is_err());
        assert!(body.finish().unwrap_err().contains("ends before"));

        assert!(Body::new(&[1]).finish().unwrap_err().contains("1 bytes"));
    }

    #[test]
    fn the_limit_is_in_force() {
        let _ = Body::new(&[]);
        assert_eq!(
            apache_avro::util::max_allocation_bytes(usize::MAX),
            MAX_ALLOCATION
        );
    }
}
