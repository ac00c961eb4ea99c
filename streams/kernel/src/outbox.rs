//! What a fold writes: an arena of encoded records per output partition.

use std::collections::BTreeMap;

use mainstem_schemas::events::Event;
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Envelope, EventId, Millis};

use crate::log::Partition;
use crate::machine::Context;
use crate::task::Output;

/// Why a task must stop before it commits: a defect or a missing registration, never a bad record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// Where a fold's outputs gather.
#[derive(Debug, Default)]
pub struct Outbox {
    outputs: Vec<Output>,
    batches: BTreeMap<(usize, u32), Batch>,
    /// Records and bytes that each batch had the last time: the next is likely to be as large, and does not have to grow.
    likely: BTreeMap<(usize, u32), (usize, usize)>,
    value: Vec<u8>,
    fault: Option<Fault>,
}

/// The envelope's part that a room chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Id of the event.
    pub id: EventId,
    /// Event time.
    pub time: Millis,
    /// The id that a chain of events shares.
    pub correlation: Option<EventId>,
    /// The event that led to this one.
    pub causation: Option<EventId>,
}

impl Outbox {
    /// An outbox for these outputs.
    #[must_use]
    pub fn new(outputs: &[Output]) -> Self {
        Outbox {
            outputs: outputs.to_vec(),
            ..Self::default()
        }
    }

    /// A data-plane record: no headers, the value written in place.
    pub fn put(&mut self, output: usize, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(batch) = self.batch(output, key) {
            batch.push_value(Some(key), write, []);
        }
    }

    /// A record of a fact that is passed on, with its headers; the value is written in place.
    pub fn put_with<'h>(
        &mut self,
        output: usize,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) {
        if let Some(batch) = self.batch(output, key) {
            batch.push_value(Some(key), write, headers);
        }
    }

    /// A typed data-plane record: no headers.
    pub fn put_event(&mut self, cx: &Context<'_>, output: usize, key: &[u8], event: &Event) {
        self.value.clear();
        if let Err(error) = event.encode(cx.catalog, &mut self.value) {
            return self.fault(error.to_string());
        }
        let value = std::mem::take(&mut self.value);
        if let Some(batch) = self.batch(output, key) {
            batch.push(Some(key), Some(&value), []);
        }
        self.value = value;
    }

    /// A control event with its envelope. Emitted on a tick, it carries the tick's number.
    pub fn event(
        &mut self,
        cx: &Context<'_>,
        output: usize,
        key: &[u8],
        event: &Event,
        head: Head,
    ) {
        self.value.clear();
        if let Err(error) = event.encode(cx.catalog, &mut self.value) {
            return self.fault(error.to_string());
        }
        let envelope = Envelope {
            id: head.id,
            kind: event.name().into(),
            source: cx.spec.id.0.clone(),
            time: head.time,
            actor: None,
            correlation: head.correlation,
            causation: head.causation,
            round: cx.on_tick.then_some(cx.tick.round),
            attempt: None,
        };
        let value = std::mem::take(&mut self.value);
        if let Some(batch) = self.batch(output, key) {
            envelope.push(batch, Some(key), &value);
        }
        self.value = value;
    }

    /// Stops the task before it commits.
    pub fn fault(&mut self, why: impl Into<String>) {
        self.fault.get_or_insert(Fault(why.into()));
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.fault.is_none()
    }

    fn batch(&mut self, output: usize, key: &[u8]) -> Option<&mut Batch> {
        let Some(spec) = self.outputs.get(output) else {
            self.fault(format!(
                "a machine wrote to output {output}, which it does not have"
            ));
            return None;
        };
        let partition = partition_of(key, spec.partitions);
        let place = (output, partition);
        Some(self.batches.entry(place).or_insert_with(|| {
            let (records, bytes) = self.likely.get(&place).copied().unwrap_or_default();
            Batch::with_capacity(records, bytes)
        }))
    }

    /// What was written, per partition in (output, partition) order; the outbox is empty afterwards.
    ///
    /// # Errors
    /// The first fault.
    pub fn take(&mut self) -> Result<Vec<(Partition, Batch)>, Fault> {
        let batches = std::mem::take(&mut self.batches);
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let sizes = batches.iter();
        let sizes = sizes.map(|(place, batch)| (*place, (batch.len(), batch.bytes())));
        self.likely.extend(sizes);
        let topic = |output: usize| {
            self.outputs
                .get(output)
                .map_or("", |output| output.topic.as_str())
        };
        Ok(batches
            .into_iter()
            .map(|((output, index), batch)| (Partition::new(topic(output), index), batch))
            .collect())
    }
}
