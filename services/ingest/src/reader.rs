//! A file or a stream, row by row.

use std::io::BufRead;

use mainstem_columns::rows::{Encoder, Fault, Good, Others, Reject, json_row, too_long};
use mainstem_schemas::definition::Source;

use crate::csv::Header;
use crate::error::IngestError;
use crate::lines::{Raw, Splitter};

/// Reads the rows of a source: an iterator that ends with the input, or after the error that stopped it.
#[derive(Debug)]
pub struct Reader<R> {
    records: Splitter<R>,
    format: Format,
    encoder: Encoder,
    next: u64,
    stopped: bool,
}

/// A row of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, counting from 0 over good and bad rows.
    pub row: u64,
    /// The line that it begins on, counting from 1 over all lines.
    pub line: u64,
    /// What became of it.
    pub outcome: Result<Good, Reject>,
}

#[derive(Debug)]
enum Format {
    Csv(Box<Header>),
    Json,
}

impl<R: BufRead> Reader<R> {
    /// Reads CSV as RFC 4180 has it (LF or CRLF, UTF-8 with or without a byte order mark), whose first line names the
    /// columns in any order; a column of an optional field may be left out. An empty value is a missing one.
    ///
    /// # Errors
    /// [`IngestError`] where the source, the header or the disk rules out every row.
    pub fn csv(source_name: &str, source: &Source, input: R) -> Result<Self, IngestError> {
        let encoder = Encoder::new(source_name, source)?;
        let mut records = Splitter::new(input, true);
        let header = next_record(&mut records, |raw| raw.bytes.is_empty())?;
        let header = Header::read(&encoder, header.as_ref())?;
        Ok(Self::new(records, Format::Csv(Box::new(header)), encoder))
    }

    /// Reads JSON Lines: an object a line, its keys the fields; null, or no such key, is a missing value.
    ///
    /// # Errors
    /// [`IngestError`] where the source cannot take rows.
    pub fn jsonl(source_name: &str, source: &Source, input: R) -> Result<Self, IngestError> {
        let encoder = Encoder::new(source_name, source)?;
        Ok(Self::new(
            Splitter::new(input, false),
            Format::Json,
            encoder,
        ))
    }

    fn new(records: Splitter<R>, format: Format, encoder: Encoder) -> Self {
        Reader {
            records,
            format,
            encoder,
            next: 0,
            stopped: false,
        }
    }

    fn read(&mut self) -> Result<Option<Row>, IngestError> {
        let Reader {
            format, encoder, ..
        } = self;
        let blank = |raw: &Raw<'_>| match format {
            Format::Csv(_) => raw.bytes.is_empty(),
            Format::Json => raw.bytes.trim_ascii().is_empty(),
        };
        let Some(raw) = next_record(&mut self.records, blank)? else {
            return Ok(None);
        };
        let row = self.next;
        self.next += 1;
        let outcome = outcome(format, encoder, row, &raw);
        Ok(Some(Row {
            row,
            line: raw.line,
            outcome: outcome.map_err(|fault| fault.reject(raw.bytes, raw.too_long)),
        }))
    }
}

fn outcome(
    format: &mut Format,
    encoder: &mut Encoder,
    row: u64,
    raw: &Raw<'_>,
) -> Result<Good, Fault> {
    if let Some((length, _)) = raw.too_long {
        return Err(too_long(length));
    }
    match format {
        Format::Csv(header) => header.row(encoder, row, raw),
        Format::Json => json_row(encoder, row, raw.bytes, Others::Refused),
    }
}

/// The next record that is not blank.
fn next_record<R: BufRead>(
    records: &mut Splitter<R>,
    blank: impl Fn(&Raw<'_>) -> bool,
) -> Result<Option<Raw<'_>>, IngestError> {
    loop {
        match records.advance()? {
            None => return Ok(None),
            Some(found) if !found.is_too_long() && blank(&records.raw(&found)) => {}
            Some(found) => return Ok(Some(records.raw(&found))),
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Row, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped {
            return None;
        }
        let row = self.read().transpose();
        self.stopped = !matches!(row, Some(Ok(_)));
        row
    }
}
