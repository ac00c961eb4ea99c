//! The Confluent wire format: one zero byte, the schema's id (big endian), the Avro body.

/// Bytes before the Avro body.
pub const HEADER: usize = 5;

/// Why a value is not in the wire format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWire {
    /// Too short for the magic byte and the id.
    #[error(
        "value of {0} bytes is shorter than the 5 bytes of magic and schema id; write it with an Avro serialiser that uses a schema registry"
    )]
    Short(usize),
    /// A first byte other than zero.
    #[error(
        "value starts with byte {0:#04x} instead of 0x00; write it with an Avro serialiser that uses a schema registry"
    )]
    Magic(u8),
}

/// Appends the five bytes that announce a body written with schema `id`.
pub fn put_header(out: &mut Vec<u8>, id: u32) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

/// Schema id and body of a value.
///
/// # Errors
/// [`NotWire`] where the value is too short or starts with another byte than zero.
#[inline]
pub fn split(value: &[u8]) -> Result<(u32, &[u8]), NotWire> {
    match value {
        [0, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        [0, ..] | [] => Err(NotWire::Short(value.len())),
        [first, ..] => Err(NotWire::Magic(*first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_split() {
        let mut value = Vec::new();
        put_header(&mut value, 258);
        value.push(7);
        assert_eq!(value, [0, 0, 0, 1, 2, 7]);
        assert_eq!(split(&value), Ok((258, &[7u8][..])));
        assert_eq!(split(&[0, 1]), Err(NotWire::Short(2)));
        assert_eq!(split(&[9, 0, 0, 0, 0, 1]), Err(NotWire::Magic(9)));
    }
}
