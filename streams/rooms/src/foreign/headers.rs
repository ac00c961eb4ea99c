//! Headers of a foreign record that its arrival keeps.

use mainstem_schemas::RecordRef;

/// Headers at most: tracing and routing take a handful.
const MOST: usize = 64;

/// Bytes of names and values at most: a record of the limit's length stays within what a broker takes.
const BYTES: usize = 8 << 10;

/// The headers in order, but for CloudEvents attributes, which the arrival has of its own, and for those beyond the
/// bounds.
pub(crate) fn kept<'a>(record: &RecordRef<'a>) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    let mut left = BYTES;
    let foreign = |(name, _): &(&str, &[u8])| !name.starts_with("ce_");
    let headers = record.headers().filter(foreign).take(MOST);
    headers.filter(move |(name, value)| {
        let fits = left.checked_sub(name.len() + value.len());
        left = fits.unwrap_or(left);
        fits.is_some()
    })
}
