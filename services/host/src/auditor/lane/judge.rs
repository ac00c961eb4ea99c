//! A stored record that is no queue's head: where the difference lies, and what it is.

use mainstem_kernel::TaskId;
use mainstem_kernel::log::LogError;
use mainstem_schemas::{Batch, RecordRef};

use super::{Lane, differs};
use crate::auditor::fields::describe;
use crate::auditor::outputs::{Desk, Queue, Segment, root_of};
use crate::auditor::report::{Finding, Place};

/// Records that are looked ahead to tell a changed record from a missing or an extra one.
const AHEAD: usize = 256;

/// Whether matching can go on.
#[derive(PartialEq, Eq)]
pub(super) enum Step {
    On,
    Stalled,
}

impl Lane {
    /// The stored record is no queue's head: changed, extra, or something before it is missing.
    pub(super) fn decide(&mut self, desk: &mut Desk<'_>) -> Result<Step, LogError> {
        self.reach(desk, AHEAD)?;
        let Some(record) = self.stored.get(self.row) else {
            return Ok(Step::Stalled);
        };
        let at = Place::new(&self.partition, record.offset);
        if let Some((task, depth)) = self.deeper() {
            self.skip(desk, &task, depth, &at);
            return Ok(Step::On);
        }
        let suspect = self.suspect();
        if let Some((task, expected)) = suspect {
            if let Some(expected) = expected.get(0) {
                let finding = differs(desk.catalog, at, &expected, &record);
                desk.found.find(finding);
            }
            self.row += 1;
            self.take(&task, 0, 1);
            return Ok(Step::On);
        }
        if let Some((task, count, expected)) = self.sealed() {
            let there = self.reach(desk, count)?;
            let count = if there {
                count
            } else {
                self.stored.len() - self.row
            };
            // A door's records tell themselves which of them is another.
            let answers = self.answers(&task, 0);
            let placed = answers.map_or(0, |answers| self.recompute(desk, &answers, count));
            if placed == 0 {
                let found = root_of(&self.stored, self.row, count);
                desk.found.find(Finding::OutputDiffers {
                    at,
                    field: format!("the digest of {count} records"),
                    expected,
                    found: found.unwrap_or_default(),
                });
            }
            self.row += count;
            self.take(&task, 0, 1);
            return Ok(Step::On);
        }
        let gaps = self
            .queues
            .values()
            .any(|queue| matches!(queue.front(), Some(Segment::Gap)));
        if gaps {
            desk.found.report.unjudged_events += 1;
        } else {
            let what = describe(desk.catalog, &record);
            desk.found.find(Finding::OutputExtra { at, what });
        }
        self.row += 1;
        Ok(Step::On)
    }

    /// A queue that holds the stored record further down: what stands before it is missing.
    fn deeper(&self) -> Option<(TaskId, usize)> {
        let frame = self.stored.frames(self.row..self.row + 1);
        let limit = AHEAD + usize::try_from(self.hidden).unwrap_or(0);
        self.queues
            .iter()
            .filter(|(_, queue)| !self.comes(queue))
            .find_map(|(task, queue)| {
                let depth = frames(queue).take(limit).position(|head| head == frame)?;
                (depth > 0).then(|| (task.clone(), depth))
            })
    }

    /// The head that the stored record is most like, where that head does not come later.
    fn suspect(&self) -> Option<(TaskId, Batch)> {
        let frame = self.stored.frames(self.row..self.row + 1);
        let mut best: Option<(usize, &TaskId, &Batch, usize)> = None;
        for (task, queue) in &self.queues {
            let Some(Segment::Records { batch, row }) = queue.front() else {
                continue;
            };
            if self.comes(queue) {
                continue;
            }
            let head = batch.frames(*row..*row + 1);
            let same = likeness(head, frame);
            // A record that was replaced is like nothing, but what follows it is what follows the head.
            let after = (self.row + 1 < self.stored.len())
                .then(|| self.stored.frames(self.row + 1..self.row + 2));
            let replaced = after.is_some() && after == frames(queue).nth(1);
            let enough = replaced || 2 * same >= head.len().max(frame.len());
            if enough && best.is_none_or(|(most, ..)| same > most) {
                best = Some((same, task, batch, *row));
            }
        }
        let (_, task, batch, row) = best?;
        let mut head = Batch::new();
        head.push_record(&batch.get(row)?);
        Some((task.clone(), head))
    }

