//! Processes of the binary, ended with the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to what a test waits for: far beyond what it takes, on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a test looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Variables of the environment.
pub type Variables<'a> = &'a [(&'a str, &'a str)];

/// A command that runs.
pub struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    what: String,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Process {
    /// Starts the binary in a directory; what it says goes to files of that name under `said`.
    pub fn start(
        dir: &Path,
        said: &Path,
        args: &[&str],
        variables: Variables<'_>,
        input: Stdio,
    ) -> Process {
        let (out, err) = (said.with_extension("out"), said.with_extension("err"));
        let child = Command::new(env!("CARGO_BIN_EXE_mainstem"))
            .args(args)
            .current_dir(dir)
            .env("MAINSTEM_ACTOR", "test")
            .envs(variables.iter().copied())
            .stdin(input)
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let what = args.join(" ");
        Process {
            child,
            out,
            err,
            what,
        }
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever had, in kilobytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        peak.unwrap().parse().unwrap()
    }

    /// Where what the test sends it goes.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it says something on standard output.
    pub fn says(&mut self, text: &str) {
        until(&format!("`{}` says {text:?}", self.what), || {
            let said = self.out().contains(text);
            assert!(said || self.is_alive(), "{}{}", self.out(), self.err());
            said
        });
    }

    /// Waits until it says something on standard error.
    pub fn warns(&mut self, text: &str) {
        until(&format!("`{}` warns {text:?}", self.what), || {
            self.err().contains(text)
        });
    }

    /// Where it listens.
    pub fn address(&mut self) -> SocketAddr {
        const BEFORE: &str = "listening on http://";
        self.says(BEFORE);
        self.says("is up in");
        let said = self.out();
        let (_, after) = said.split_once(BEFORE).unwrap();
        after.lines().next().unwrap().parse().unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGINT, as Ctrl-C sends it; says how long the process then took to end.
    pub fn interrupt(self) -> (Ended, Duration) {
        let begun = Instant::now();
        let sent = Command::new("kill")
            .args(["-INT", &self.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        (self.end(), begun.elapsed())
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let what = format!("`{}` ends", self.what);
        until(&what, || !self.is_alive());
        let code = self.child.wait().unwrap().code();
        Ended {
            code,
            out: self.out(),
            err: self.err(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        assert!(
            std::thread::panicking() || !self.err().contains("panicked"),
            "`{}` panicked: {}",
            self.what,
            self.err()
        );
    }
}

impl Ended {
    /// Checks the exit code.
    #[track_caller]
    pub fn with(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    /// Checks that standard error names all of these.
    #[track_caller]
    pub fn naming(self, words: &[&str]) -> Ended {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
        self
    }
}
