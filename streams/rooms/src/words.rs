//! What people ask, in the words that decisions carry.

/// Who asked, and why.
pub(crate) fn asked(actor: Option<&str>, note: &str) -> String {
    match (actor, note) {
        (None, note) => format!("asked for: {note}"),
        (Some(actor), "") => format!("asked for by {actor}"),
        (Some(actor), note) => format!("asked for by {actor}: {note}"),
    }
}
