//! What an audit found: figures, and every difference with its place.

mod finding;

use std::fmt;

use mainstem_kernel::Partition;
use mainstem_schemas::{Digest, Span};

pub use finding::Finding;

/// Findings that a report keeps; of the others only the number. Damage shows in the first ones.
pub const MAX_FINDINGS: usize = 100;

/// A record's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Partition.
    pub partition: Partition,
    /// Offset.
    pub offset: u64,
}

impl Place {
    /// A place.
    #[must_use]
    pub fn new(partition: &Partition, offset: u64) -> Self {
        Place {
            partition: partition.clone(),
            offset,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offset {}", self.partition, self.offset)
    }
}

/// Facts that no turn has read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// Partition.
    pub partition: Partition,
    /// First offset.
    pub from: u64,
    /// Offset after the last.
    pub to: u64,
}

/// What of a topic of others cannot be recomputed any more, since the topic has forgotten it: no damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The task that read it.
    pub task: String,
    /// The partition of the others' topic.
    pub of: Partition,
    /// The first record that it keeps; nothing where the topic is gone.
    pub kept: Option<u64>,
    /// Turns that read what is gone; what they wrote was compared with their digests alone.
    pub turns: u64,
    /// Where the topic is read in place; else it is copied.
    pub in_place: Option<Beyond>,
}

/// What lies beyond the horizon of a topic that is read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The horizon that the definition states.
    pub stated: Span,
    /// Turns after those that read what is gone, up to the next snapshot: their state follows from it.
    pub followed: u64,
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Horizon {
            task,
            of,
            kept,
            turns,
            in_place,
        } = self;
        match in_place {
            None => {
                let source = task.split('/').nth(1).unwrap_or(task);
                write!(f, "arrivals.{source}: copied from {of}, ")?;
            }
            Some(_) => write!(f, "{task}: reads {of} in place, ")?,
        }
        match kept {
            Some(kept) => write!(f, "whose first kept record is offset {kept}: ")?,
            None => f.write_str("which is gone: ")?,
        }
        if let Some(Beyond { stated, followed }) = in_place {
            return write!(
                f,
                "{turns} turns are beyond the horizon of {} (stated: {stated}), and {followed} more follow from them, up to the next snapshot: not recomputed, compared with their digests",
                of.topic
            );
        }
        write!(
            f,
            "what it has forgotten is taken as it was copied ({turns} turns compared with their digests)"
        )
    }
}

/// Turns that were compared by their digests alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// The task.
    pub task: String,
    /// The first of them.
    pub turn: i64,
    /// How many.
    pub turns: u64,
}

/// The outcome of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tasks that have turns.
    pub tasks: u64,
    /// Turns, each with its hash, its link and its inputs.
    pub turns: u64,
    /// Digest over number and hash of every task's last turn.
    pub head: Digest,
    /// Derived events that were recomputed and are equal bit for bit.
    pub derived_events: u64,
    /// Derived events that were compared with the digests in the turns alone.
    pub sealed_events: u64,
    /// Derived events that nothing can be said of, since the turns that wrote them are damaged.
    pub unjudged_events: u64,
    /// Facts whose bytes are under the chain.
    pub facts: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Blobs that events name.
    pub blobs: u64,
    /// What is not as it should be: the first [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub mismatches: u64,
    /// Facts that no turn has read yet.
    pub uncovered: Vec<Uncovered>,
    /// How far back what came from others' topics can be recomputed, where that is not to their beginning.
    pub horizons: Vec<Horizon>,
    /// Turns that were not recomputed, as a consequence of a finding.
    pub unfolded: Vec<Unfolded>,
}

impl Report {
    /// Whether everything was recomputed and nothing differs.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.mismatches == 0
    }

    pub(super) fn forgotten(
        &mut self,
        task: &str,
        of: &Partition,
        kept: Option<u64>,
        stated: Option<Span>,
    ) {
        match self.horizon(task, of) {
            Some(known) => known.turns += 1,
            None => self.horizons.push(Horizon {
                task: task.to_owned(),
                of: of.clone(),
                kept,
                turns: 1,
                in_place: stated.map(|stated| Beyond {
                    stated,
                    followed: 0,
                }),
            }),
        }
    }

    /// A turn whose state follows from what is gone.
    pub(super) fn followed(&mut self, task: &str, of: &Partition) {
        if let Some(beyond) = self.horizon(task, of).and_then(|h| h.in_place.as_mut()) {
            beyond.followed += 1;
        }
    }

    fn horizon(&mut self, task: &str, of: &Partition) -> Option<&mut Horizon> {
        let mut known = self.horizons.iter_mut();
        known.find(|known| known.task == task && known.of == *of)
    }

    pub(super) fn find(&mut self, finding: Finding) {
        self.mismatches += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} turns of {} tasks, {} derived events recomputed, {} facts, {} snapshots, {} blobs",
            self.turns, self.tasks, self.derived_events, self.facts, self.snapshots, self.blobs
        )?;
        writeln!(
            f,
            "head {}; keep it elsewhere: while nothing is added, every audit gives it again",
            self.head
        )?;
        for (count, what) in [
            (
                self.sealed_events,
                "derived events compared with the digests of their turns alone",
            ),
            (
                self.unjudged_events,
                "derived events not judged, for the turns that wrote them are damaged",
            ),
        ] {
            if count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        for finding in &self.findings {
            writeln!(f, "  {finding}")?;
        }
        let more = self.mismatches.saturating_sub(self.findings.len() as u64);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        for Unfolded { task, turn, turns } in &self.unfolded {
            writeln!(
                f,
                "  consequence: {turns} turns of {task} from turn {turn} on were not recomputed"
            )?;
        }
        for horizon in &self.horizons {
            writeln!(f, "  horizon: {horizon}")?;
        }
        for Uncovered {
            partition,
            from,
            to,
        } in &self.uncovered
        {
            writeln!(
                f,
                "  not yet covered: {partition} offsets {from} to {}; let the auditor catch up",
                to.saturating_sub(1)
            )?;
        }
        match self.mismatches {
            0 => write!(f, "0 mismatches"),
            1 => write!(f, "1 mismatch; restore what is damaged from a copy"),
            n => write!(f, "{n} mismatches; restore what is damaged from a copy"),
        }
    }
}
