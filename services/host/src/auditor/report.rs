//! What an audit found: figures, and every difference with its place.

use std::fmt;

use mainstem_kernel::Partition;
use mainstem_schemas::{Digest, Millis, Span};

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

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A turn does not follow the one before it.
    ChainBroken {
        /// The task.
        task: String,
        /// The turn's record.
        at: Place,
        /// What does not fit.
        why: String,
    },
    /// A turn's record is not what was written, or says what cannot be.
    TurnDamaged {
        /// The task.
        task: String,
        /// Number of the turn.
        number: i64,
        /// The turn's record.
        at: Place,
        /// What does not fit.
        why: String,
    },
    /// What a turn says of its outputs is not what folding its inputs again gives.
    TurnDiffers {
        /// The task.
        task: String,
        /// Number of the turn.
        number: i64,
        /// The turn's record.
        at: Place,
        /// What differs.
        field: String,
        /// What folding gives.
        expected: String,
        /// What the turn says.
        found: String,
    },
    /// Records that a task read are not those that are stored now.
    InputDamaged {
        /// Partition.
        partition: Partition,
        /// First offset of the block that holds the damage.
        offset: u64,
        /// Offset after the block.
        next: u64,
        /// How it shows.
        why: String,
    },
    /// A derived record is not what folding gives.
    OutputDiffers {
        /// The record.
        at: Place,
        /// The field that differs, or the key, a header, the schema.
        field: String,
        /// What folding gives.
        expected: String,
        /// What is stored.
        found: String,
    },
    /// A derived record is not there.
    OutputMissing {
        /// Where it would stand.
        at: Place,
        /// The task that writes it.
        task: String,
        /// What it is.
        what: String,
    },
    /// A derived record that no task wrote.
    OutputExtra {
        /// The record.
        at: Place,
        /// What it is.
        what: String,
    },
    /// A blob that an event names is not there.
    BlobMissing {
        /// Its digest.
        digest: Digest,
        /// Who names it.
        named: String,
        /// The store's words.
        why: String,
    },
    /// The store does not give a blob, for another reason than that it is not there or is another.
    BlobUnread {
        /// Its digest.
        digest: Digest,
        /// Who names it.
        named: String,
        /// The store's words.
        why: String,
    },
    /// A blob does not hold what its digest says.
    BlobDamaged {
        /// Its digest.
        digest: Digest,
        /// Who names it.
        named: String,
        /// The store's words.
        why: String,
    },
    /// Turns of another version of a machine: they cannot be recomputed.
    NeedsVersion {
        /// The task.
        task: String,
        /// The first such turn.
        turn: i64,
        /// How many there are.
        turns: u64,
        /// Version that they need.
        needs: i32,
        /// Version that this program has.
        has: Option<u32>,
    },
    /// A snapshot is not the state after its turn.
    SnapshotDiffers {
        /// The task.
        task: String,
        /// The turn.
        turn: i64,
        /// The snapshot's record.
        at: Place,
        /// What does not fit.
        why: String,
    },
    /// A topic that is read in place has forgotten records within the horizon that the definition states.
    ForgottenTooSoon {
        /// The partition of the topic.
        of: Partition,
        /// The first record that it keeps; nothing where the topic is gone.
        kept: Option<u64>,
        /// Event time of the newest record that is gone, as far as rows tell.
        newest: Millis,
        /// The horizon.
        horizon: Span,
        /// When the audit looked.
        now: Millis,
    },
    /// Records that cannot be read.
    Unreadable {
        /// The first of them.
        at: Place,
        /// Offset after the last.
        next: u64,
        /// Why.
        why: String,
    },
    /// A task whose turn cannot be folded again.
    Stopped {
        /// The task.
        task: String,
        /// The turn.
        turn: i64,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::ChainBroken { task, at, why } => {
                write!(f, "chain broken: {task} at {at}: {why}")
            }
            Finding::TurnDamaged {
                task,
                number,
                at,
                why,
            } => write!(f, "turn damaged: turn {number} of {task} at {at}: {why}"),
            Finding::TurnDiffers {
                task,
                number,
                at,
                field,
                expected,
                found,
            } => write!(
                f,
                "turn differs: turn {number} of {task} at {at}: {field} is {found}, recomputed {expected}"
            ),
            Finding::InputDamaged {
                partition,
                offset,
                next,
                why,
            } => write!(
                f,
                "input damaged: {partition} offsets {offset} to {}: {why}",
                next.saturating_sub(1)
            ),
            Finding::OutputDiffers {
                at,
                field,
                expected,
                found,
            } => write!(
                f,
                "output differs: {at}: {field} is {found}, recomputed {expected}"
            ),
            Finding::OutputMissing { at, task, what } => {
                write!(f, "output missing: {what} of {task} is not at {at}")
            }
            Finding::OutputExtra { at, what } => {
                write!(f, "output extra: {at}: no task wrote {what}")
            }
            Finding::BlobMissing { digest, named, why } => {
                write!(f, "blob missing: {digest}, named by {named}: {why}")
            }
            Finding::BlobUnread { digest, named, why } => {
                write!(f, "blob unread: {digest}, named by {named}: {why}")
            }
            Finding::BlobDamaged { digest, named, why } => {
                write!(f, "blob damaged: {digest}, named by {named}: {why}")
            }
            Finding::NeedsVersion {
                task,
                turn,
                turns,
                needs,
                has,
            } => {
                write!(
                    f,
                    "needs machine version {needs}: {task} from turn {turn} on, {turns} turns; "
                )?;
                match has {
                    Some(has) => write!(f, "this program has version {has}"),
                    None => f.write_str("this program has no machine for it"),
                }
            }
            Finding::SnapshotDiffers {
                task,
                turn,
                at,
                why,
            } => write!(
                f,
                "snapshot differs: {task} after turn {turn} at {at}: {why}"
            ),
            Finding::ForgottenTooSoon {
                of,
                kept,
                newest,
                horizon,
                now,
            } => {
                write!(f, "forgotten too soon: {of} ")?;
                match kept {
                    Some(kept) => write!(f, "has no record before offset {kept} any more")?,
                    None => f.write_str("is gone")?,
                }
                write!(
                    f,
                    ", and what is gone reaches up to {newest}; the definition states {horizon} before {now}; see its retention"
                )
            }
            Finding::Unreadable { at, next, why } if *next == at.offset + 1 => {
                write!(f, "unreadable: {at}: {why}")
            }
            Finding::Unreadable { at, next, why } => {
                write!(f, "unreadable: {at} to {}: {why}", next.saturating_sub(1))
            }
            Finding::Stopped { task, turn, why } => {
                write!(f, "not recomputed: {task} at turn {turn}: {why}")
            }
        }
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
