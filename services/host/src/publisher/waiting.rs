//! Whoever waits for the tasks says so, where nobody seems to be at work.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{Log, LogError, Reader};
use mainstem_kernel::quiet::waits_for;
use mainstem_kernel::{TaskId, TaskSpec};

/// How often a waiting publisher looks whether anybody works: it asks the log about every task.
const LOOK: Duration = Duration::from_secs(1);

/// Without a turn for so long, people wonder; a worker that lives takes one in milliseconds unless it trains a model.
const SILENCE: Duration = Duration::from_secs(5);

/// How long until it is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// Watches the turns while somebody waits for quiet.
pub(super) struct Watch<'a> {
    log: &'a dyn Log,
    tasks: &'a [TaskSpec],
    seen: RefCell<Seen<'a>>,
}

struct Seen<'a> {
    reader: Box<dyn Reader>,
    tell: &'a mut dyn FnMut(&str),
    looked: Instant,
    /// Number of turns, and since when it has been that.
    turns: (i64, Instant),
    told: Option<Instant>,
}

impl<'a> Watch<'a> {
    pub fn new(
        log: &'a dyn Log,
        tasks: &'a [TaskSpec],
        tell: &'a mut dyn FnMut(&str),
    ) -> Result<Self, LogError> {
        let now = Instant::now();
        let seen = Seen {
            reader: log.reader()?,
            tell,
            looked: now,
            turns: (-1, now),
            told: None,
        };
        Ok(Watch {
            log,
            tasks,
            seen: RefCell::new(seen),
        })
    }

    /// To be called when the waiting begins.
    pub fn begin(&self) {
        self.seen.borrow_mut().turns = (-1, Instant::now());
    }

    /// To be called again and again while it lasts.
    pub fn look(&self) {
        let mut seen = self.seen.borrow_mut();
        if seen.looked.elapsed() >= LOOK {
            seen.looked = Instant::now();
            // What the log refuses here it refuses the waiting, too, which says so.
            let _ = self.look_at(&mut seen);
        }
    }

    fn look_at(&self, seen: &mut Seen<'_>) -> Result<(), LogError> {
        let ids: Vec<&TaskId> = self.tasks.iter().map(|task| &task.id).collect();
        let turns = self.log.last_turns(&ids)?;
        let turns = turns.iter().flatten().map(|turn| turn.number).sum();
        if turns != seen.turns.0 {
            let since = if seen.turns.0 < 0 {
                seen.turns.1
            } else {
                seen.looked
            };
            seen.turns = (turns, since);
        }
        let silent = seen.turns.1.elapsed() >= SILENCE;
        if !silent || seen.told.is_some_and(|told| told.elapsed() < AGAIN) {
            return Ok(());
        }
        if let Some(task) = waits_for(self.log, seen.reader.as_mut(), self.tasks)? {
            seen.told = Some(Instant::now());
            (seen.tell)(&format!(
                "waiting for the task {}, which is not at its end, and no task took a turn for {} seconds; is `mainstem \
                 up` running on this directory? (A long training may take so long, too.)",
                task.id,
                SILENCE.as_secs()
            ));
        }
        Ok(())
    }
}
