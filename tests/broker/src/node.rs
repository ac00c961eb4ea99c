//! One node: its properties, its directory, and its process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::process::{self, Process};

/// Any fixed 16 bytes in base64: the cluster never meets another one.
const CLUSTER: &str = "bWFpbnN0ZW0tdGVzdHMtMQ";

/// What a node is to be.
pub(crate) struct Plan<'a> {
    /// Number of the node, from 1: its place in `controllers`.
    pub(crate) number: usize,
    /// Names with their protocols and addresses; the first is the one that brokers use among themselves.
    pub(crate) listeners: &'a [(&'a str, &'a str, SocketAddr)],
    /// All nodes' controllers.
    pub(crate) controllers: &'a [SocketAddr],
    /// Further lines of properties.
    pub(crate) properties: &'a str,
    /// Further arguments of the formatting tool.
    pub(crate) format: &'a [&'a str],
    /// Memory, as Java takes it.
    pub(crate) memory: &'static str,
}

/// A node, running or not; its data go with this value, and with this process.
#[derive(Debug)]
pub(crate) struct Node {
    libs: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) address: SocketAddr,
    memory: &'static str,
    /// The command that runs Java elsewhere: in the namespace that sees the node's disk.
    behind: Vec<OsString>,
    process: Option<Process>,
}

impl Node {
    /// Makes a directory for a node; nothing runs in it yet.
    pub(crate) fn directory() -> Result<PathBuf, String> {
        let directory = tempfile::Builder::new().prefix("mainstem-kafka-").tempdir();
        let directory = directory.map_err(|why| format!("no temporary directory: {why}"))?;
        Ok(directory.keep())
    }

    /// Formats a node in a directory.
    pub(crate) fn format(
        libs: &Path,
        directory: PathBuf,
        plan: &Plan<'_>,
        behind: Vec<OsString>,
    ) -> Result<Self, String> {
        let address = plan.listeners.first().map(|(_, _, address)| *address);
        let node = Node {
            libs: libs.into(),
            address: address.ok_or("a node without a listener")?,
            memory: plan.memory,
            directory,
            behind,
            process: None,
        };
        let properties = node.directory.join("server.properties");
        std::fs::write(&properties, plan.text(&node.directory))
            .map_err(|why| format!("{}: {why}", properties.display()))?;
        let mut tool = process::java(libs, "-Xmx128m", &node.behind);
        tool.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]);
        tool.arg(&properties).args(plan.format);
        process::run(&mut tool, "Kafka's formatting", "")?;
        Ok(node)
    }

    /// Starts the node without waiting for it.
    pub(crate) fn spawn(&mut self) -> Result<(), String> {
        self.kill();
        let java = process::java(&self.libs, self.memory, &self.behind);
        self.process = Some(Process::start(&java, &self.directory)?);
        Ok(())
    }

    /// Waits until the node answers at its first listener, which speaks plain text.
    pub(crate) fn await_answer(&mut self) -> Result<(), String> {
        match &mut self.process {
            Some(process) => process.await_answer(&self.directory, self.address),
            None => Err("the node does not run".into()),
        }
    }

    /// Kills the node as a power cut would; the data stay.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Whether the node was started and not killed by us.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Stops the node without ending it, as a virtual machine's pause would.
    pub(crate) fn suspend(&self) -> Result<(), String> {
        process::signal(&self.directory, "-STOP")
    }

    /// Lets a stopped node go on.
    pub(crate) fn resume(&self) -> Result<(), String> {
        process::signal(&self.directory, "-CONT")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.remove();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Plan<'_> {
    fn text(&self, directory: &Path) -> String {
        let list = |words: Vec<String>| words.join(",");
        let named = |(name, _, address): &(&str, &str, SocketAddr)| format!("{name}://{address}");
        let listeners = list(self.listeners.iter().map(named).collect());
        let protocol =
            |(name, protocol, _): &(&str, &str, SocketAddr)| format!("{name}:{protocol}");
        let protocols = list(self.listeners.iter().map(protocol).collect());
        let first = self.listeners.first().map_or("", |(name, _, _)| name);
        let voter = |(at, address)| format!("{}@{address}", at + 1);
        let voters = list(self.controllers.iter().enumerate().map(voter).collect());
        let controller = self.controllers[self.number - 1];
        let nodes = self.controllers.len();
        format!(
            "process.roles=broker,controller\n\
             node.id={number}\n\
             controller.quorum.voters={voters}\n\
             listeners={listeners},CONTROLLER://{controller}\n\
             advertised.listeners={listeners}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name={first}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}\n\
             log.dirs={log}\n\
             auto.create.topics.enable=false\n\
             default.replication.factor={nodes}\n\
             offsets.topic.replication.factor={nodes}\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor={nodes}\n\
             transaction.state.log.num.partitions=4\n\
             transaction.state.log.min.isr={isr}\n\
             min.insync.replicas={isr}\n\
             transaction.abort.timed.out.transaction.cleanup.interval.ms=500\n\
             group.min.session.timeout.ms=1000\n\
             group.initial.rebalance.delay.ms=0\n\
             {more}",
            number = self.number,
            log = directory.join("log").display(),
            isr = if nodes >= 3 { 2 } else { 1 },
            more = self.properties,
        )
    }
}
