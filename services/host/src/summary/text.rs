//! Figures and lines as people read them.

use mainstem_schemas::Millis;

/// `45,312`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `85.48 %` of a share; a dash without one.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), |share| format!("{:.2} %", 100.0 * share))
}

/// `+0.45` points of a difference of shares. What rounds to nothing has no sign.
pub(super) fn points(difference: f64) -> String {
    let text = format!("{:+.2}", 100.0 * difference);
    if text == "-0.00" || text == "+0.00" {
        "0.00".into()
    } else {
        text.replace('-', "−")
    }
}

/// The day of a moment.
pub(super) fn date(time: Millis) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or(&text).into()
}

/// `1 retrain`, `2 retrains`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        thousands(number),
        if number == 1 { one } else { many }
    )
}

/// Lines of at most `width` characters, but for longer words.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let taken = lines.last().map_or(0, |line| line.chars().count());
        if taken > 0 && taken + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Text inside HTML or SVG, between tags or in quotes. Characters that no page may hold become the replacement
/// character.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(character),
            control if control.is_control() => escaped.push('\u{FFFD}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(
            [0, 999, 1_000, 45_312, 1_234_567].map(thousands),
            ["0", "999", "1,000", "45,312", "1,234,567"]
        );
        assert_eq!(
            (percent(Some(0.854_83)), percent(None)),
            ("85.48 %".into(), "–".into())
        );
        assert_eq!(
            [0.004_5, -0.001_23, 0.0, -0.000_01].map(points),
            ["+0.45", "−0.12", "0.00", "0.00"]
        );
        assert_eq!(date(Millis(0)), "1970-01-01");
        assert_eq!(
            (counted(1, "turn", "turns"), counted(2, "turn", "turns")),
            ("1 turn".into(), "2 turns".into())
        );
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomparable", 5), ["incomparable"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn text_cannot_break_out_of_a_page() {
        assert_eq!(
            escape("<b a=\"'\">&\u{0}"),
            "&lt;b a=&quot;&#39;&quot;&gt;&amp;\u{FFFD}"
        );
    }
}
