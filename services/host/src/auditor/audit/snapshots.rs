//! Snapshots beside the turns that they are of.

use mainstem_schemas::events::{Event, SnapshotTaken, Turn};
use mainstem_schemas::{Digest, RecordRef};

use super::Audit;
use crate::auditor::chain;
use crate::auditor::report::{Finding, Place};
use crate::auditor::task::{Audited, Fold};

/// A snapshot's record, and what of it is not as its task wrote it.
pub(super) struct Snapshot {
    at: Place,
    taken: SnapshotTaken,
    unlike: Option<String>,
}

impl Audit<'_> {
    pub(super) fn take_snapshot(&mut self, at: Place, record: &RecordRef<'_>, event: Event) {
        let Event::SnapshotTaken(taken) = event else {
            let why = format!("it holds {}, not a snapshot", event.name());
            return self.unreadable(&at, why);
        };
        let project = &self.parts.project.name;
        let (task, turn) = (taken.task.clone(), taken.turn);
        let event = Event::SnapshotTaken(taken.clone());
        let unlike = chain::unlike(project, "snapshots", &task, turn, &event, record);
        let snapshot = Snapshot { at, taken, unlike };
        self.found.report.snapshots += 1;
        self.snapshots
            .entry((task, turn))
            .or_default()
            .push(snapshot);
    }

    /// Compares the snapshots taken after a turn; a task that was stopped goes on from one.
    pub(super) fn snapshots_of(&mut self, task: &mut Audited, turn: &Turn, sound: bool) {
        let key = (turn.task.clone(), turn.number);
        for Snapshot { at, taken, unlike } in self.snapshots.remove(&key).unwrap_or_default() {
            let state = taken.state;
            let why = unlike.or_else(|| differs(&taken, task, turn, sound));
            let why = why.or_else(|| self.resume(task, turn, sound, &state).err());
            match why {
                Some(why) => self.found.find(Finding::SnapshotDiffers {
                    task: turn.task.clone(),
                    turn: turn.number,
                    at,
                    why,
                }),
                None => self.named.note(state, || format!("SnapshotTaken at {at}")),
            }
        }
    }

    /// Goes on from a snapshot where the task was stopped and the blob can be had.
    fn resume(
        &self,
        task: &mut Audited,
        turn: &Turn,
        sound: bool,
        state: &Digest,
    ) -> Result<(), String> {
        if !sound || matches!(task.fold, Fold::Running(_)) {
            return Ok(());
        }
        match self.parts.blobs.get(state) {
            Ok(bytes) => task.resume(turn, &bytes, self.parts.factory, self.parts.resolver),
            // It is told with the other blobs.
            Err(_) => Ok(()),
        }
    }

    /// Tells those of which the chain has no turn.
    pub(super) fn snapshots_of_no_turn(&mut self) {
        for ((task, turn), snapshots) in std::mem::take(&mut self.snapshots) {
            for Snapshot { at, .. } in snapshots {
                self.found.find(Finding::SnapshotDiffers {
                    task: task.clone(),
                    turn,
                    at,
                    why: "there is no such turn".into(),
                });
            }
        }
    }
}

/// What of a snapshot is not the state after its turn; of a damaged turn that is not known.
fn differs(taken: &SnapshotTaken, task: &Audited, turn: &Turn, sound: bool) -> Option<String> {
    if !sound {
        return None;
    }
    if taken.machine_version != turn.machine_version {
        let (one, other) = (taken.machine_version, turn.machine_version);
        return Some(format!("it is of version {one}, its turn of {other}"));
    }
    let Fold::Running(runner) = &task.fold else {
        return None;
    };
    if runner.task().version() as i32 != taken.machine_version {
        return None;
    }
    match runner.snapshot() {
        Ok(bytes) if Digest::of(&bytes) == taken.state => None,
        Ok(bytes) => Some(format!(
            "its state has digest {}, folding gives {}",
            taken.state,
            Digest::of(&bytes)
        )),
        Err(fault) => Some(fault.to_string()),
    }
}
