//! The quotes of a CSV record: whether it goes on after a line's end, by the rules of `csv-core`, which reads it later.

use crate::lines::without_end;

/// How the quotes of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// All closed.
    Closed,
    /// One is not.
    Open,
    /// A closing one is followed by text.
    Stray,
}

/// Where a CSV record stands with its quotes, by the rules of `csv-core`.
#[derive(Default)]
pub(crate) struct Scan {
    at: At,
    stray: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// The begin of a value.
    #[default]
    Begin,
    /// A value without quotes: a quote within it is text.
    Bare,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: it closes them, unless another follows.
    Quote,
}

impl Scan {
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at != At::Quoted && memchr::memchr(b'"', bytes).is_none() {
            self.at = At::Bare;
            return;
        }
        for byte in without_end(bytes) {
            self.at = match (self.at, byte) {
                (At::Begin | At::Quote, b'"') => At::Quoted,
                (At::Quoted, b'"') => At::Quote,
                (At::Quoted, _) => At::Quoted,
                (_, b',') => At::Begin,
                (At::Quote, _) => {
                    self.stray = true;
                    At::Bare
                }
                (At::Begin | At::Bare, _) => At::Bare,
            };
        }
    }

    pub fn quotes(&self) -> Quotes {
        match self.at {
            At::Quoted => Quotes::Open,
            _ if self.stray => Quotes::Stray,
            _ => Quotes::Closed,
        }
    }
}
