//! What is not as it should be, in words.

use std::fmt;

use mainstem_kernel::Partition;
use mainstem_schemas::{Digest, Millis, Span};

use super::Place;

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
