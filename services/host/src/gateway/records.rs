//! A body into records: an object, an array of objects, or an object a line.

use serde_json::value::RawValue;

use super::body::Media;
use super::problem::Problem;

/// Records of a request: as many as a publication appends at once, ten times over; beyond them a client waits long for
/// its first answer, and a file is what it has.
const MAX: usize = 10_000;

/// The byte order mark of UTF-8, which some programs write.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A record of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Line of the body that it begins on, counting from 1.
    pub line: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Cuts a body into its records. One that is no JSON is still a record of a body of lines, and is refused by itself.
///
/// # Errors
/// 400 where the body as a whole is no JSON or holds nothing, 413 where it holds too many.
pub(super) fn split(media: Media, body: &[u8]) -> Result<Vec<Record<'_>>, Problem> {
    let body = body.strip_prefix(MARK).unwrap_or(body);
    let records = match media {
        Media::Lines => lines(body),
        Media::Json => values(body)?,
    };
    if records.is_empty() {
        return Err(Problem::bad(
            "the body holds no record; send an object, an array of objects, or an object a line",
        ));
    }
    if records.len() > MAX {
        return Err(Problem::too_large(format!(
            "{} records are more than the {MAX} of one request; send them in several",
            records.len()
        )));
    }
    Ok(records)
}

fn lines(body: &[u8]) -> Vec<Record<'_>> {
    let lines = body.split(|byte| *byte == b'\n').zip(1..);
    let records = lines.map(|(bytes, line)| Record {
        line,
        bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes),
    });
    records
        .filter(|record| !record.bytes.trim_ascii().is_empty())
        .collect()
}

fn values(body: &[u8]) -> Result<Vec<Record<'_>>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let told = |error: serde_json::Error| {
        Problem::bad(format!(
            "the body is not JSON: {error}; for an object a line, say Content-Type: application/x-ndjson"
        ))
    };
    let texts: Vec<&RawValue> = if body.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice(body).map_err(told)?
    } else {
        vec![serde_json::from_slice(body).map_err(told)?]
    };
    let (mut line, mut from) = (1, 0);
    let place = |text: &RawValue| text.get().as_ptr() as usize - body.as_ptr() as usize;
    let record = |text: &&'_ RawValue| {
        let at = place(text);
        line += body
            .get(from..at)
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count() as u64;
        from = at;
        let bytes = body.get(at..at + text.get().len()).unwrap_or_default();
        Record { line, bytes }
    };
    Ok(texts.iter().map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(media: Media, body: &str) -> Vec<(u64, String)> {
        let records = split(media, body.as_bytes()).unwrap();
        let text = |record: &Record<'_>| {
            (
                record.line,
                String::from_utf8(record.bytes.to_vec()).unwrap(),
            )
        };
        records.iter().map(text).collect()
    }

    #[test]
    fn records_keep_their_lines() {
        let one = |line, text: &str| (line, text.to_owned());
        assert_eq!(cut(Media::Json, " {\"a\": 1}\n"), [one(1, "{\"a\": 1}")]);
        assert_eq!(
            cut(Media::Json, "[{},\n\n {\"b\":[1,\n2]}, 3\n]"),
            [one(1, "{}"), one(3, "{\"b\":[1,\n2]}"), one(4, "3")]
        );
        assert_eq!(
            cut(Media::Lines, "\u{feff}{}\r\n\n  \nnot json\n"),
            [one(1, "{}"), one(4, "not json")]
        );
    }

    #[test]
    fn a_body_that_is_no_json_has_no_records() {
        for body in ["", "[]", " \n", "{", "[{}", "{} {}", "[{}]x"] {
            assert!(split(Media::Json, body.as_bytes()).is_err(), "{body}");
        }
        assert!(split(Media::Json, b"{\"a\": \"\xff\"}").is_err());
        assert!(split(Media::Lines, b"\n\n").is_err());
        assert!(split(Media::Lines, "{}\n".repeat(MAX + 1).as_bytes()).is_err());
    }
}
