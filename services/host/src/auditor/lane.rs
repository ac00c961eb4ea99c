//! One derived partition: its writers' queues against its stored records.

mod judge;

use std::collections::BTreeMap;
use std::rc::Rc;

use mainstem_kernel::log::{FetchLimit, LogError, Reader};
use mainstem_kernel::turn::output_root;
use mainstem_kernel::{Partition, TaskId};
use mainstem_schemas::{Batch, RecordRef};

use super::door::Answers;
use super::fields::{describe, difference};
use super::holes;
use super::outputs::{Desk, Queue, Segment, root_of};
use super::report::{Finding, Place};
use judge::Step;

/// Bytes that wait in a partition's queues before a difference is placed: another worker's turn stands a few commits of
/// 16 MiB away at most, and some partitions wait at once.
const WAITING: usize = 16 << 20;

/// Stored records are read this many at a time.
const WINDOW: FetchLimit = FetchLimit {
    records: 8_192,
    bytes: 1 << 20,
};

pub(super) struct Lane {
    partition: Partition,
    /// Offset after the last record that is judged: what is written during the audit belongs to later turns.
    end: u64,
    /// Offset after the last record of the partition, to bound holes.
    next: u64,
    stored: Batch,
    row: usize,
    queues: BTreeMap<TaskId, Queue>,
    waiting: usize,
    /// Expected records that may stand in places that cannot be read.
    hidden: u64,
}

impl Lane {
    pub(super) fn open(reader: &mut dyn Reader, partition: &Partition) -> Result<Self, LogError> {
        let range = reader.range(partition)?;
        Ok(Lane {
            partition: partition.clone(),
            end: range.end,
            // Derived topics keep everything; of one that does not, the forgotten records are a hole.
            next: 0,
            stored: Batch::new(),
            row: 0,
            queues: BTreeMap::new(),
            waiting: 0,
            hidden: 0,
        })
    }

    pub(super) fn expect(&mut self, task: &TaskId, segment: Segment) {
        self.waiting += segment.bytes();
        self.queues
            .entry(task.clone())
            .or_default()
            .push_back(segment);
    }

    /// Matches as far as it goes; with `last`, judges everything that is left.
    pub(super) fn advance(&mut self, desk: &mut Desk<'_>, last: bool) -> Result<(), LogError> {
        loop {
            let idle = self.queues.values().all(Queue::is_empty);
            if idle && !last {
                return Ok(());
            }
            if self.row >= self.stored.len() && !self.read(desk)? {
                if last || self.waiting > WAITING {
                    self.missing(desk);
                }
                return Ok(());
            }
            if self.matched(desk)? {
                continue;
            }
            let beyond = self.stored.offsets().get(self.row) >= Some(&self.end);
            if idle && beyond {
                return Ok(());
            }
            if !last && self.waiting <= WAITING {
                return Ok(());
            }
            if self.decide(desk)? == Step::Stalled {
                return Ok(());
            }
        }
    }

    /// Reads on; says whether there is a record.
    fn read(&mut self, desk: &mut Desk<'_>) -> Result<bool, LogError> {
        self.stored.clear();
        self.row = 0;
        self.more(desk)?;
        Ok(!self.stored.is_empty())
    }

    /// Appends stored records to the window. A hole ends it until everything before has been judged.
    fn more(&mut self, desk: &mut Desk<'_>) -> Result<bool, LogError> {
        loop {
            let before = self.stored.len();
            let hole = holes::fetch(
                desk.reader,
                &self.partition,
                self.next,
                self.end,
                WINDOW,
                &mut self.stored,
            )?;
            match hole {
                None => {
                    if let Some(last) = self.stored.offsets().get(before..).and_then(<[u64]>::last)
                    {
                        self.next = last + 1;
                    }
                    return Ok(self.stored.len() > before);
                }
                Some(_) if before > self.row => return Ok(false),
                Some(hole) => {
                    self.hidden += hole.next - hole.from;
                    self.next = hole.next;
                    desk.found.hole(&self.partition, hole);
                }
            }
        }
    }

