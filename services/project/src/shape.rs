//! What a value may look like: the words in which the [grammar](crate::grammar) is written.

/// What a value may look like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Text of one's own, at most [`LONGEST_TEXT`] bytes.
    Text,
    /// The name of a project, source, view or model: part of a topic's name.
    TopicName,
    /// The name of a column or feature: a field of an Avro record.
    FieldName,
    /// One of a few words, each with what it means.
    Word(&'static [(&'static str, &'static str)]),
    /// A whole number, both ends included.
    Whole(u32, u32),
    /// A number, both ends included.
    Number(f64, f64),
    /// A number between two others, neither included.
    Between(f64, f64),
    /// True or false.
    Flag,
    /// A length of time: more than nothing, at most [`LONGEST_SPAN`].
    Span,
    /// A moment.
    Moment,
    /// So many values of one shape, both ends included.
    List(&'static Shape, usize, usize),
    /// Names of one's own and their values, in the file's order; at least one unless `empty`.
    Table {
        /// What a name stands for.
        what: &'static str,
        /// Of the names.
        name: &'static Shape,
        /// Of the values.
        of: &'static Shape,
        /// Most entries.
        most: usize,
        /// Whether there may be none.
        empty: bool,
    },
    /// Known keys.
    Record(&'static [Key]),
    /// One of several records, told apart by the first key of each.
    Choice(&'static [&'static [Key]]),
    /// A scalar as a short form of a mapping.
    Short(&'static Shape, &'static Shape),
}

/// A key of a record.
#[derive(Debug)]
pub(crate) struct Key {
    /// Name.
    pub name: &'static str,
    /// What it is for; the remedy where it is missing, and the editor's tooltip.
    pub doc: &'static str,
    /// What its value looks like.
    pub shape: &'static Shape,
    /// What holds where it is left out.
    pub absent: Absent,
}

/// What holds where a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It may not be.
    Refused,
    /// This scalar.
    Scalar(&'static str),
    /// A record of defaults.
    Defaults,
    /// Nothing, or what the doc says.
    Nothing,
}

/// Names of topics: lower case, since metrics and file names are made of them. `<project>.<room>.<object>` has at most
/// 63 + 11 + 63 bytes and two dots, well under the 249 that Kafka allows.
pub(crate) const TOPIC_NAME: &str = "^[a-z][a-z0-9_]{0,62}$";

/// Avro's names. Columns are named by the user's data, so capitals stay.
pub(crate) const FIELD_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]{0,62}$";

/// Longest name: what the patterns allow.
pub(crate) const LONGEST_NAME: usize = 63;

/// Longest text: an entity is a record's key, and is repeated in every event about it.
pub(crate) const LONGEST_TEXT: usize = 255;

/// Longest length of time, in days: a hundred years. Sums of a few of them and any event time stay within 64 bits.
pub(crate) const LONGEST_SPAN: i64 = 36_525;

pub(crate) fn is_topic_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase();
    is_name(text, letter)
}

pub(crate) fn is_field_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    is_name(text, letter)
}

fn is_name(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let rest = |b: u8| first(b) || b.is_ascii_digit() || b == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_NAME
        && bytes.first().is_some_and(|b| first(*b))
        && bytes.iter().all(|b| rest(*b))
}
