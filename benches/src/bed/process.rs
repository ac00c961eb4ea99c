//! Processes that are measured.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A process that dies with this value.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process of this program that says where it listens.
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts it on these cores, and waits until it has said its address.
    pub fn start(cpus: &str, arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let child = Command::new("taskset")
            .args(["-c", cpus])
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let (mut process, mut line) = (Process(child), String::new());
        let said = process.0.stdout.take().ok_or("the process says nothing")?;
        BufReader::new(said).read_line(&mut line)?;
        let address = line.trim().parse();
        Ok(Server {
            process,
            address: address.map_err(|_| format!("{} did not start", arguments[0]))?,
        })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
