//! A Kafka broker as one would run it for speed: the second compiler, a concurrent collector and socket buffers as large as
//! the system makes them (by default 100 KB, a tenth of a batch), on a core of its own.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Process;

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// Any fixed 16 bytes in base64.
const CLUSTER: &str = "bWFpbnN0ZW0tYmVuY2gtMQ";

/// A running broker, which dies with this value.
pub struct Broker {
    /// `host:port`.
    pub bootstrap: String,
    process: Process,
}

impl Broker {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }
}

fn free_port() -> Result<u16, std::io::Error> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Starts a broker of one node with its data in `dir`, on the cores that `cpus` lists as `taskset` takes them. It is quick
/// to give back the disk of what is deleted.
pub fn start(libs: &Path, dir: &Path, cpus: &str) -> Result<Broker, Box<dyn Error>> {
    let (port, controller) = (free_port()?, free_port()?);
    let bootstrap = format!("127.0.0.1:{port}");
    let properties = dir.join("server.properties");
    std::fs::write(
        &properties,
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://{bootstrap},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://{bootstrap}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             socket.receive.buffer.bytes=-1\n\
             socket.send.buffer.bytes=-1\n\
             log.retention.ms=-1\n\
             log.segment.bytes=268435456\n\
             log.segment.delete.delay.ms=1000\n\
             log.retention.check.interval.ms=10000\n\
             auto.create.topics.enable=false\n",
            dir.join("log").display()
        ),
    )?;
    let classes = libs.join("*");
    let formatted = Command::new("java")
        .arg("-cp")
        .arg(&classes)
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
        .arg(&properties)
        .output()?;
    if !formatted.status.success() {
        return Err(String::from_utf8_lossy(&formatted.stderr).into());
    }
    let said = std::fs::File::create(dir.join("broker.out"))?;
    let child = Command::new("taskset")
        .args([
            "-c",
            cpus,
            "java",
            "-Xms1g",
            "-Xmx1g",
            "-XX:+UseG1GC",
            "-cp",
        ])
        .arg(&classes)
        .arg("kafka.Kafka")
        .arg(&properties)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()?;
    let broker = Broker {
        bootstrap: bootstrap.clone(),
        process: Process(child),
    };
    let deadline = Instant::now() + START;
    while TcpStream::connect(&bootstrap).is_err() {
        if Instant::now() > deadline {
            return Err(format!("the broker did not answer within {START:?}").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // It answers before it serves clients.
    std::thread::sleep(Duration::from_secs(2));
    Ok(broker)
}