    /// Makes at least `count` records from the current one on available, where there are that many.
    fn reach(&mut self, desk: &mut Desk<'_>, count: usize) -> Result<bool, LogError> {
        if self.row > 0 && self.row + count > self.stored.len() {
            let mut rest = Batch::new();
            for row in self.row..self.stored.len() {
                if let Some(record) = self.stored.get(row) {
                    rest.push_record(&record);
                }
            }
            (self.stored, self.row) = (rest, 0);
        }
        while self.stored.len() - self.row < count {
            if !self.more(desk)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the stored records that stand at the head of a queue.
    fn matched(&mut self, desk: &mut Desk<'_>) -> Result<bool, LogError> {
        let tasks: Vec<TaskId> = self.queues.keys().cloned().collect();
        for task in tasks {
            let Some(queue) = self.queues.get(&task) else {
                continue;
            };
            let gaps = queue
                .iter()
                .take_while(|segment| matches!(segment, Segment::Gap))
                .count();
            let taken = match queue.get(gaps) {
                Some(Segment::Records { batch, row }) => {
                    let count = alike(batch, *row, &self.stored, self.row);
                    desk.found.report.derived_events += count as u64;
                    count
                }
                Some(Segment::Sealed { written, .. }) => {
                    let (count, root) = (written.count as usize, written.root.to_string());
                    let there = self.reach(desk, count)?;
                    let same = there && root_of(&self.stored, self.row, count) == Some(root);
                    if same {
                        self.unseal(desk, &task, gaps, count);
                    }
                    if same { count } else { 0 }
                }
                Some(Segment::Signed { .. }) => {
                    if self.signed(desk, &task, gaps) {
                        return Ok(true);
                    }
                    0
                }
                _ => 0,
            };
            if taken > 0 {
                self.take(&task, gaps, taken);
                self.row += taken;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a stored record that says that the task wrote it; the last of a turn's makes the turn's digest, or does not.
    fn signed(&mut self, desk: &mut Desk<'_>, task: &TaskId, gaps: usize) -> bool {
        let queue = self.queues.get_mut(task);
        let segment = queue.and_then(|queue| queue.get_mut(gaps));
        let record = self.stored.get(self.row);
        let (Some(Segment::Signed { written, met }), Some(record)) = (segment, record) else {
            return false;
        };
        if record.header("ce_source") != Some(task.0.as_bytes()) {
            return false;
        }
        met.push_record(&record);
        self.row += 1;
        if met.len() as i64 == written.count {
            let (expected, found) = (written.root.to_string(), output_root(met).to_string());
            if expected == found {
                desk.found.report.sealed_events += met.len() as u64;
            } else {
                let first = met.offsets().first().copied().unwrap_or(0);
                desk.found.find(Finding::OutputDiffers {
                    at: Place::new(&self.partition, first),
                    field: format!("the digest of {} records of {task}", met.len()),
                    expected,
                    found,
                });
            }
            met.clear();
            self.take(task, gaps, 1);
        }
        true
    }

    /// Sealed records are those of the chain; a door's are now recomputed from the inputs that they carry.
    fn unseal(&mut self, desk: &mut Desk<'_>, task: &TaskId, gaps: usize, count: usize) {
        if let Some(answers) = self.answers(task, gaps) {
            _ = self.recompute(desk, &answers, count);
            return;
        }
        desk.found.report.sealed_events += count as u64;
        let queue = self.queues.get(task);
        let Some(Segment::Sealed { gone: Some(of), .. }) = queue.and_then(|queue| queue.get(gaps))
        else {
            return;
        };
        for row in self.row..self.row + count {
            if let Some(record) = self.stored.get(row) {
                desk.found.newest.take(desk.catalog, of, &record);
            }
        }
    }

    /// What the records of a sealed segment follow from, where it is a door's.
    fn answers(&self, task: &TaskId, gaps: usize) -> Option<Rc<Answers>> {
        match self.queues.get(task)?.get(gaps)? {
            Segment::Sealed { answers, .. } => answers.clone(),
            _ => None,
        }
    }

    /// Recomputes a door's answers; says how many are others.
    fn recompute(&self, desk: &mut Desk<'_>, answers: &Answers, count: usize) -> usize {
        let mut others = 0;
        for row in self.row..self.row + count {
            let Some(record) = self.stored.get(row) else {
                continue;
            };
            let at = Place::new(&self.partition, record.offset);
            let finding = match answers.recompute(&record) {
                Ok(expected) if expected.frames(0..1) == self.stored.frames(row..row + 1) => {
                    desk.found.report.derived_events += 1;
                    continue;
                }
                Ok(expected) => expected
                    .get(0)
                    .map(|expected| differs(desk.catalog, at, &expected, &record)),
                Err(why) => Some(Finding::OutputDiffers {
                    at,
                    field: "the answer".into(),
                    expected: why,
                    found: describe(desk.catalog, &record),
                }),
            };
            finding
                .into_iter()
                .for_each(|finding| desk.found.find(finding));
            others += 1;
        }
        others
    }

    /// Drops gaps and expected records from a queue's head.
    fn take(&mut self, task: &TaskId, gaps: usize, mut count: usize) {
        let Some(queue) = self.queues.get_mut(task) else {
            return;
        };
        queue.drain(..gaps.min(queue.len()));
        while count > 0 {
            let done = match queue.front_mut() {
                Some(Segment::Records { batch, row }) => {
                    let taken = count.min(batch.len() - *row);
                    *row += taken;
                    count -= taken;
                    *row >= batch.len()
                }
                Some(_) => {
                    count = 0;
                    true
                }
                None => return,
            };
            if done && let Some(segment) = queue.pop_front() {
                self.waiting = self.waiting.saturating_sub(segment.bytes());
            }
        }
    }
}

fn differs(
    catalog: &mainstem_schemas::Catalog,
    at: Place,
    expected: &RecordRef<'_>,
    found: &RecordRef<'_>,
) -> Finding {
    let difference = difference(catalog, expected, found);
    Finding::OutputDiffers {
        at,
        field: difference.field,
        expected: difference.expected,
        found: difference.found,
    }
}

/// How many records from the two rows on are equal, as far as both go.
fn alike(expected: &Batch, row: usize, stored: &Batch, at: usize) -> usize {
    let count = (expected.len() - row).min(stored.len() - at);
    if expected.frames(row..row + count) == stored.frames(at..at + count) {
        return count;
    }
    (0..count)
        .take_while(|n| expected.frames(row + n..row + n + 1) == stored.frames(at + n..at + n + 1))
        .count()
}
