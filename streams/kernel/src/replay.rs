//! Folding a task's inputs again in the order that its turns wrote down: how a task is rebuilt
//! ([`crate::restore`]), and how it is audited.

use mainstem_schemas::Batch;
use mainstem_schemas::events::{RunTaken, Turn};

use crate::known::Resolver;
use crate::log::{FetchLimit, LogError, Partition, Reader};
use crate::machine::Run;
use crate::runner::{Runner, TaskError, foreign};
use crate::task::Mode;
use crate::turn;

/// What a turn's inputs turned out to be when they were read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputDamage {
    /// The records are not those that were folded: the first block (of 64 records) that differs, counted from the
    /// run's first record.
    Block {
        /// Partition.
        partition: Partition,
        /// Offset of the first record of the block.
        offset: u64,
    },
    /// Other records than the turn says.
    Count {
        /// Partition.
        partition: Partition,
        /// Records that the turn says.
        expected: u64,
        /// Records found.
        found: u64,
    },
    /// An input that the task does not have.
    Unknown(Partition),
}

/// What a turn turned out to be when it was folded again.
#[derive(Debug, Default)]
pub struct Refolded {
    /// What it would write.
    pub outputs: Vec<(Partition, Batch)>,
    /// Damage that its inputs show.
    pub damage: Vec<InputDamage>,
}

/// Folds one turn again, but for its runs of foreign topics of which nothing stays in the state: they may be gone.
///
/// # Errors
/// [`TaskError`], as in a turn.
pub fn refold_turn(
    runner: &mut Runner,
    turn: &Turn,
    reader: &mut dyn Reader,
    resolver: &dyn Resolver,
) -> Result<Refolded, TaskError> {
    let mut damage = Vec::new();
    for taken in &turn.runs {
        let partition = Partition::new(&taken.topic, taken.partition as u32);
        let Some(input) = runner.rank_of(&taken.topic, taken.partition) else {
            damage.push(InputDamage::Unknown(partition));
            continue;
        };
        if runner.spec.mode(input) == Some(Mode::Foreign) {
            continue;
        }
        let batch = read_run(reader, &partition, taken)
            .map_err(|error| runner.log_error(foreign::gone(&runner.spec, input, error)))?;
        damage.extend(compare(&partition, taken, &batch));
        runner.refold(&Run::new(input, &batch), resolver, taken.next as u64)?;
    }
    let outputs = runner.take_outputs()?;
    runner.stand_after(turn);
    Ok(Refolded { outputs, damage })
}

/// The records of a run that a turn took.
///
/// # Errors
/// The reader's.
pub fn read_run(
    reader: &mut dyn Reader,
    partition: &Partition,
    taken: &RunTaken,
) -> Result<Batch, LogError> {
    let mut batch = Batch::new();
    let mut from = taken.first as u64;
    while from < taken.next as u64 {
        let missing = (taken.count as usize).saturating_sub(batch.len());
        let before = batch.len();
        reader.fetch(
            partition,
            from,
            FetchLimit {
                records: missing.max(1),
                bytes: usize::MAX,
            },
            &mut batch,
        )?;
        if batch.len() == before {
            break;
        }
        from = batch.offsets().last().map_or(from, |last| last + 1);
    }
    let within = batch
        .offsets()
        .iter()
        .take_while(|offset| **offset < taken.next as u64)
        .count();
    batch.truncate(within);
    Ok(batch)
}

fn compare(partition: &Partition, taken: &RunTaken, batch: &Batch) -> Option<InputDamage> {
    if batch.len() as i64 != taken.count {
        let (expected, found) = (taken.count as u64, batch.len() as u64);
        return Some(InputDamage::Count {
            partition: partition.clone(),
            expected,
            found,
        });
    }
    let blocks = turn::input_blocks(batch);
    let differs = blocks
        .chunks(32)
        .zip(taken.blocks.chunks(32))
        .position(|(now, then)| now != then);
    differs.map(|block| InputDamage::Block {
        partition: partition.clone(),
        offset: batch
            .offsets()
            .get(block * turn::BLOCK)
            .copied()
            .unwrap_or(taken.first as u64),
    })
}
