//! A directory as a user has one: a project file, data, and the log beside them.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mainstem_host::Store;
use tempfile::TempDir;

use crate::process::{Ended, Process, Variables};

/// Where commands keep the log unless they are told otherwise.
const DATA: &str = "mainstem-data";

pub struct Place {
    dir: TempDir,
    data: PathBuf,
    store: OnceCell<Store>,
    commands: Cell<u32>,
}

impl Place {
    /// With a project file that is not applied yet.
    pub fn new(project: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("said")).unwrap();
        let place = Place {
            data: dir.path().join(DATA),
            dir,
            store: OnceCell::new(),
            commands: Cell::new(0),
        };
        place.write("mainstem.yaml", project);
        place
    }

    /// With a project in force.
    pub fn applied(project: &str) -> Place {
        let place = Place::new(project);
        place.run(&["apply"]).with(0);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The same with the log elsewhere.
    pub fn with_data(self, dir: &Path) -> Place {
        Place {
            data: dir.to_owned(),
            store: OnceCell::new(),
            ..self
        }
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Starts a command and goes on.
    pub fn start(&self, args: &[&str]) -> Process {
        self.start_with(args, &[], Stdio::null())
    }

    /// Starts a command that reads what the test sends it.
    pub fn fed(&self, args: &[&str]) -> Process {
        self.start_with(args, &[], Stdio::piped())
    }

    /// Starts a command with more in its environment.
    pub fn start_with(&self, args: &[&str], variables: Variables<'_>, input: Stdio) -> Process {
        Process::start(self.dir.path(), &self.said(), args, variables, input)
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    fn said(&self) -> PathBuf {
        self.commands.set(self.commands.get() + 1);
        Path::new(self.dir.path()).join(format!("said/{}", self.commands.get()))
    }

    /// The log, as this process sees it beside the others.
    pub fn store(&self) -> &Store {
        self.store.get_or_init(|| Store::open(&self.data).unwrap())
    }

    /// Recomputes everything: no mismatch.
    #[track_caller]
    pub fn verify(&self) {
        let ended = self.run(&["audit", "verify"]).with(0);
        assert!(ended.out.contains("\n0 mismatches"), "{}", ended.out);
    }
}
