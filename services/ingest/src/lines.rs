//! Input into raw records: lines, or several of them where a quoted CSV value holds a line's end.
//!
//! No record takes more than [`RECORD_LIMIT`] of memory. A quote that is never closed would swallow the rest of the
//! input; where the limit or the end is met inside quotes, the line that opened them is a record by itself, and the
//! lines that were read ahead are then taken one by one, so that no byte is looked at more than twice.

use std::io::{BufRead, Result};
use std::ops::Range;

use mainstem_columns::rows::{KEPT_BYTES, RECORD_LIMIT};
use mainstem_schemas::Digest;

use crate::quotes::{Quotes, Scan};

/// The byte order mark of UTF-8, which some spreadsheets write.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts input into records.
#[derive(Debug)]
pub(crate) struct Splitter<R> {
    input: R,
    quotes: bool,
    limit: usize,
    /// Bytes from the input; it ends with a line, unless that line is too long.
    buffer: Vec<u8>,
    /// Where the next record begins in `buffer`.
    start: usize,
    /// Lines that begin before this place of `buffer` are records by themselves.
    plain_until: usize,
    /// Lines before `start`, in the input.
    lines: u64,
    /// Whether it is past where a byte order mark can be.
    began: bool,
}

/// A record without the line's end (`\n` or `\r\n`) after it.
#[derive(Debug)]
pub(crate) struct Raw<'a> {
    /// Line that it begins on, counting from 1.
    pub line: u64,
    /// Its bytes; the first ones where it is too long.
    pub bytes: &'a [u8],
    /// Length and digest of a record that is too long.
    pub too_long: Option<(u64, Digest)>,
    /// What is wrong with its quotes.
    pub quotes: Quotes,
}

/// Where a record lies in the buffer, until the next one is found.
pub(crate) struct Found {
    line: u64,
    span: Range<usize>,
    too_long: Option<(u64, Digest)>,
    quotes: Quotes,
}

impl Found {
    /// Whether only its first bytes are at hand, which may look blank.
    pub fn is_too_long(&self) -> bool {
        self.too_long.is_some()
    }
}

/// One line of the input, as far as it was found.
enum Line {
    /// It ends here in the buffer.
    Ends(usize),
    /// The record does not fit.
    TooLong,
    /// The input ended before it.
    None,
}

impl<R: BufRead> Splitter<R> {
    /// A splitter at the begin of its input. `quotes`: whether a quoted value may hold a line's end.
    pub fn new(input: R, quotes: bool) -> Self {
        Splitter {
            input,
            quotes,
            limit: RECORD_LIMIT,
            buffer: Vec::new(),
            start: 0,
            plain_until: 0,
            lines: 0,
            began: false,
        }
    }

