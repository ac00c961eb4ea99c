//! CSV: the header against the source, then the values of each record.

use std::ops::Range;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};
use mainstem_columns::rows::{Encoder, Fault, Good, from_text, name, shown};

use crate::error::IngestError;
use crate::lines::Raw;
use crate::quotes::Quotes;

/// The columns of a file.
#[derive(Debug)]
pub(crate) struct Header {
    /// The source's field in each column.
    fields: Vec<usize>,
    cells: Cells,
}

impl Header {
    /// The columns that the first line names.
    pub fn read(encoder: &Encoder, raw: Option<&Raw<'_>>) -> Result<Self, IngestError> {
        let declared: Vec<&str> = encoder.fields().iter().map(|f| f.name.as_str()).collect();
        let expected = declared.join(",");
        let wrong = |what: String| Err(IngestError::Header(what));
        let Some(raw) = raw else {
            return wrong(format!(
                "the file is empty; its first line must name the columns: {expected}"
            ));
        };
        if raw.bytes.starts_with(b"\xff\xfe") || raw.bytes.starts_with(b"\xfe\xff") {
            return wrong("the file is UTF-16; save it as UTF-8".into());
        }
        if raw.too_long.is_some() || raw.quotes != Quotes::Closed {
            return wrong(format!(
                "it is no line of column names in CSV (it is too long, or a quote is not closed); write: {expected}"
            ));
        }
        let mut cells = Cells::new();
        let Ok(text) = std::str::from_utf8(raw.bytes) else {
            return wrong("it is not UTF-8; save the file as UTF-8".into());
        };
        let (text, ranges) = cells.split(text.as_bytes());
        let text = std::str::from_utf8(text).unwrap_or_default();
        let names: Vec<&str> = ranges
            .iter()
            .map(|range| text.get(range.clone()).unwrap_or_default())
            .collect();
        let fields = columns(encoder, &declared, &names, &expected).map_err(IngestError::Header)?;
        Ok(Header { fields, cells })
    }

    /// A record as a row.
    pub fn row(&mut self, encoder: &mut Encoder, row: u64, raw: &Raw<'_>) -> Result<Good, Fault> {
        match raw.quotes {
            Quotes::Closed => {}
            Quotes::Open => {
                return Err(Fault::row(
                    "a quote is opened and not closed; close it, and write a quote inside quotes twice (\"\")",
                ));
            }
            Quotes::Stray => {
                return Err(Fault::row(
                    "text follows a closing quote; put a comma between them, or write a quote inside quotes twice (\"\")",
                ));
            }
        }
        let (text, ranges) = self.cells.split(raw.bytes);
        if ranges.len() != self.fields.len() {
            return Err(Fault::row(format!(
                "the record has {} columns and the header {}; quote a value that holds a comma, and leave a missing value empty between its commas",
                ranges.len(),
                self.fields.len()
            )));
        }
        encoder.begin();
        for (at, range) in self.fields.iter().zip(ranges) {
            let bytes = text.get(range.clone()).unwrap_or_default();
            let Some(field) = encoder.fields().get(*at) else {
                continue;
            };
            let value = std::str::from_utf8(bytes).map_err(|error| {
                let what = format!(
                    "is {}, whose byte {} is not UTF-8; save the file as UTF-8",
                    shown(&String::from_utf8_lossy(bytes)),
                    error.valid_up_to()
                );
                Fault::field(&field.name, &what)
            })?;
            let cell = from_text(field, value)?;
            encoder.set(*at, cell);
        }
        encoder.finish(row)
    }
}

fn columns(
    encoder: &Encoder,
    declared: &[&str],
    names: &[&str],
    expected: &str,
) -> Result<Vec<usize>, String> {
    let source = encoder.source_name();
    let find = |name: &str| declared.iter().position(|field| *field == name);
    if !names.iter().any(|name| find(name).is_some()) {
        let first = shown(&names.join(","));
        return Err(format!(
            "it is {first} and names no column of source {source}; the first line must name them, with commas between: {expected}"
        ));
    }
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let Some(field) = find(name) else {
            let like = |field: &&&str| field.eq_ignore_ascii_case(name.trim());
            let remedy = match declared.iter().find(like) {
                Some(field) => format!("write it as {field}"),
                None => "add it to the source's fields, or remove it from the file".into(),
            };
            let name = shown(name);
            return Err(format!(
                "column {name} is not declared in source {source}; {remedy}"
            ));
        };
        if fields.contains(&field) {
            return Err(format!(
                "column {name} is named twice; remove or rename one of them"
            ));
        }
        fields.push(field);
    }
    for (at, field) in encoder.fields().iter().enumerate() {
        if !field.optional && !fields.contains(&at) {
            return Err(format!(
                "column {0} of source {source} is missing; add it to the file, or declare the field optional (`{1}?`)",
                field.name,
                name(field.kind)
            ));
        }
    }
    Ok(fields)
}

/// The values of a record, without their quotes.
#[derive(Debug)]
struct Cells {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    ranges: Vec<Range<usize>>,
}

impl Cells {
    fn new() -> Self {
        // Records come without their line's end; one inside them is text.
        let reader = ReaderBuilder::new()
            .terminator(Terminator::Any(b'\n'))
            .build();
        Cells {
            reader,
            text: Vec::new(),
            ends: vec![0; 64],
            ranges: Vec::new(),
        }
    }

    fn split<'a>(&'a mut self, record: &'a [u8]) -> (&'a [u8], &'a [Range<usize>]) {
        self.ranges.clear();
        if memchr::memchr(b'"', record).is_some() {
            self.unquote(record);
            return (&self.text, &self.ranges);
        }
        let mut start = 0;
        for comma in memchr::memchr_iter(b',', record) {
            self.ranges.push(start..comma);
            start = comma + 1;
        }
        self.ranges.push(start..record.len());
        (record, &self.ranges)
    }

    fn unquote(&mut self, record: &[u8]) {
        self.reader.reset();
        self.text.resize(record.len() + 1, 0);
        let (mut read, mut wrote, mut ended) = (0, 0, 0);
        loop {
            let (result, input, output, ends) = self.reader.read_record(
                record.get(read..).unwrap_or_default(),
                self.text.get_mut(wrote..).unwrap_or_default(),
                self.ends.get_mut(ended..).unwrap_or_default(),
            );
            read += input;
            wrote += output;
            ended += ends;
            match result {
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                // An empty input says that the record ends here.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        let mut start = 0;
        for end in self.ends.iter().take(ended) {
            self.ranges.push(start..*end);
            start = *end;
        }
    }
}
