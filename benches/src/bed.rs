//! What the benches on Kafka stand on: a broker on cores of its own, projects on it, and processes that are measured.

mod broker;
mod process;

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mainstem_host::blobs::DirBlobs;
use mainstem_host::store::Place;
use mainstem_host::{Store, apply};
use mainstem_kernel::pace::Pacer;
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::definition::Project;
use mainstem_schemas::topics;
use tempfile::TempDir;
use ureq::Agent;

use crate::job;
use crate::kafka::records;
use broker::Broker;
pub use process::{Process, Server};

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

/// The log and the blobs of a project.
pub fn store(bootstrap: &str, dir: &Path, project: &str) -> Result<Store, Box<dyn Error>> {
    Ok(Store {
        place: Place::kafka(bootstrap, project),
        log: Arc::new(KafkaLog::connect(Options::new(bootstrap, project))?),
        blobs: Arc::new(DirBlobs::open(&dir.join("blobs"))?),
    })
}

/// The schema of the job's arrivals.
pub fn schema(store: &Store, project: &Project) -> Result<u32, Box<dyn Error>> {
    let schema = store.catalog(&project.name)?;
    let schema = schema.id_of(&format!("arrivals.{}", job::NAME));
    Ok(schema.ok_or("no schema of the arrivals")?)
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
