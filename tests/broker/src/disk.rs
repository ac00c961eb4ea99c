//! A broker on a small disk of its own, which can be filled.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::node::{Node, Plan};
use crate::{again, fetch_jars, free_ports, process};

/// Mounts a file system in memory where only its own children see it, and holds it until its input ends.
const HOLDER: &str =
    r#"mkdir -p "$1" && mount -t tmpfs -o size="$2"m tmpfs "$1" && echo mounted && read _"#;

/// Small index files: Kafka makes two of 10 MB a partition.
const SMALL: &str = "log.index.size.max.bytes=65536\n";

/// A broker whose log directory is a file system of a few megabytes.
#[derive(Debug)]
pub struct SmallDisk {
    // Before the holder: the broker runs on its file system.
    node: Node,
    holder: Holder,
}

/// The process that the file system lives with.
#[derive(Debug)]
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Holder {
    fn mount(log: &std::path::Path, megabytes: u32) -> Option<Holder> {
        let holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", HOLDER, "sh"])
            .arg(log)
            .arg(megabytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut holder = Holder(holder.ok()?);
        let mut said = String::new();
        let output = holder.0.stdout.take()?;
        BufReader::new(output).read_line(&mut said).ok()?;
        (said == "mounted\n").then_some(holder)
    }

    /// The command that runs another where the file system is seen.
    fn within(&self) -> Vec<OsString> {
        let pid = self.0.id().to_string();
        let words = ["nsenter", "--user", "--mount", "--preserve-credentials"];
        let words = words.iter().copied().chain(["--target", &pid]);
        words.map(OsString::from).collect()
    }
}

impl SmallDisk {
    /// Starts a broker; nothing (and says so) where this machine lets nobody mount a file system.
    ///
    /// # Errors
    /// Where the broker does not start.
    pub fn start(megabytes: u32) -> Result<Option<SmallDisk>, String> {
        let libs = fetch_jars()?;
        let directory = Node::directory()?;
        if Holder::mount(&directory.join("log"), megabytes).is_none() {
            let _ = std::fs::remove_dir_all(&directory);
            eprintln!("left out: this machine lets nobody mount a small file system (`unshare`)");
            return Ok(None);
        }
        let _ = std::fs::remove_dir_all(&directory);
        again(|| {
            let directory = Node::directory()?;
            let holder = Holder::mount(&directory.join("log"), megabytes);
            let holder = holder.ok_or("no small file system could be mounted")?;
            let ports = free_ports(2)?;
            let plan = Plan {
                number: 1,
                listeners: &[("PLAINTEXT", "PLAINTEXT", ports[0])],
                controllers: &ports[1..],
                properties: SMALL,
                format: &[],
                memory: "-Xmx384m",
            };
            let mut node = Node::format(&libs, directory, &plan, holder.within())?;
            node.spawn()?;
            node.await_answer()?;
            Ok(Some(SmallDisk { node, holder }))
        })
    }

    /// `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.node.address.to_string()
    }

    /// Fills the disk to the last byte.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub fn fill(&self) -> Result<(), String> {
        // Ends with an error, as it is to.
        let _ = self.run(&["dd", "if=/dev/zero", "bs=4096", "of=ballast"]);
        self.run(&["test", "-s", "ballast"])
    }

    /// Makes room again.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub fn empty(&self) -> Result<(), String> {
        self.run(&["rm", "ballast"])
    }

    /// Starts the broker again (killing it first, if it runs): one whose log cannot be written ends by itself.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn restart(&mut self) -> Result<(), String> {
        self.node.spawn()?;
        self.node.await_answer()
    }

    fn run(&self, words: &[&str]) -> Result<(), String> {
        let mut command = self.holder.within().into_iter();
        let mut run = Command::new(command.next().unwrap_or_default());
        run.args(command)
            .args(["sh", "-c", r#"cd "$0" && exec "$@""#]);
        run.arg(self.node.directory.join("log")).args(words);
        process::run(&mut run, words[0], "").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_full_disk_refuses_writes_until_there_is_room() {
        if !crate::ours() {
            return;
        }
        let Some(mut disk) = SmallDisk::start(64).unwrap() else {
            return;
        };
        let at = disk.bootstrap();
        let create = |topic| {
            let words = ["--bootstrap-server", &at, "--create", "--topic", topic];
            let class = "org.apache.kafka.tools.TopicCommand";
            crate::tool(class, &words, "").map(drop)
        };
        create("before").unwrap();
        disk.fill().unwrap();
        let write = |topic: &str, line: &str| {
            let words = ["--bootstrap-server", &at, "--topic", topic, "--sync"];
            let short = ["--producer-property", "delivery.timeout.ms=4000"];
            let shorter = ["--producer-property", "request.timeout.ms=3000"];
            let sooner = ["--producer-property", "max.block.ms=4000"];
            // One that has no producer id yet as its broker dies waits for it without an end.
            let plain = ["--producer-property", "enable.idempotence=false"];
            let words = [&words[..], &short, &shorter, &sooner, &plain].concat();
            let class = "org.apache.kafka.tools.ConsoleProducer";
            crate::tool(class, &words, line)
        };
        let _ = write("before", &"x".repeat(100_000));
        let deadline = Instant::now() + process::START;
        while process::answers(disk.node.address).is_some() {
            assert!(Instant::now() < deadline, "the broker notices nothing");
        }
        disk.empty().unwrap();
        disk.restart().unwrap();
        create("after").unwrap();
        write("before", "y").unwrap();
    }
}
