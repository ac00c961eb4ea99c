//! Test support: a real Apache Kafka, so that the promises of transactions and groups are proved and not mocked.
//!
//! [`Broker::for_tests`] is what a test calls: one broker per test binary, started from jars that Maven fetched (or
//! the one named by `MAINSTEM_TEST_KAFKA=host:port`), `None` where the developer left these tests out. A test that
//! kills and restarts its broker starts one of its own with [`Broker::start`]. `cargo xtask test --setup` calls
//! [`fetch_jars`] beforehand, so that tests never wait for a download.
#![forbid(unsafe_code)]

mod jars;
mod process;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::OnceLock;

pub use jars::fetch_jars;
use process::Process;

/// Names a broker that already runs, as `host:port`.
pub const KAFKA: &str = "MAINSTEM_TEST_KAFKA";
/// Set by `cargo xtask test --without-kafka`: the tests that need a broker say so and pass.
pub const WITHOUT_KAFKA: &str = "MAINSTEM_TEST_WITHOUT_KAFKA";

/// A Kafka broker; it dies with this value, and with this process.
#[derive(Debug)]
pub struct Broker {
    bootstrap: String,
    own: Option<Own>,
}

/// What is needed to start our own broker again on the same data and the same port.
#[derive(Debug)]
struct Own {
    libs: PathBuf,
    directory: PathBuf,
    process: Option<Process>,
}

impl Broker {
    /// The broker that the tests of one binary share, or nothing where they were left out.
    ///
    /// # Errors
    /// Where no broker can be had; the text names the ways out.
    pub fn for_tests() -> Result<Option<&'static Broker>, String> {
        static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
        if left_out() {
            return Ok(None);
        }
        match SHARED.get_or_init(Broker::start) {
            Ok(broker) => Ok(Some(broker)),
            Err(why) => Err(why.clone()),
        }
    }

    /// Starts a broker of one node on free ports, or takes the one that `MAINSTEM_TEST_KAFKA` names.
    ///
    /// # Errors
    /// Where no broker can be had; the text names the ways out.
    pub fn start() -> Result<Broker, String> {
        if let Some(bootstrap) = std::env::var_os(KAFKA) {
            let bootstrap = bootstrap.to_string_lossy().into_owned();
            return Ok(Broker {
                bootstrap,
                own: None,
            });
        }
        let libs = fetch_jars()?;
        // Between finding a port free and the broker's taking it, another process may take it: try again then.
        let mut last = String::new();
        for _ in 0..3 {
            let (broker, controller) = (free_port()?, free_port()?);
            let directory = process::format(&libs, broker, controller)?;
            match Process::start(&libs, &directory, broker) {
                Ok(process) => {
                    return Ok(Broker {
                        bootstrap: broker.to_string(),
                        own: Some(Own {
                            libs,
                            directory,
                            process: Some(process),
                        }),
                    });
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// `host:port`, for the client's `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Runs one of Kafka's own Java tools by its class, with this text as its standard input; gives what it printed.
    ///
    /// # Errors
    /// What the tool said, where it failed.
    pub fn tool(&self, class: &str, arguments: &[&str], input: &str) -> Result<String, String> {
        process::tool(&fetch_jars()?, class, arguments, input)
    }

    /// Kills the broker as a power cut would; the data stay.
    ///
    /// # Errors
    /// Where the broker is not ours to kill.
    pub fn kill(&mut self) -> Result<(), String> {
        let own = self.own.as_mut().ok_or_else(not_ours)?;
        if let Some(process) = own.process.take() {
            process.kill();
        }
        Ok(())
    }

    /// Starts the broker again (killing it first, if it runs) on the same port and data.
    ///
    /// # Errors
    /// Where the broker is not ours, or does not start.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill()?;
        let address: SocketAddr = self
            .bootstrap
            .parse()
            .map_err(|why| format!("{}: {why}", self.bootstrap))?;
        let own = self.own.as_mut().ok_or_else(not_ours)?;
        own.process = Some(Process::start(&own.libs, &own.directory, address)?);
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            if let Some(process) = own.process.take() {
                process.kill();
            }
            let _ = std::fs::remove_dir_all(&own.directory);
        }
    }
}

/// Whether the developer left the tests out that need a broker; says so where they did.
#[must_use]
pub fn left_out() -> bool {
    let out = std::env::var_os(WITHOUT_KAFKA).is_some_and(|value| value != "0");
    if out {
        eprintln!("left out: this test needs Kafka, and {WITHOUT_KAFKA} is set");
    }
    out
}

fn not_ours() -> String {
    format!("the broker was named by {KAFKA}: it is not ours to kill")
}

fn free_port() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|why| format!("no free port: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_starts_dies_and_comes_back() {
        if left_out() || std::env::var_os(KAFKA).is_some() {
            return;
        }
        let mut broker = Broker::start().unwrap();
        let address: SocketAddr = broker.bootstrap().parse().unwrap();
        assert!(process::answers(address).is_some());
        broker.kill().unwrap();
        assert!(process::answers(address).is_none());
        broker.restart().unwrap();
        assert!(process::answers(address).is_some());
        let directory = broker.own.as_ref().unwrap().directory.clone();
        drop(broker);
        assert!(process::answers(address).is_none());
        assert!(!directory.exists());
    }
}
