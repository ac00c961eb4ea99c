//! Faults on a real broker. A paced run goes on while something is killed, stopped, taken away or put in; what is in the
//! log in the end must be what an undisturbed run leaves there, record for record.
//!
//! [`Site`] is a project on brokers with the processes that serve it; whichever ends is started again, as a supervisor
//! would. [`scenarios`] says what goes wrong.

mod fleet;
mod publication;
pub mod scenarios;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mainstem_host::Store;
use mainstem_host::blobs::DirBlobs;
use mainstem_host::store::Place;
use mainstem_log_kafka::{KafkaLog, Options};
use tempfile::TempDir;

use crate::binary::{PROJECT, rows};
use crate::history::{Differences, History, history};
use fleet::{Fleet, PUBLISH, Role};

/// Name of the project.
const NAME: &str = "electricity";

/// Rows before the first training; a week has 336.
const BEFORE: usize = 5_000;
const WEEK: usize = 336;

/// How long a run may take before it counts as stuck: one without faults takes a minute.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// Numbers drawn from a seed, so that a campaign can be repeated.
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// A project on brokers, and the processes that serve it.
pub struct Site {
    dir: TempDir,
    brokers: String,
    fleet: Fleet,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was done to it.
    pub done: String,
    /// How often a process was started again after it had ended by itself.
    pub restarts: usize,
    /// How the history differs from an undisturbed one.
    pub differences: Differences,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome {
            done,
            restarts,
            differences,
            took,
        } = self;
        write!(
            f,
            "{:>4} s  {done}; {restarts} restarts by the supervisor; {differences}",
            took.as_secs()
        )
    }
}

impl Site {
    /// Applies the project with so many weeks of data after the first training, and starts its services.
    ///
    /// # Panics
    /// Where it cannot be applied.
    #[must_use]
    pub fn new(brokers: &str, weeks: usize, processors: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mainstem.yaml"), PROJECT).unwrap();
        std::fs::write(dir.path().join("market.csv"), rows(BEFORE + weeks * WEEK)).unwrap();
        let mut fleet = Fleet::new(dir.path(), &place(brokers, dir.path()));
        fleet.run(&["apply", "--actor", "test", "-f", "mainstem.yaml"]);
        for _ in 0..processors {
            fleet.start(Role::Processor);
        }
        fleet.start(Role::Gateway);
        fleet.start(Role::Publisher);
        Site {
            dir,
            brokers: brokers.into(),
            fleet,
        }
    }

    /// Its log and blobs.
    ///
    /// # Panics
    /// Where no broker answers.
    #[must_use]
    pub fn store(&self) -> Store {
        let log = KafkaLog::connect(Options::new(&self.brokers, NAME)).unwrap();
        Store {
            place: Place::kafka(&self.brokers, NAME),
            log: Arc::new(log),
            blobs: Arc::new(DirBlobs::open(&self.dir.path().join("blobs")).unwrap()),
        }
    }

    /// Lets something happen again and again, until the publication is through.
    ///
    /// # Panics
    /// Where the run does not come to its end.
    pub fn play(mut self, weeks: usize, happen: &mut dyn Happen) -> Outcome {
        let begun = Instant::now();
        while !self.fleet.is_published() {
            assert!(
                begun.elapsed() < PATIENCE,
                "the run is stuck after {}: {}",
                happen.done(),
                self.fleet.last_words()
            );
            std::thread::sleep(Duration::from_millis(20));
            happen.look(&mut self, begun.elapsed());
            self.fleet.start_again();
        }
        let took = begun.elapsed();
        happen.end(&mut self);
        self.fleet.end();
        let mut found = history(&self.store(), NAME);
        happen.set_aside(&mut found);
        Outcome {
            done: happen.done(),
            restarts: self.fleet.restarts(),
            differences: Differences::between(undisturbed(weeks), &found),
            took,
        }
    }
}

/// What goes wrong in a run.
pub trait Happen {
    /// Asked again and again while the run goes on.
    fn look(&mut self, site: &mut Site, since: Duration);

    /// What was done so far, in words.
    fn done(&self) -> String;

    /// Once the publication is through, before the log is read.
    fn end(&mut self, _site: &mut Site) {}

    /// Takes out of the history what was put in, and what is rightly there because of it.
    fn set_aside(&self, _found: &mut History) {}
}

/// The options of a command that name the place.
fn place(brokers: &str, dir: &Path) -> Vec<String> {
    let blobs = dir.join("blobs").display().to_string();
    ["--kafka", brokers, "--project", NAME, "--blobs", &blobs]
        .map(str::to_owned)
        .into()
}

/// The history of an undisturbed run on the embedded log, which is what it is on Kafka.
///
/// # Panics
/// Where it fails.
pub fn undisturbed(weeks: usize) -> &'static History {
    static KNOWN: OnceLock<(usize, History)> = OnceLock::new();
    let (known, history) = KNOWN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mainstem.yaml"), PROJECT).unwrap();
        std::fs::write(dir.path().join("market.csv"), rows(BEFORE + weeks * WEEK)).unwrap();
        let mut fleet = Fleet::new(dir.path(), &["--dir".into(), "data".into()]);
        fleet.run(&["apply", "--actor", "test", "-f", "mainstem.yaml"]);
        fleet.start(Role::Processor);
        fleet.run(&PUBLISH);
        fleet.end();
        let store = Store::open(&dir.path().join("data")).unwrap();
        (weeks, history(&store, NAME))
    });
    assert_eq!(*known, weeks, "one length of data a process");
    history
}
