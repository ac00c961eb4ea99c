//! The broker's process, and Java.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A start takes 2.5 s on four idle cores; a loaded build machine may be ten times slower.
pub(crate) const START: Duration = Duration::from_secs(60);

/// Runs Java as the child of a shell that waits for its standard input to end. So Java dies with the test process,
/// however that dies, without unsafe code: the kernel closes the pipe. `keep` on the pipe means: leave the data.
const GUARD: &str = r#"
dir=$1; shift
"$@" >"$dir/broker.out" 2>&1 </dev/null &
broker=$!
echo $broker >"$dir/broker.pid"
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

impl Process {
    /// Starts the broker of a data directory; `java` may be any command that becomes Java.
    pub(crate) fn start(java: &Command, directory: &Path) -> Result<Self, String> {
        let _ = std::fs::remove_file(directory.join("broker.pid"));
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
        let guard = guard.spawn().map_err(|why| format!("sh: {why}"))?;
        Ok(Process { guard })
    }

    /// Waits until the broker answers at an address of plain text.
    pub(crate) fn await_answer(
        &mut self,
        directory: &Path,
        address: SocketAddr,
    ) -> Result<(), String> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if answers(address).is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = std::fs::read_to_string(directory.join("broker.out")).unwrap_or_default();
        Err(format!(
            "Kafka did not answer on {address} within {START:?}: {said}"
        ))
    }

    /// Kills the broker; its data stay.
    pub(crate) fn kill(mut self) {
        self.end("keep\n");
    }

    /// Kills the broker; its data go.
    pub(crate) fn remove(mut self) {
        self.end("");
    }

    fn end(&mut self, word: &str) {
        if let Some(mut pipe) = self.guard.stdin.take() {
            let _ = pipe.write_all(word.as_bytes());
        }
        let _ = self.guard.wait();
    }
}

/// Sends a signal to the broker of a data directory.
pub(crate) fn signal(directory: &Path, signal: &str) -> Result<(), String> {
    let pid = std::fs::read_to_string(directory.join("broker.pid"))
        .map_err(|why| format!("no broker runs in {}: {why}", directory.display()))?;
    let sent = Command::new("kill").args([signal, pid.trim()]).status();
    match sent {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("kill {signal}: {status}")),
        Err(why) => Err(format!("kill: {why}")),
    }
}

/// Java on the broker's jars, with so much memory, perhaps behind a command that runs it elsewhere.
pub(crate) fn java(libs: &Path, memory: &str, behind: &[OsString]) -> Command {
    let mut words = behind.iter().cloned().chain(["java".into()]);
    let mut java = Command::new(words.next().unwrap_or_default());
    java.args(words);
    // The first compiler only: a test broker lives for seconds, and starts a third faster so.
    java.arg(memory)
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(libs.join("*"));
    java
}

/// Runs a Java class, or a source file of one, to its end.
pub(crate) fn tool(
    libs: &Path,
    class: &str,
    arguments: &[&str],
    input: &str,
) -> Result<String, String> {
    let mut tool = java(libs, "-Xmx256m", &[]);
    tool.arg(class).args(arguments);
    run(&mut tool, class, input)
}

/// Runs a command to its end; gives what it printed.
pub(crate) fn run(command: &mut Command, name: &str, input: &str) -> Result<String, String> {
    let program = || command_name(name);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|why| format!("{}: {why}", program()))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A tool that ends early says why below.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|why| format!("{}: {why}", program()))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{name} failed: {said}{printed}"))
    }
}

fn command_name(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or(name)
}

/// Asks for the API versions (the smallest request there is), which a broker answers once it serves clients.
pub(crate) fn answers(address: SocketAddr) -> Option<()> {
    // Request 18, version 0.
    ask(address, 18, &[]).map(|_| ())
}

/// Asks a broker something in Kafka's protocol, version 0 of a request; gives the answer after its header.
pub(crate) fn ask(address: SocketAddr, request: u8, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let length = u32::try_from(10 + body.len()).ok()?;
    let mut message = length.to_be_bytes().to_vec();
    // The request, version 0, correlation 1, no client id.
    message.extend([0, request, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    message.extend(body);
    stream.write_all(&message).ok()?;
    let mut header = [0; 8];
    stream.read_exact(&mut header).ok()?;
    let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let mut answer = vec![0; (length as usize).checked_sub(4)?];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}