    fn sealed(&self) -> Option<(TaskId, usize, String)> {
        self.queues
            .iter()
            .find_map(|(task, queue)| match queue.front() {
                Some(Segment::Sealed { written, .. }) => Some((
                    task.clone(),
                    written.count as usize,
                    written.root.to_string(),
                )),
                _ => None,
            })
    }

    /// Whether a queue's head is among the next stored records.
    fn comes(&self, queue: &Queue) -> bool {
        let Some(head) = frames(queue).next() else {
            return false;
        };
        let last = self.stored.len().min(self.row + 1 + AHEAD);
        (self.row + 1..last).any(|row| self.stored.frames(row..row + 1) == head)
    }

    /// The first records of a queue are not there.
    fn skip(&mut self, desk: &mut Desk<'_>, task: &TaskId, count: usize, at: &Place) {
        let hidden = (self.hidden).min(count as u64);
        self.hidden -= hidden;
        if let Some(queue) = self.queues.get(task) {
            for record in records(queue).take(count).skip(hidden as usize) {
                desk.found.find(Finding::OutputMissing {
                    at: at.clone(),
                    task: task.0.clone(),
                    what: describe(desk.catalog, &record),
                });
            }
        }
        self.take(task, 0, count);
    }

    /// Nothing more is stored: what is still expected is missing.
    pub(super) fn missing(&mut self, desk: &mut Desk<'_>) {
        let at = Place::new(&self.partition, self.next);
        let queues = std::mem::take(&mut self.queues);
        self.waiting = 0;
        for (task, queue) in queues {
            for segment in queue {
                let count = match &segment {
                    Segment::Records { batch, row } => batch.len() - row,
                    Segment::Sealed { written, .. } => written.count as usize,
                    Segment::Signed { written, met } => written.count as usize - met.len(),
                    Segment::Gap => 0,
                };
                let hidden = self.hidden.min(count as u64);
                self.hidden -= hidden;
                let find = |what: String| Finding::OutputMissing {
                    at: at.clone(),
                    task: task.0.clone(),
                    what,
                };
                match segment {
                    Segment::Records { batch, row } => {
                        for record in batch.iter().skip(row + hidden as usize) {
                            desk.found.find(find(describe(desk.catalog, &record)));
                        }
                    }
                    Segment::Sealed { .. } | Segment::Signed { .. } if hidden < count as u64 => {
                        desk.found.find(find(format!("a run of {count} records")));
                    }
                    Segment::Sealed { .. } | Segment::Signed { .. } | Segment::Gap => {}
                }
            }
        }
    }
}

/// Bytes that two frames share at their beginnings and ends.
fn likeness(one: &[u8], other: &[u8]) -> usize {
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let rest = one.len().min(other.len()) - head;
    let tail = one.iter().rev().zip(other.iter().rev());
    head + tail.take(rest).take_while(|(a, b)| a == b).count()
}

/// The recomputed records of a queue up to its first segment of another kind.
fn records(queue: &Queue) -> impl Iterator<Item = RecordRef<'_>> {
    rows(queue).filter_map(|(batch, row)| batch.get(row))
}

fn frames(queue: &Queue) -> impl Iterator<Item = &[u8]> {
    rows(queue).map(|(batch, row)| batch.frames(row..row + 1))
}

fn rows(queue: &Queue) -> impl Iterator<Item = (&Batch, usize)> {
    let segments = queue.iter().map_while(|segment| match segment {
        Segment::Records { batch, row } => Some((batch, *row)),
        Segment::Sealed { .. } | Segment::Signed { .. } | Segment::Gap => None,
    });
    segments.flat_map(|(batch, first)| (first..batch.len()).map(move |row| (batch, row)))
}
