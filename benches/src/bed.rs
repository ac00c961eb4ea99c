//! What the benches on Kafka stand on: a broker on cores of its own, projects on it, and processes that are measured.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mainstem_host::{Store, apply};
use mainstem_kernel::pace::Pacer;
use mainstem_schemas::definition::Project;
use mainstem_schemas::topics;
use tempfile::TempDir;
use ureq::Agent;

use crate::job;
use crate::kafka::broker::{self, Broker};
use crate::kafka::{records, store};

/// A broker, and a directory for its data and the blobs.
pub struct Bed {
    broker: Broker,
    dir: TempDir,
}

impl Bed {
    /// Starts the broker on the cores that `cpus` lists as `taskset` takes them.
    pub fn start(cpus: &str) -> Result<Self, Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let libs = mainstem_test_broker::fetch_jars()?;
        let broker = broker::start(&libs, dir.path(), cpus)?;
        Ok(Bed { broker, dir })
    }

    /// Where the broker answers.
    pub fn bootstrap(&self) -> &str {
        &self.broker.bootstrap
    }

    /// Where the blobs of all projects are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The broker's process.
    pub fn broker(&self) -> u32 {
        self.broker.id()
    }

    /// Puts a project in force, at the time of the job's first record.
    pub fn apply(&self, project: &Project) -> Result<Store, Box<dyn Error>> {
        let store = store(self.bootstrap(), self.dir(), &project.name)?;
        apply::apply(&store, project, "bench", job::BEGIN)?;
        Pacer::new(store.log.as_ref(), &project.name, Vec::new())?.tick(job::BEGIN)?;
        Ok(store)
    }

    /// Writes so many of the job's records into a project's arrivals.
    pub fn generate(
        &self,
        store: &Store,
        project: &Project,
        records: usize,
    ) -> Result<(), Box<dyn Error>> {
        let topic = topics::of(&project.name, "arrivals", job::NAME);
        let to = (topic.as_str(), project.partitions);
        records::generate(self.bootstrap(), to, schema(store, project)?, records)
    }
}

/// The schema of the job's arrivals.
pub fn schema(store: &Store, project: &Project) -> Result<u32, Box<dyn Error>> {
    let schema = store.catalog(&project.name)?;
    let schema = schema.id_of(&format!("arrivals.{}", job::NAME));
    Ok(schema.ok_or("no schema of the arrivals")?)
}

/// A process of this program that says where it listens; it dies with this value.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts it on these cores, and waits until it has said its address.
    pub fn start(cpus: &str, arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new("taskset")
            .args(["-c", cpus])
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().ok_or("the process says nothing")?;
        BufReader::new(said).read_line(&mut line)?;
        let address = line.trim().parse();
        Ok(Server {
            child,
            address: address.map_err(|_| format!("{} did not start", arguments[0]))?,
        })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The page of metrics of a process.
pub fn metrics_of(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let url = format!("http://{address}/metrics");
    let page = Agent::new_with_defaults().get(url).call()?;
    Ok(page.into_body().read_to_string()?)
}

/// A figure without labels of a page of metrics.
pub fn figure(page: &str, name: &str) -> Result<f64, Box<dyn Error>> {
    let mut lines = page.lines().filter_map(|line| line.strip_prefix(name));
    let value = lines.find_map(|rest| rest.strip_prefix(' '));
    Ok(value.ok_or_else(|| format!("no {name}"))?.parse()?)
}
