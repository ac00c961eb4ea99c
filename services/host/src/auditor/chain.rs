//! The chain: a turn's record against itself, the one before it, and what a task can have read.

use std::collections::BTreeMap;

use mainstem_schemas::events::{Event, SnapshotTaken, Turn, encode_body};
use mainstem_schemas::{Batch, Digest, Envelope, EventId, RecordRef, topics, wire};

/// Records that a run may have: more than any fetch returns, little enough to be read.
const MAX_RUN: i64 = 1 << 26;

/// The record of a chain that holds this event, written with the schema id that the stored one has.
fn record_of(
    project: &str,
    room: &str,
    task: &str,
    number: i64,
    event: &Event,
    id: u32,
) -> Option<Batch> {
    let topic = topics::fixed(project, room);
    let mut value = Vec::new();
    wire::put_header(&mut value, id);
    let encoded = match event {
        Event::Turn(turn) => encode_body::<Turn>(turn, &mut value),
        Event::SnapshotTaken(taken) => encode_body::<SnapshotTaken>(taken, &mut value),
        _ => return None,
    };
    encoded.ok()?;
    let envelope = Envelope {
        id: EventId::derived(
            project,
            &topic,
            &Digest::default(),
            task.as_bytes(),
            &number.to_le_bytes(),
        ),
        kind: event.name().into(),
        source: task.into(),
        ..Envelope::default()
    };
    let mut batch = Batch::new();
    envelope.push(&mut batch, Some(task.as_bytes()), &value);
    Some(batch)
}

/// What of a chain's record is not as its task wrote it: key and headers follow from the event.
pub(super) fn unlike(
    project: &str,
    room: &str,
    task: &str,
    number: i64,
    event: &Event,
    record: &RecordRef<'_>,
) -> Option<String> {
    let id = wire::split(record.value.unwrap_or_default()).ok()?.0;
    let expected = record_of(project, room, task, number, event, id)?;
    let expected = expected.get(0)?;
    if expected.key != record.key {
        return Some("its key is not the task".into());
    }
    let mut ours = expected.headers();
    let mut theirs = record.headers();
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => {
                let name = one.or(other).map_or("", |(name, _)| name);
                return Some(format!("its header {name} is not what the task wrote"));
            }
        }
    }
    (expected.value != record.value).then(|| "its value is not what the task wrote".into())
}

/// The end of a task's chain so far, and where the task stands.
#[derive(Default)]
pub(super) struct Link {
    number: i64,
    /// The last turn's hash as it is stored, and as it is computed: one of them may be damaged.
    hashes: [Digest; 2],
    positions: BTreeMap<(String, i32), i64>,
    /// Where it stood on inputs that it has no more. A definition may give one back: the task then goes on from there, or
    /// from the beginning where it was restored from a snapshot that does not know it.
    left: BTreeMap<(String, i32), i64>,
}

impl Link {
    /// What of a turn does not follow the one before it, if anything; whether turns lie between.
    pub(super) fn breaks(&self, turn: &Turn) -> Option<(String, bool)> {
        let next = self.number + 1;
        if turn.number != next {
            let why = format!("it is turn {} where {next} is next", turn.number);
            return Some((why, true));
        }
        if self.hashes.contains(&turn.previous) {
            return None;
        }
        let why = format!(
            "it follows a turn of hash {}, but the one before it has {}",
            turn.previous, self.hashes[0]
        );
        Some((why, false))
    }

    /// What of a turn's runs and positions cannot be, if anything.
    pub(super) fn contradicts(&self, turn: &Turn) -> Option<String> {
        let mut positions = self.positions.clone();
        for run in &turn.runs {
            let at = format!("{}/{}", run.topic, run.partition);
            let place = positions
                .entry((run.topic.clone(), run.partition))
                .or_default();
            if run.first < *place {
                return Some(format!(
                    "its run of {at} begins at {}, before {}, where the task stood",
                    run.first, *place
                ));
            }
            let length = run.next.checked_sub(run.first).unwrap_or(0);
            if run.count < 1 || run.count > length || run.count > MAX_RUN {
                return Some(format!(
                    "its run of {at} says {} records in {} to {}",
                    run.count, run.first, run.next
                ));
            }
            *place = run.next;
        }
        for at in &turn.positions {
            let key = (at.topic.clone(), at.partition);
            let left = self.left.get(&key).copied().unwrap_or(0);
            let place = match positions.remove(&key) {
                Some(place) => place,
                None if at.next == left => left,
                None => 0,
            };
            if place != at.next {
                return Some(format!(
                    "it says to stand at {} of {}/{}, but its runs lead to {place}",
                    at.next, at.topic, at.partition
                ));
            }
        }
        let negative = turn
            .outputs
            .iter()
            .find(|w| !(1..=MAX_RUN).contains(&w.count));
        negative.map(|written| format!("it says {} records of {}", written.count, written.topic))
    }

    /// From where a run of an input was read, at most.
    pub(super) fn position(&self, topic: &str, partition: i32, first: i64) -> i64 {
        let key = (topic.to_owned(), partition);
        let left = || self.left.get(&key).map(|left| *left.min(&first));
        let place = self.positions.get(&key).copied().or_else(left);
        place.unwrap_or(0)
    }

    /// Stands after a turn, whose hash was computed.
    pub(super) fn follow(&mut self, turn: &Turn, computed: Digest) {
        self.number = turn.number;
        self.hashes = [turn.hash, computed];
        let place = |at: &mainstem_schemas::events::InputPosition| {
            ((at.topic.clone(), at.partition), at.next)
        };
        let stands = turn.positions.iter().map(place).collect();
        let mut left = std::mem::replace(&mut self.positions, stands);
        self.left.append(&mut left);
        self.left.retain(|key, _| !self.positions.contains_key(key));
    }
}
