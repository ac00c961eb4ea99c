//! Records as they travel: one contiguous arena of frames.
//!
//! The framing is frozen, for turns hash it: key, value (each an `i32` length, -1 for null, and the bytes), a `u16`
//! count of headers, each a `u16` length and name, an `i32` length and value; all little endian. The header
//! `traceparent` is never part of a frame: it belongs to one delivery, not to the event. Nor is a header whose name is
//! longer than its length can say, or one beyond the 65,535th.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Largest key or value: Kafka brokers refuse more than 1 MiB a record by default, doors refuse earlier; this bound
/// only keeps lengths within the frame.
pub const MAX_FIELD: usize = 64 << 20;

/// Longest name of a header, and most headers: what their lengths can say.
const MOST: usize = u16::MAX as usize;

/// Records of one partition, in offset order, contiguous in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    frames: Vec<u8>,
    ends: Vec<u32>,
    offsets: Vec<u64>,
    timestamps: Vec<i64>,
}

/// One record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Position in the partition.
    pub offset: u64,
    /// Time of writing in milliseconds; never read by a fold.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null (a tombstone).
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
}

/// Bytes that are no sequence of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged record frame at byte {at}")]
pub struct DamagedFrame {
    /// Where reading stopped.
    pub at: usize,
}

impl Batch {
    /// No records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No records, and room for so many whose frames have so many bytes.
    #[must_use]
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Batch {
            frames: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(records),
            offsets: Vec::with_capacity(records),
            timestamps: Vec::with_capacity(records),
        }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// Appends a record; its offset follows the last one's (or is 0), its timestamp is 0, until a log sets them.
    pub fn push<'h>(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) {
        self.push_with(key, |frames| put_field(frames, value), headers);
    }

    /// Appends a record whose value is written in place.
    pub fn push_value<'h>(
        &mut self,
        key: Option<&[u8]>,
        write: impl FnOnce(&mut Vec<u8>),
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) {
        let value = |frames: &mut Vec<u8>| {
            let at = frames.len();
            frames.extend_from_slice(&[0; 4]);
            write(frames);
            let length = (frames.len() - at - 4) as i32;
            frames[at..at + 4].copy_from_slice(&length.to_le_bytes());
        };
        self.push_with(key, value, headers);
    }

    fn push_with<'h>(
        &mut self,
        key: Option<&[u8]>,
        value: impl FnOnce(&mut Vec<u8>),
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) {
        put_field(&mut self.frames, key);
        value(&mut self.frames);
        let at = self.frames.len();
        self.frames.extend_from_slice(&[0; 2]);
        let mut count = 0u16;
        let fits = |(name, _): &(&str, &[u8])| *name != "traceparent" && name.len() <= MOST;
        for (name, value) in headers.into_iter().filter(fits).take(MOST) {
            self.frames
                .extend_from_slice(&(name.len() as u16).to_le_bytes());
            self.frames.extend_from_slice(name.as_bytes());
            put_field(&mut self.frames, Some(value));
            count += 1;
        }
        self.frames[at..at + 2].copy_from_slice(&count.to_le_bytes());
        self.ends.push(self.frames.len() as u32);
        self.offsets
            .push(self.offsets.last().map_or(0, |last| last + 1));
        self.timestamps.push(0);
    }

    /// Appends a copy of a record with its offset and timestamp.
    pub fn push_record(&mut self, record: &RecordRef<'_>) {
        self.push(record.key, record.value, record.headers());
        self.stamp_last(record.offset, record.timestamp);
    }

    /// Appends copies of some rows of another batch with their offsets and timestamps.
    pub fn push_rows(&mut self, other: &Batch, rows: Range<usize>) {
        let Some(span) = other.span(rows.clone()) else {
            return;
        };
        let (start, from) = (self.frames.len(), span.start);
        self.frames.extend_from_slice(&other.frames[span]);
        let ends = other.ends[rows.clone()].iter();
        self.ends
            .extend(ends.map(|end| (start + *end as usize - from) as u32));
        self.offsets.extend_from_slice(&other.offsets[rows.clone()]);
        self.timestamps.extend_from_slice(&other.timestamps[rows]);
    }

    /// Sets offset and timestamp of the last record: for adapters that read records one by one.
    pub fn stamp_last(&mut self, offset: u64, timestamp: i64) {
        if let (Some(o), Some(t)) = (self.offsets.last_mut(), self.timestamps.last_mut()) {
            (*o, *t) = (offset, timestamp);
        }
    }

    /// Gives the records offsets from `base` on and one timestamp: what an append does.
    pub fn stamp(&mut self, base: u64, timestamp: i64) {
        for (offset, next) in self.offsets.iter_mut().zip(base..) {
            *offset = next;
        }
        self.timestamps.fill(timestamp);
    }

    /// Keeps the first `count` records.
    pub fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.offsets.truncate(count);
        self.timestamps.truncate(count);
        self.frames
            .truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Record number `row` of this batch.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<RecordRef<'_>> {
        let frame = self.frames.get(self.span(row..row + 1)?)?;
        let mut at = 0;
        Some(RecordRef {
            offset: *self.offsets.get(row)?,
            timestamp: *self.timestamps.get(row)?,
            key: take_field(frame, &mut at)?,
            value: take_field(frame, &mut at)?,
            headers: &frame[at..],
        })
    }

    /// The records in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = RecordRef<'_>> + ExactSizeIterator {
        (0..self.len()).map(|row| {
            self.get(row).unwrap_or(RecordRef {
                offset: 0,
                timestamp: 0,
                key: None,
                value: None,
                headers: &[0, 0],
            })
        })
    }

    /// The frames of some rows, as hashed and as stored.
    #[must_use]
    pub fn frames(&self, rows: Range<usize>) -> &[u8] {
        self.span(rows)
            .and_then(|span| self.frames.get(span))
            .unwrap_or(&[])
    }

    /// Offsets of the records.
    #[must_use]
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// Timestamps of the records.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    #[inline]
    fn span(&self, rows: Range<usize>) -> Option<Range<usize>> {
        let end = if rows.end == 0 {
            0
        } else {
            *self.ends.get(rows.end - 1)? as usize
        };
        let start = if rows.start == 0 {
            0
        } else {
            *self.ends.get(rows.start - 1)? as usize
        };
        (start <= end).then_some(start..end)
    }

    /// Appends `count` records from stored frames.
    ///
    /// # Errors
    /// [`DamagedFrame`] where the bytes are not exactly that many frames; the batch is then as before.
    pub fn push_frames(
        &mut self,
        frames: &[u8],
        base: u64,
        timestamp: i64,
        count: usize,
    ) -> Result<(), DamagedFrame> {
        let before = self.len();
        let start = self.frames.len();
        let mut at = 0;
        for offset in (base..).take(count) {
            if skip_frame(frames, &mut at).is_none() {
                self.truncate(before);
                return Err(DamagedFrame { at });
            }
            self.ends.push((start + at) as u32);
            self.offsets.push(offset);
            self.timestamps.push(timestamp);
        }
        if at != frames.len() {
            self.truncate(before);
            return Err(DamagedFrame { at });
        }
        self.frames.extend_from_slice(frames);
        Ok(())
    }
}

