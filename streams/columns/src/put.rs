//! Avro bodies, written field by field: the pieces, and a row of features.

use mainstem_schemas::{EventId, Millis, wire};

/// Appends a long (or an int, a length, a union's branch, an enum's symbol): zigzag, seven bits a byte.
pub fn put_long(out: &mut Vec<u8>, long: i64) {
    let mut rest = ((long << 1) ^ (long >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a double.
pub fn put_double(out: &mut Vec<u8>, double: f64) {
    out.extend_from_slice(&double.to_le_bytes());
}

/// Appends a boolean.
pub fn put_boolean(out: &mut Vec<u8>, boolean: bool) {
    out.push(u8::from(boolean));
}

/// Appends a string.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends the branch null of a union `["null", T]`.
pub fn put_null(out: &mut Vec<u8>) {
    out.push(0);
}

/// Appends the branch T of a union `["null", T]`; the value follows.
pub fn put_some(out: &mut Vec<u8>) {
    out.push(2);
}

/// Appends a row of features in the wire format: the five bytes of header, then the body by
/// [`view_schema`](crate::view_schema), whose features `values` gives in order, missing ones as nothing.
pub fn put_features(
    out: &mut Vec<u8>,
    schema_id: u32,
    origin: &EventId,
    event_time: Millis,
    entity: &str,
    values: impl IntoIterator<Item = Option<f64>>,
) {
    let mut piece = [0; PIECE];
    let mut at = 0;
    wire::put_header(out, schema_id);
    out.extend_from_slice(&origin.0);
    put_long(out, event_time.0);
    put_text(out, entity);
    for value in values {
        if at + 9 > PIECE {
            out.extend_from_slice(&piece[..at]);
            at = 0;
        }
        if let Some(value) = value {
            piece[at] = 2;
            piece[at + 1..at + 9].copy_from_slice(&value.to_le_bytes());
            at += 9;
        } else {
            piece[at] = 0;
            at += 1;
        }
    }
    out.extend_from_slice(&piece[..at]);
}

/// Bytes of a row's values that are gathered before they are copied.
const PIECE: usize = 144;
