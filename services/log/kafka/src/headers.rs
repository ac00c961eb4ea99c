//! Headers as a record has them on the wire: a zigzag varint count, then each name and value behind its own length,
//! where -1 is null (Apache Kafka, *Message format*, record header).

/// The headers of a record, in order; they end where the bytes are damaged.
pub(crate) struct Headers<'a> {
    rest: &'a [u8],
    left: i64,
}

impl<'a> Headers<'a> {
    /// Reads a record's block of headers; no bytes are no headers.
    #[inline]
    pub(crate) fn of(block: &'a [u8]) -> Self {
        let mut headers = Headers {
            rest: block,
            left: 0,
        };
        headers.left = headers.varint().unwrap_or(0);
        headers
    }

    fn header(&mut self) -> Option<(&'a str, &'a [u8])> {
        // A name in another encoding cannot be told; its value is kept.
        let name = std::str::from_utf8(self.field()??).unwrap_or("\u{fffd}");
        Some((name, self.field()?.unwrap_or_default()))
    }

    /// A field: outer `None` where the bytes end, inner `None` for null.
    fn field(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.varint()?;
        if length == -1 {
            return Some(None);
        }
        let (field, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(Some(field))
    }

    #[inline]
    fn varint(&mut self) -> Option<i64> {
        let mut zigzag = 0;
        // Ten groups of seven bits hold any 64.
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        None
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1).filter(|left| *left >= 0)?;
        let header = self.header();
        if header.is_none() {
            self.left = 0;
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    fn of(block: &[u8]) -> Vec<(&str, &[u8])> {
        Headers::of(block).collect()
    }

    #[test]
    fn names_and_values_come_in_order_and_null_is_empty() {
        let block = b"\x08\x02a\x02x\x00\x04yz\x02b\x01\x06\xc3\xa9!\x00";
        let headers: [(&str, &[u8]); 4] = [("a", b"x"), ("", b"yz"), ("b", b""), ("é!", b"")];
        assert_eq!(of(block), headers);
        // No bytes, a count of none, and one below.
        for none in [&b""[..], b"\x00\x02a\x02x", b"\x01\x02a\x02x"] {
            assert!(of(none).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_keeps_its_value() {
        assert_eq!(of(b"\x02\x02\xff\x02x"), [("\u{fffd}", &b"x"[..])]);
    }

    #[test]
    fn damaged_bytes_end_the_headers() {
        let whole = b"\x04\x02a\x02x\x02b\x02y";
        for length in 0..whole.len() {
            let headers = of(&whole[..length]);
            assert_eq!(headers.len(), usize::from(length >= 5), "{length} bytes");
        }
        let first = [("a", &b"x"[..])];
        // A name that is null, a length below null, lengths beyond the bytes, a varint that does not end.
        for rest in [
            &b"\x01"[..],
            b"\x03",
            b"\x02b\x03",
            b"\xfe\x01b",
            &[0xff; 12],
        ] {
            assert_eq!(of(&[&whole[..5], rest].concat()), first, "{rest:?}");
        }
        assert!(of(&[0xff; 12]).is_empty());
    }
}