impl<'a> RecordRef<'a> {
    /// The headers in order; one whose name is no text is left out.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let text = |(name, value)| Some((std::str::from_utf8(name).ok()?, value));
        self.raw_headers().filter_map(text)
    }

    /// The headers in order, their names as bytes: for whoever reads millions of them.
    pub fn raw_headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let headers = self.headers;
        let count = headers
            .get(..2)
            .map_or(0, |c| u16::from_le_bytes([c[0], c[1]]));
        let mut at = 2;
        (0..count).map_while(move |_| take_header(headers, &mut at))
    }

    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.raw_headers()
            .find(|(header, _)| *header == name.as_bytes())
            .map(|(_, value)| value)
    }
}

#[inline]
fn put_field(frames: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => frames.extend_from_slice(&(-1i32).to_le_bytes()),
        Some(bytes) => {
            frames.extend_from_slice(&(bytes.len() as i32).to_le_bytes());
            frames.extend_from_slice(bytes);
        }
    }
}

/// A field at `at`: outer `None` where the bytes end, inner `None` for null.
#[inline]
fn take_field<'a>(frame: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = i32::from_le_bytes(frame.get(*at..*at + 4)?.try_into().ok()?);
    *at += 4;
    if length == -1 {
        return Some(None);
    }
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_FIELD)?;
    let bytes = frame.get(*at..*at + length)?;
    *at += length;
    Some(Some(bytes))
}

