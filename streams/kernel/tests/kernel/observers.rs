//! What a worker tells whoever watches it.

use std::sync::{Arc, Mutex};

use mainstem_kernel::log::{Commit, CommitError};
use mainstem_kernel::worker::commit;
use mainstem_kernel::{Log, Observer, TaskId};
use mainstem_schemas::events::Turn;

use crate::restores::{World, often, sums};
use crate::{at, numbers};

/// Writes down what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Heard {
    fn changed_hands(&self, gained: &[TaskId], lost: &[TaskId]) {
        self.note(format!("gained {} lost {}", gained.len(), lost.len()));
    }

    fn restoring(&self, task: &TaskId) {
        self.note(format!("restoring {task}"));
    }

    fn resumed(&self, _: &TaskId, snapshot: i64, last: i64) {
        self.note(format!("from {snapshot} to {last}"));
    }

    fn refolded(&self, _: &TaskId, turn: &Turn) {
        self.note(format!("turn {} again", turn.number));
    }

    fn restored(&self, task: &TaskId) {
        self.note(format!("restored {task}"));
    }

    fn not_restored(&self, task: &TaskId) {
        self.note(format!("not restored {task}"));
    }

    fn committing(&self) {
        self.note("committing".into());
    }

    fn committed(&self, commits: &[Commit]) {
        self.note(format!("committed {}", commits.len()));
    }

    fn refused(&self, error: &CommitError) {
        self.note(format!("refused: {error}"));
    }
}

#[test]
fn a_worker_tells_what_it_restores_from_where_and_how_its_commits_end() {
    let world = World::new();
    world.work(7, often(5), sums());
    let heard = Arc::new(Heard::default());
    let crew = world.crew(often(5), sums());
    let mut crew = crew.observed_by(Arc::clone(&heard) as Arc<dyn Observer>);
    let tasks = std::slice::from_ref(&world.spec);
    crew.step(tasks).unwrap();
    let expected = [
        "gained 1 lost 0",
        "restoring sum/toy/0",
        "from 5 to 7",
        "turn 6 again",
        "turn 7 again",
        "restored sum/toy/0",
    ];
    assert_eq!(heard.taken(), expected);

    let mut writer = world.log.writer("feed").unwrap();
    writer
        .append(&[(at("numbers"), numbers([1.0], 9))])
        .unwrap();
    crew.step(tasks).unwrap();
    assert_eq!(heard.taken(), ["committing", "committed 1"]);

    // A worker that does not own the task.
    let mut stranger = world.log.worker("stranger").unwrap();
    let outcome = Commit {
        task: world.spec.id.clone(),
        turn: None,
        outputs: Vec::new(),
    };
    let refused = commit(stranger.as_mut(), &[outcome], heard.as_ref()).unwrap_err();
    assert!(matches!(refused, CommitError::Fenced(_)), "{refused}");
    let expected = ["committing".to_owned(), format!("refused: {refused}")];
    assert_eq!(heard.taken(), expected);
}

#[test]
fn a_task_that_cannot_be_restored_is_told_as_such() {
    let world = World::new();
    world.work(3, often(100), sums());
    // Its inputs are gone: what it has folded cannot be folded again.
    world.log.truncate(&at("numbers"), 6).unwrap();
    let heard = Arc::new(Heard::default());
    let crew = world.crew(often(100), sums());
    let mut crew = crew.observed_by(Arc::clone(&heard) as Arc<dyn Observer>);
    let progress = crew.step(std::slice::from_ref(&world.spec)).unwrap();
    assert_eq!(progress.stopped.len(), 1);
    let told = heard.taken();
    assert_eq!(told.last().unwrap(), "not restored sum/toy/0", "{told:?}");
}
