//! The processes of a site.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::binary::mainstem;

/// The publication's command.
pub const PUBLISH: [&str; 7] = [
    "publish",
    "market",
    "market.csv",
    "--pace",
    "7d",
    "--actor",
    "test",
];

/// A service, or the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Workers.
    Processor,
    /// The HTTP doors.
    Gateway,
    /// The paced publication.
    Publisher,
}

/// A process that was started.
pub struct Member {
    pub role: Role,
    child: Child,
    said: PathBuf,
}

/// All of them.
pub struct Fleet {
    dir: PathBuf,
    place: Vec<String>,
    pub members: Vec<Member>,
    started: usize,
    restarts: usize,
    resumes: bool,
    published: bool,
}

impl Fleet {
    pub fn new(dir: &Path, place: &[String]) -> Self {
        Fleet {
            dir: dir.into(),
            place: place.into(),
            members: Vec::new(),
            started: 0,
            restarts: 0,
            resumes: false,
            published: false,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = mainstem();
        command.args(words).args(&self.place).current_dir(&self.dir);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) {
        let output = self.command(words).output().unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Starts a service beside those there are.
    pub fn start(&mut self, role: Role) {
        let member = self.spawn(role);
        self.members.push(member);
    }

    fn spawn(&mut self, role: Role) -> Member {
        let words: &[&str] = match role {
            Role::Processor => &["run", "processor"],
            Role::Gateway => &["run", "gateway", "--port", "0"],
            Role::Publisher => &PUBLISH,
        };
        self.started += 1;
        let said = self.dir.join(format!("said-{}", self.started));
        let mut command = self.command(words);
        if role == Role::Publisher && self.resumes {
            command.arg("--resume");
        }
        let child = command
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Member { role, child, said }
    }

    /// SIGKILL, and another in its place.
    pub fn kill(&mut self, index: usize) {
        let member = &mut self.members[index];
        let _ = member.child.kill();
        let _ = member.child.wait();
        self.replace(index);
    }

    /// A publication goes on where the one before was, if that had begun.
    fn replace(&mut self, index: usize) {
        let role = self.members[index].role;
        if role == Role::Publisher {
            let said = std::fs::read_to_string(&self.members[index].said).unwrap_or_default();
            self.resumes = !said.contains("publish it without --resume");
        }
        self.members[index] = self.spawn(role);
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, index: usize, stop: bool) {
        let member = &self.members[index];
        let signal = if stop { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill")
            .args([signal, &member.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends the last processor as an operator does who scales down.
    pub fn scale_down(&mut self) {
        let is = |member: &Member| member.role == Role::Processor;
        let index = self.members.iter().rposition(is).unwrap();
        let mut member = self.members.remove(index);
        let id = member.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let _ = member.child.wait();
    }

    /// Starts whatever has ended by itself; a publication that came to its end is published.
    pub fn start_again(&mut self) {
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            let Some(status) = member.child.try_wait().unwrap() else {
                continue;
            };
            if member.role == Role::Publisher && status.success() {
                self.published = true;
                return;
            }
            self.restarts += 1;
            self.replace(index);
        }
    }

    pub fn is_published(&self) -> bool {
        self.published
    }

    pub fn restarts(&self) -> usize {
        self.restarts
    }

    /// The ends of what each has said.
    pub fn last_words(&self) -> String {
        let words = self.members.iter().map(|member| {
            let said = std::fs::read_to_string(&member.said).unwrap_or_default();
            let lines: Vec<&str> = said.lines().rev().take(3).collect();
            format!("\n{:?}: {}", member.role, lines.join(" | "))
        });
        words.collect()
    }

    /// Ends all of them.
    pub fn end(&mut self) {
        for mut member in self.members.drain(..) {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}
