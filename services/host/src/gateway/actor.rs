//! Who asks: every fact that a door writes names its actor.

use axum::http::HeaderMap;

use super::problem::Problem;

/// The header that names the actor.
const HEADER: &str = "x-mainstem-actor";

/// The header that makes a request one and the same, however often it is sent.
const KEY: &str = "idempotency-key";

/// Who asks where nobody says.
const NOBODY: &str = "http";

/// Characters of a name or a key: an address or a digest is shorter, and both are kept in each event.
const MAX: usize = 128;

/// The actor of a request.
///
/// # Errors
/// Where the name is none.
pub(super) fn actor(headers: &HeaderMap) -> Result<String, Problem> {
    let named = |c: char| c.is_ascii_alphanumeric() || "-_.@:/+ ".contains(c);
    Ok(read(
        headers,
        HEADER,
        named,
        "letters, digits, spaces and -_.@:/+",
    )?
    .unwrap_or_else(|| NOBODY.into()))
}

/// The idempotency key of a request, if it has one.
///
/// # Errors
/// Where it is none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    read(
        headers,
        KEY,
        |c| c.is_ascii_graphic(),
        "visible ASCII characters",
    )
}

/// Refuses a key where none is known: who sends one relies on it.
pub(super) fn no_key(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(KEY) {
        let detail = format!(
            "records have no {KEY}: leave the header out; a file that must not be doubled is published with `mainstem publish --resume`"
        );
        return Err(Problem::bad(detail));
    }
    Ok(())
}

fn read(
    headers: &HeaderMap,
    name: &str,
    allowed: impl Fn(char) -> bool,
    words: &str,
) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().map(str::trim).filter(|text| {
        (1..=MAX).contains(&text.len()) && text.chars().all(allowed) && values.next().is_none()
    });
    let refused = || Problem::bad(format!("the header {name} takes 1 to {MAX} {words}, once"));
    text.map(|text| Some(text.to_owned())).ok_or_else(refused)
}
