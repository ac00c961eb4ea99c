//! The bytes of one record, taken from the front, and every way in which they can be wrong.

/// Why a record is not what its schema says. Small, so that refusing a record costs no more than reading one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The record ends within the field.
    #[error(
        "the record ends after {left} of {needed} bytes; it was cut, or written with another schema"
    )]
    Truncated {
        /// Bytes that the field takes.
        needed: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field; the record was written with another schema")]
    Trailing(usize),
    /// A variable-length integer of more than 64 bits.
    #[error(
        "its integer takes more than 64 bits; the record is damaged or was written with another schema"
    )]
    Varint,
    /// An `int` of more than 32 bits.
    #[error("{0} is outside the 32 bits of an int; declare the field long")]
    Int(i64),
    /// A boolean that is neither 0 nor 1.
    #[error(
        "byte {0:#04x} is no boolean, which is 0x00 or 0x01; the record is damaged or was written with another schema"
    )]
    Boolean(u8),
    /// A text or bytes of negative length.
    #[error("its length is {0}; the record is damaged or was written with another schema")]
    Length(i64),
    /// A text that is not UTF-8.
    #[error(
        "byte {0} of its text is not UTF-8; write the text as UTF-8, or declare the field bytes"
    )]
    Utf8(usize),
    /// A union's branch that its schema does not have.
    #[error(
        "branch {branch} of a union of {branches}; the record is damaged or was written with another schema"
    )]
    Branch {
        /// The branch.
        branch: i64,
        /// Branches of the union.
        branches: usize,
    },
    /// An enum's symbol that its schema does not have.
    #[error(
        "symbol {symbol} of an enum of {symbols}; the record is damaged or was written with another schema"
    )]
    Symbol {
        /// The symbol.
        symbol: i64,
        /// Symbols of the enum.
        symbols: usize,
    },
    /// Null in a column that must have a value.
    #[error(
        "it is null, and the field must have a value; write one, or declare the field optional (`double?`)"
    )]
    Null,
    /// A branch of another type than the column's.
    #[error(
        "a {got} was written where a {wanted} is wanted; write the {wanted} branch of the union"
    )]
    Mismatch {
        /// What was written.
        got: &'static str,
        /// What the column holds.
        wanted: &'static str,
    },
    /// A batch that holds as much text as 32-bit offsets can address.
    #[error(
        "a batch holds at most 2 GiB of text in a column, for Arrow's offsets have 32 bits; decode fewer records at once"
    )]
    Full,
    /// Columns of another layout than the decoder's.
    #[error("the columns have another layout than the decoder; make both from one layout")]
    Layout,
}

/// What is left of a record.
pub(crate) struct Body<'a>(pub &'a [u8]);

impl<'a> Body<'a> {
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Reason::Truncated {
            needed: count as u64,
            left: self.0.len(),
        })?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Reason::Truncated {
            needed: N as u64,
            left: self.0.len(),
        })?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn boolean(&mut self) -> Result<bool, Reason> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(Reason::Boolean(other)),
        }
    }

    pub fn int(&mut self) -> Result<i32, Reason> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| Reason::Int(long))
    }

    #[inline]
    pub fn long(&mut self) -> Result<i64, Reason> {
        let zigzag = match self.0 {
            [first, rest @ ..] if *first < 0x80 => {
                self.0 = rest;
                u64::from(*first)
            }
            _ => self.varint()?,
        };
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn varint(&mut self) -> Result<u64, Reason> {
        let mut value = 0u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            // The tenth byte holds the 64th bit alone.
            if at == 9 && *byte > 1 {
                return Err(Reason::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Reason::Truncated {
            needed: self.0.len() as u64 + 1,
            left: self.0.len(),
        })
    }

    #[inline]
    pub fn prefixed(&mut self) -> Result<&'a [u8], Reason> {
        let length = self.long()?;
        let needed = u64::try_from(length).map_err(|_| Reason::Length(length))?;
        let left = self.0.len();
        let count = usize::try_from(needed).map_err(|_| Reason::Truncated { needed, left })?;
        self.bytes(count)
    }

    pub fn text(&mut self) -> Result<&'a str, Reason> {
        text_of(self.prefixed()?)
    }

    /// A text that nobody wants is none the less to be one; that it is ASCII is soon seen.
    #[inline]
    pub fn pass_text(&mut self) -> Result<(), Reason> {
        let bytes = self.prefixed()?;
        match bytes.is_ascii() {
            true => Ok(()),
            false => text_of(bytes).map(|_| ()),
        }
    }

    /// Position in a list of `count`, and what was written where it is none.
    #[inline]
    pub fn index(&mut self, count: usize) -> Result<Result<usize, i64>, Reason> {
        let index = self.long()?;
        Ok(usize::try_from(index)
            .ok()
            .filter(|index| *index < count)
            .ok_or(index))
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|error| Reason::Utf8(error.valid_up_to()))
}
