//! Ticks that change nothing which anybody sees. Under the wall clock every task is handed one each second; a turn for
//! each of them would be most of what an idle project ever writes.

use std::sync::Arc;

use crate::fetched::Fetched;
use crate::log::Commit;
use crate::machine::Effect;
use crate::task::rank;

use super::{Blobs, Runner, TaskError};

/// Ticks that wait for the next turn at most: so many seconds of log time are folded again after a crash, and are under
/// the chain that much later.
const MAX_IDLE: usize = 60;

impl Runner {
    /// Where to read an input on.
    pub(super) fn next(&self, rank: usize) -> u64 {
        let idle = self.idle.offsets().last().filter(|_| rank == rank::CLOCK);
        idle.map_or(self.positions[rank], |last| last + 1)
    }

    /// Whether ticks wait while schemas or definitions came: these are folded before any tick of their turn, so the ticks
    /// that were folded before them need a turn of their own.
    pub(super) fn ticks_come_first(&self) -> bool {
        let others = &self.batches[..rank::CLOCK];
        !self.idle.is_empty() && others.iter().any(|batch| !batch.is_empty())
    }

    /// A turn of the ticks that waited, and of nothing that was fetched since.
    pub(super) fn seal_ticks(&mut self, blobs: &dyn Blobs) -> Result<Commit, TaskError> {
        self.batches.iter_mut().for_each(|batch| {
            Fetched::emptied(batch);
        });
        self.seal(blobs).map_err(|fault| self.fault(fault))
    }

    /// The effects that are outstanding, where nothing but ticks of the wall clock is at hand.
    pub(super) fn before_idle_ticks(&self) -> Option<Vec<Effect>> {
        let ticks = |(rank, batch): (usize, &Arc<Fetched>)| batch.is_empty() || rank == rank::CLOCK;
        let idle = !self.task.is_paced() && self.batches.iter().enumerate().all(ticks);
        idle.then(|| self.task.outstanding())
    }

    /// Keeps the ticks at hand, which were folded, for the next turn; not where they brought about anything, or are many.
    pub(super) fn keep_idle_ticks(&mut self, before: Option<Vec<Effect>>) -> bool {
        let ticks = &self.batches[rank::CLOCK];
        let kept = before.is_some_and(|before| before == self.task.outstanding())
            && self.outbox.is_empty()
            && self.idle.len() + ticks.len() < MAX_IDLE;
        if kept {
            ticks.iter().for_each(|tick| self.idle.push_record(&tick));
        }
        kept
    }

    /// The ticks that waited are the first of the turn's.
    pub(super) fn take_idle_ticks(&mut self) {
        if self.idle.is_empty() {
            return;
        }
        let mut ticks = std::mem::take(&mut self.idle);
        let at_hand = &mut self.batches[rank::CLOCK];
        at_hand.iter().for_each(|tick| ticks.push_record(&tick));
        *at_hand = Arc::new(Fetched::from(ticks));
    }
}
