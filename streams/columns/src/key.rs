//! Keys: a string or a whole number by itself.

use apache_avro::Schema;

use crate::body::{Body, Reason};
use crate::compile::name_of;

/// Why a body is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKey {
    /// Another type.
    #[error("of the Avro type {0}")]
    Type(&'static str),
    /// Damaged, or of another schema.
    #[error(transparent)]
    Body(#[from] Reason),
}

/// The text of a string, or the digits of an int or a long, which is all of `body`.
///
/// # Errors
/// [`NotKey`].
pub fn key_text(schema: &Schema, body: &[u8]) -> Result<String, NotKey> {
    let mut body = Body(body);
    let text = match schema {
        Schema::String => body.text()?.to_owned(),
        Schema::Int => body.int()?.to_string(),
        Schema::Long => body.long()?.to_string(),
        other => return Err(NotKey::Type(name_of(other))),
    };
    match body.0.len() {
        0 => Ok(text),
        more => Err(Reason::Trailing(more).into()),
    }
}
