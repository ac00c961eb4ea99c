//! The broker's process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A start takes 2.5 s on four idle cores; a loaded build machine may be ten times slower.
const START: Duration = Duration::from_secs(60);

/// Any fixed 16 bytes in base64: the cluster never meets another one.
const CLUSTER: &str = "bWFpbnN0ZW0tdGVzdHMtMQ";

/// Runs Java as the child of a shell that waits for its standard input to end. So Java dies with the test process,
/// however that dies, without unsafe code: the kernel closes the pipe. `keep` on the pipe means: leave the data.
const GUARD: &str = r#"
dir=$1; shift
"$@" >"$dir/broker.out" 2>&1 </dev/null &
broker=$!
read word
kill -9 $broker
wait $broker 2>/dev/null
[ "$word" = keep ] || rm -rf "$dir"
"#;

/// A running broker.
#[derive(Debug)]
pub(crate) struct Process {
    guard: Child,
}

/// Makes a data directory, formatted for one node in both roles.
pub(crate) fn format(
    libs: &Path,
    broker: SocketAddr,
    controller: SocketAddr,
) -> Result<PathBuf, String> {
    let directory = tempfile::Builder::new()
        .prefix("mainstem-kafka-")
        .tempdir()
        .map_err(|why| format!("no temporary directory: {why}"))?;
    let log = directory.path().join("log");
    let properties = directory.path().join("server.properties");
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@{controller}\n\
         listeners=PLAINTEXT://{broker},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{broker}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={log}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.num.partitions=4\n\
         transaction.state.log.min.isr=1\n\
         transaction.abort.timed.out.transaction.cleanup.interval.ms=500\n\
         group.min.session.timeout.ms=1000\n\
         group.initial.rebalance.delay.ms=0\n",
        log = log.display()
    );
    std::fs::write(&properties, text).map_err(|why| format!("{}: {why}", properties.display()))?;
    let output = java(libs)
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
        .arg(&properties)
        .output()
        .map_err(|why| format!("java: {why}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("Kafka could not format its directory: {said}"));
    }
    Ok(directory.keep())
}

impl Process {
    /// Starts the broker and waits until it answers.
    pub(crate) fn start(
        libs: &Path,
        directory: &Path,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let java = java(libs);
        let mut guard = Command::new("sh");
        guard
            .args(["-c", GUARD, "sh"])
            .arg(directory)
            .arg(java.get_program())
            .args(java.get_args())
            .arg("kafka.Kafka")
            .arg(directory.join("server.properties"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: an interrupt at the terminal ends the test, and the closed pipe ends the broker.
            .process_group(0);
        let mut process = Process {
            guard: guard.spawn().map_err(|why| format!("sh: {why}"))?,
        };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if answers(address).is_some() {
                return Ok(process);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = std::fs::read_to_string(directory.join("broker.out")).unwrap_or_default();
        process.end("");
        Err(format!(
            "Kafka did not answer on {address} within {START:?}: {said}"
        ))
    }

    /// Kills the broker; its data stay.
    pub(crate) fn kill(mut self) {
        self.end("keep\n");
    }

    fn end(&mut self, word: &str) {
        if let Some(mut pipe) = self.guard.stdin.take() {
            let _ = pipe.write_all(word.as_bytes());
        }
        let _ = self.guard.wait();
    }
}

fn java(libs: &Path) -> Command {
    let mut java = Command::new("java");
    // The first compiler only: a test broker lives for seconds, and starts a third faster so.
    java.args([
        "-Xmx1g",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
    ])
    .arg(libs.join("*"));
    java
}

/// Runs a Java class to its end.
pub(crate) fn tool(
    libs: &Path,
    class: &str,
    arguments: &[&str],
    input: &str,
) -> Result<String, String> {
    let mut tool = java(libs);
    tool.arg(class).args(arguments);
    tool.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = tool.spawn().map_err(|why| format!("java: {why}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A tool that ends early says why below.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|why| format!("java: {why}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{class} failed: {said}"))
    }
}

/// Asks for the API versions (the smallest request there is), which a broker answers once it serves clients.
pub(crate) fn answers(address: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    // Length 10, ApiVersions (18) version 0, correlation 1, no client id.
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    stream.write_all(&request).ok()?;
    stream.read_exact(&mut [0; 8]).ok()
}
