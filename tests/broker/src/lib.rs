//! Test support: a real Apache Kafka, so that the promises of transactions and groups are proved and not mocked.
//!
//! [`Broker::for_tests`] is what a test calls: one broker per test binary, started from jars that Maven fetched (or
//! the one named by `MAINSTEM_TEST_KAFKA=host:port`), `None` where the developer left these tests out. A test that
//! kills and restarts its broker starts one of its own with [`Broker::start`]. `cargo xtask test --setup` calls
//! [`fetch_jars`] beforehand, so that tests never wait for a download.
//!
//! Three more kinds are always our own: a [`Cluster`] of three nodes, a [`Secured`] broker (TLS, SCRAM, ACLs), and one
//! on a [`SmallDisk`]. A test asks [`ours`] first, which is false where these tests were left out or a broker is named.
#![forbid(unsafe_code)]

mod certificates;
mod cluster;
mod disk;
mod jars;
mod node;
mod process;
mod secured;

use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;

pub use cluster::Cluster;
pub use disk::SmallDisk;
pub use jars::fetch_jars;
use node::{Node, Plan};
pub use secured::Secured;

/// Names a broker that already runs, as `host:port`.
pub const KAFKA: &str = "MAINSTEM_TEST_KAFKA";
/// Set by `cargo xtask test --without-kafka`: the tests that need a broker say so and pass.
pub const WITHOUT_KAFKA: &str = "MAINSTEM_TEST_WITHOUT_KAFKA";

/// A Kafka broker; it dies with this value, and with this process.
#[derive(Debug)]
pub struct Broker {
    bootstrap: String,
    own: Option<Node>,
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
        let node = again(|| {
            let ports = free_ports(2)?;
            let plan = Plan {
                number: 1,
                listeners: &[("PLAINTEXT", "PLAINTEXT", ports[0])],
                controllers: &ports[1..],
                properties: "",
                format: &[],
                memory: "-Xmx1g",
            };
            let mut node = Node::format(&libs, Node::directory()?, &plan, Vec::new())?;
            node.spawn()?;
            node.await_answer()?;
            Ok(node)
        })?;
        Ok(Broker {
            bootstrap: node.address.to_string(),
            own: Some(node),
        })
    }

    /// `host:port`, for the client's `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Runs one of Kafka's own Java tools by its class (or a Java source file by its path, on Kafka's jars), with this
    /// text as its standard input; gives what it printed.
    ///
    /// # Errors
    /// What the tool said, where it failed.
    pub fn tool(&self, class: &str, arguments: &[&str], input: &str) -> Result<String, String> {
        tool(class, arguments, input)
    }

    /// Kills the broker as a power cut would; the data stay.
    ///
    /// # Errors
    /// Where the broker is not ours to kill.
    pub fn kill(&mut self) -> Result<(), String> {
        self.own.as_mut().ok_or_else(not_ours)?.kill();
        Ok(())
    }

    /// Stops the broker without ending it, as a virtual machine's pause would.
    ///
    /// # Errors
    /// Where the broker is not ours, or does not run.
    pub fn suspend(&self) -> Result<(), String> {
        self.own.as_ref().ok_or_else(not_ours)?.suspend()
    }

    /// Lets a stopped broker go on.
    ///
    /// # Errors
    /// Where the broker is not ours, or does not run.
    pub fn resume(&self) -> Result<(), String> {
        self.own.as_ref().ok_or_else(not_ours)?.resume()
    }

    /// Starts the broker again (killing it first, if it runs) on the same port and data.
    ///
    /// # Errors
    /// Where the broker is not ours, or does not start.
    pub fn restart(&mut self) -> Result<(), String> {
        let own = self.own.as_mut().ok_or_else(not_ours)?;
        own.spawn()?;
        own.await_answer()
    }
}

/// Runs one of Kafka's own Java tools, or a Java source file, as [`Broker::tool`] does.
///
/// # Errors
/// What the tool said, where it failed.
pub fn tool(class: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    process::tool(&fetch_jars()?, class, arguments, input)
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

/// Whether brokers of our own may be started: these tests were not left out, and no broker is named instead.
#[must_use]
pub fn ours() -> bool {
    let named = std::env::var_os(KAFKA).is_some();
    if named {
        eprintln!("left out: this test starts brokers of its own, and {KAFKA} names one");
    }
    !left_out() && !named
}

fn not_ours() -> String {
    format!("the broker was named by {KAFKA}: it is not ours to kill")
}

/// Between finding a port free and the broker's taking it, another process may take it: tried again then.
fn again<T>(start: impl Fn() -> Result<T, String>) -> Result<T, String> {
    start().or_else(|_| start()).or_else(|_| start())
}

fn free_ports(count: usize) -> Result<Vec<SocketAddr>, String> {
    // All at once, so that they differ.
    let bound = (0..count).map(|_| TcpListener::bind("127.0.0.1:0"));
    let bound: Result<Vec<TcpListener>, _> = bound.collect();
    let free = |why| format!("no free port: {why}");
    let addresses = bound.map_err(free)?;
    let addresses = addresses.iter().map(TcpListener::local_addr);
    addresses.collect::<Result<_, _>>().map_err(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_starts_dies_and_comes_back() {
        if !ours() {
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
