//! The key of a foreign record as the entity's name.

use mainstem_columns::rows::shown;
use mainstem_schemas::definition::KeyFormat;
use mainstem_schemas::{Catalog, wire};
use serde_json::Value;

use super::wire_schema::Writers;
use crate::arrivals::Refusal;

/// The key as text, or nothing where there is none.
pub(super) fn text(
    format: KeyFormat,
    key: Option<&[u8]>,
    catalog: &Catalog,
    writers: &mut Writers,
) -> Result<Option<String>, Refusal> {
    let Some(key) = key else { return Ok(None) };
    match format {
        KeyFormat::Text => match std::str::from_utf8(key) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Refusal::KeyNotText),
        },
        KeyFormat::Json => json(key).map(Some),
        KeyFormat::Avro => {
            let (id, body) = wire::split(key).map_err(|why| wrong(why.to_string()))?;
            writers.key(catalog, id, body).map(Some)
        }
    }
}

fn json(key: &[u8]) -> Result<String, Refusal> {
    let lossy = String::from_utf8_lossy(key);
    match serde_json::from_slice(key) {
        Ok(Value::String(text)) => Ok(text),
        Ok(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        _ => Err(wrong(shown(&lossy))),
    }
}

/// A key that is not what the source says.
pub(super) fn wrong(what: String) -> Refusal {
    let remedy = "declare how it is written, `entity: {key: text}`, `json` (a string or whole number) or `avro` (a string, int or long in the wire format), or take a column for the entity";
    Refusal::Key { what, remedy }
}
