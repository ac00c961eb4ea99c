//! Scalars: what a word in the file means, by YAML's core schema and no further.

use mainstem_schemas::time::NotTime;
use mainstem_schemas::{Millis, Span};

/// YAML's words for nothing.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(crate) fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A decimal number. Rust would also read `inf` and `nan`, which no range holds.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let number: f64 = text.chars().all(digits).then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

pub(crate) fn whole(text: &str) -> Option<u32> {
    text.parse().ok()
}

pub(crate) fn span(text: &str) -> Result<Span, NotTime> {
    text.parse()
}

pub(crate) fn moment(text: &str) -> Result<Millis, NotTime> {
    text.parse()
}

/// Whether other readers of the file would take the plain word for something else than text.
pub(crate) fn is_text(text: &str) -> bool {
    !is_null(text) && flag(text).is_none() && number(text).is_none()
}

/// What a plain word is, for messages.
pub(crate) fn kind(text: &str) -> &'static str {
    if is_null(text) {
        "nothing"
    } else if flag(text).is_some() {
        "true or false"
    } else if number(text).is_some() {
        "a number"
    } else {
        "text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_by_the_core_schema() {
        assert_eq!(number("-1.5e3"), Some(-1500.0));
        for word in [
            "inf", ".inf", "nan", "1_000", "0x10", "1e999", "", "infinity",
        ] {
            assert_eq!(number(word), None, "{word}");
        }
        assert_eq!(whole("8000"), Some(8000));
        for word in ["8000.0", "-1", "1e3", "4294967296", "１"] {
            assert_eq!(whole(word), None, "{word}");
        }
        assert_eq!((flag("true"), flag("yes")), (Some(true), None));
        assert!(is_text("nsw") && is_text("yes") && !is_text("7") && !is_text("~"));
    }
}