    /// The bytes of a record that was found last.
    pub fn raw(&self, found: &Found) -> Raw<'_> {
        let bytes = self.buffer.get(found.span.clone()).unwrap_or_default();
        let bytes = match found.too_long {
            None => without_end(bytes),
            Some(_) => bytes.get(..KEPT_BYTES).unwrap_or(bytes),
        };
        Raw {
            line: found.line,
            bytes,
            too_long: found.too_long,
            quotes: found.quotes,
        }
    }

    /// Finds the next record.
    pub fn advance(&mut self) -> Result<Option<Found>> {
        self.forget();
        self.skip_mark()?;
        let begin = self.start;
        let (mut end, mut lines, mut first_end) = (begin, 0, begin);
        let mut scan = Scan::default();
        loop {
            let from = end;
            match self.line(begin, from)? {
                Line::Ends(at) => end = at,
                Line::None if lines == 0 => return Ok(None),
                Line::TooLong if lines == 0 => return self.skip(begin).map(Some),
                Line::None | Line::TooLong => {
                    // Inside quotes: the first line stands alone, the others are looked at again.
                    if lines > 1 {
                        self.plain_until = from;
                    }
                    return Ok(Some(self.take(begin, first_end, 1, Quotes::Open)));
                }
            }
            lines += 1;
            if lines == 1 {
                first_end = end;
            }
            if !self.quotes {
                return Ok(Some(self.take(begin, end, 1, Quotes::Closed)));
            }
            scan.feed(self.buffer.get(from..end).unwrap_or_default());
            let quotes = scan.quotes();
            if quotes != Quotes::Open || begin < self.plain_until {
                return Ok(Some(self.take(begin, end, lines, quotes)));
            }
        }
    }

    /// Reads over a byte order mark at the begin of the input. A reader may hand out less than its three bytes at once.
    fn skip_mark(&mut self) -> Result<()> {
        while !self.began {
            let chunk = self.input.fill_buf()?;
            let mark = MARK.get(self.buffer.len()..).unwrap_or_default();
            let matching = chunk.iter().zip(mark).take_while(|(a, b)| a == b).count();
            self.buffer
                .extend_from_slice(chunk.get(..matching).unwrap_or_default());
            let whole = self.buffer.len() == MARK.len();
            self.began = whole || matching < chunk.len() || chunk.is_empty();
            if whole {
                self.buffer.clear();
            }
            self.input.consume(matching);
        }
        Ok(())
    }

    /// Lets go of what was handed out: at once where nothing was read ahead, else by the limit's length.
    fn forget(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
        } else if self.start > self.limit {
            self.buffer.drain(..self.start);
        } else {
            return;
        }
        self.plain_until = self.plain_until.saturating_sub(self.start);
        self.start = 0;
    }

    fn take(&mut self, begin: usize, end: usize, lines: u64, quotes: Quotes) -> Found {
        let line = self.lines + 1;
        self.lines += lines;
        self.start = end;
        Found {
            line,
            span: begin..end,
            too_long: None,
            quotes,
        }
    }

    /// The end of the line that begins at `from`, of a record that begins at `begin`.
    fn line(&mut self, begin: usize, from: usize) -> Result<Line> {
        let ahead = self.buffer.get(from..).unwrap_or_default();
        if let Some(at) = memchr::memchr(b'\n', ahead) {
            return Ok(Line::Ends(from + at + 1));
        }
        loop {
            let room = (begin + self.limit).saturating_sub(self.buffer.len());
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                let end = self.buffer.len();
                return Ok(if end > from {
                    Line::Ends(end)
                } else {
                    Line::None
                });
            }
            let fits = chunk.get(..room).unwrap_or(chunk);
            let newline = memchr::memchr(b'\n', fits);
            let too_long = newline.is_none() && fits.len() < chunk.len();
            let taken = newline.map_or(fits.len(), |at| at + 1);
            self.buffer
                .extend_from_slice(fits.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            if too_long {
                return Ok(Line::TooLong);
            }
            if newline.is_some() {
                return Ok(Line::Ends(self.buffer.len()));
            }
        }
    }

    /// Reads over the line that begins at `begin` and is too long, keeping its first bytes.
    fn skip(&mut self, begin: usize) -> Result<Found> {
        let mut sum = Sum::default();
        sum.add(self.buffer.get(begin..).unwrap_or_default());
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let newline = memchr::memchr(b'\n', chunk);
            sum.add(
                chunk
                    .get(..newline.unwrap_or(chunk.len()))
                    .unwrap_or_default(),
            );
            let taken = newline.map_or(chunk.len(), |at| at + 1);
            self.input.consume(taken);
            if newline.is_some() {
                sum.line_ended();
                break;
            }
        }
        let mut found = self.take(begin, self.buffer.len(), 1, Quotes::Closed);
        found.too_long = Some(sum.finish());
        Ok(found)
    }
}

pub(crate) fn without_end(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if line.len() == bytes.len() {
        bytes
    } else {
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// Length and digest of bytes that are not kept, without the carriage return that belongs to the line's end.
#[derive(Default)]
struct Sum {
    hasher: blake3::Hasher,
    carriage_return: bool,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.carriage_return) {
            self.hasher.update(b"\r");
        }
        let kept = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        self.carriage_return = kept.len() < bytes.len();
        self.hasher.update(kept);
    }

    fn line_ended(&mut self) {
        self.carriage_return = false;
    }

    fn finish(mut self) -> (u64, Digest) {
        if self.carriage_return {
            self.hasher.update(b"\r");
        }
        (
            self.hasher.count(),
            Digest(*self.hasher.finalize().as_bytes()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_byte_is_lost_and_memory_is_bounded(
            input in "[ab\",\n]{0,400}",
            limit in 1usize..60,
            read in 1usize..80,
            quotes: bool,
        ) {
            let input = input.as_bytes();
            let mut splitter = Splitter::new(std::io::BufReader::with_capacity(read, input), quotes);
            splitter.limit = limit;
            let (mut at, mut line) = (0, 1);
            while let Some(found) = splitter.advance().unwrap() {
                prop_assert!(splitter.buffer.len() <= 2 * limit + 1);
                let raw = splitter.raw(&found);
                let (length, digest) = raw.too_long.unwrap_or((raw.bytes.len() as u64, Digest::of(raw.bytes)));
                let here = &input[at..at + length as usize];
                prop_assert_eq!(digest, Digest::of(here));
                prop_assert!(here.starts_with(raw.bytes));
                prop_assert_eq!(raw.line, line);
                prop_assert_eq!(raw.too_long.is_some(), here.len() + usize::from(at + here.len() < input.len()) > limit);
                at += here.len() + 1;
                line += 1 + here.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
            prop_assert!(at == input.len() || at == input.len() + 1);
        }
    }
}