fn take_header<'a>(frame: &'a [u8], at: &mut usize) -> Option<(&'a [u8], &'a [u8])> {
    let length = usize::from(u16::from_le_bytes(
        frame.get(*at..*at + 2)?.try_into().ok()?,
    ));
    let name = frame.get(*at + 2..*at + 2 + length)?;
    *at += 2 + length;
    Some((name, take_field(frame, at)??))
}

fn skip_frame(frames: &[u8], at: &mut usize) -> Option<()> {
    take_field(frames, at)?;
    take_field(frames, at)?;
    let count = u16::from_le_bytes(frames.get(*at..*at + 2)?.try_into().ok()?);
    *at += 2;
    for _ in 0..count {
        take_header(frames, at)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Batch {
        let mut batch = Batch::new();
        batch.push(
            Some(b"k"),
            Some(b"value"),
            [("ce_id", &b"1"[..]), ("traceparent", b"00-x")],
        );
        batch.push(None, None, []);
        batch.push_value(
            Some(b""),
            |out| out.extend_from_slice(b"in place"),
            [("a", &b""[..])],
        );
        batch
    }

    #[test]
    fn records_read_as_written_but_for_the_trace() {
        let mut batch = sample();
        batch.stamp(7, 99);
        let first = batch.get(0).unwrap();
        assert_eq!((first.offset, first.timestamp), (7, 99));
        assert_eq!(
            (first.key, first.value),
            (Some(&b"k"[..]), Some(&b"value"[..]))
        );
        assert_eq!(first.headers().collect::<Vec<_>>(), [("ce_id", &b"1"[..])]);
        let second = batch.get(1).unwrap();
        assert_eq!(
            (second.key, second.value, second.headers().count()),
            (None, None, 0)
        );
        assert_eq!(batch.get(2).unwrap().value, Some(&b"in place"[..]));
        assert_eq!(batch.get(3), None);
    }

    #[test]
    fn headers_beyond_what_a_frame_can_say_are_left_out() {
        let (longest, longer) = ("n".repeat(65_535), "n".repeat(65_536));
        let mut batch = Batch::new();
        let headers = [(&longer[..], &b"1"[..]), (&longest, b"2"), ("ce_id", b"3")];
        batch.push(None, None, headers);
        batch.push(None, None, std::iter::repeat_n(("h", &b""[..]), 70_000));
        batch.push(Some(b"after"), None, [("h", &b"x"[..])]);
        let mut copy = Batch::new();
        copy.push_frames(batch.frames(0..3), 0, 0, 3).unwrap();
        let headers: Vec<_> = copy.get(0).unwrap().headers().collect();
        assert_eq!(headers, [(&longest[..], &b"2"[..]), ("ce_id", b"3")]);
        assert_eq!(copy.get(1).unwrap().headers().count(), 65_535);
        assert_eq!(copy.get(2).unwrap().key, Some(&b"after"[..]));
    }

    #[test]
    fn stored_frames_come_back() {
        let mut batch = sample();
        batch.stamp(5, 3);
        let mut copy = Batch::new();
        copy.push_frames(batch.frames(0..3), 5, 3, 3).unwrap();
        assert_eq!(copy, batch);
        assert!(copy.push_frames(batch.frames(0..3), 8, 3, 2).is_err());
        assert_eq!(copy, batch, "a refused append changes nothing");
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_damage(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..5) {
            let mut batch = Batch::new();
            if batch.push_frames(&bytes, 0, 0, count).is_ok() {
                prop_assert_eq!(batch.iter().count(), count);
            }
        }
    }
}
