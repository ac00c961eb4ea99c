//! Where a command finds the log and the blobs: a directory, or Kafka and a blob store beside it.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use mainstem_blobs::{DirBlobs, S3Blobs, SCHEME};
use mainstem_host::store::{self, StoreError};
use mainstem_host::{Store, store::Place as At};
use mainstem_kernel::Log;
use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::definition::Project;

use crate::registry::Outside;
use crate::settings;

/// Where the embedded log lies unless told otherwise.
const DIR: &str = "mainstem-data";

/// The setting of Mainstem's own in the file of Kafka's: copies of the topics that are created.
const REPLICATION: &str = "replication";

/// Where the log and the blobs are.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Directory of the embedded log and its blobs [default: mainstem-data].
    #[arg(long, conflicts_with = "kafka")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub kafka: Kafka,
}

/// Kafka in the place of the embedded log.
#[derive(Debug, Clone, Args)]
pub struct Kafka {
    /// The log is on Apache Kafka: its brokers as host:port, several with commas.
    #[arg(long, env = "MAINSTEM_KAFKA", value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Further settings of librdkafka, a `key=value` a line; `${env:NAME}` and `${file:PATH}` stand for secrets.
    #[arg(long, env = "MAINSTEM_KAFKA_CONFIG", value_name = "FILE")]
    pub kafka_config: Option<PathBuf>,
    /// With Kafka: store that all processes share, for models, data sets and snapshots: a directory, or s3://BUCKET/PREFIX
    /// with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL from the environment.
    #[arg(long, env = "MAINSTEM_BLOBS", value_name = "DIR|S3-URL")]
    pub blobs: Option<String>,
    /// With Kafka: schema registry whose ids the project's records shall have, and where schemas of copied topics are.
    #[arg(long, env = "MAINSTEM_REGISTRY", value_name = "URL")]
    pub registry: Option<String>,
    /// With Kafka: which project, where the cluster holds several.
    #[arg(long, env = "MAINSTEM_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
}

impl Place {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| DIR.into())
    }

    /// Opens the place for a project that may not be there yet.
    pub fn open(&self, project: &str) -> Result<Store, Box<dyn Error>> {
        match &self.kafka.kafka {
            None => Ok(Store::open(&self.dir())?),
            Some(brokers) => self.kafka.open(brokers, project),
        }
    }

    /// The store and the project of a place that must hold one; where it does not, nothing is created.
    pub fn existing(&self) -> Result<(Store, Project), Box<dyn Error>> {
        let store = match &self.kafka.kafka {
            None => existing_dir(&self.dir())?,
            Some(brokers) => {
                let project = self.kafka.chosen(brokers)?;
                self.kafka.open(brokers, &project)?
            }
        };
        let project = store.project()?;
        Ok((store, project))
    }

    /// The store where the place holds a log that may have the project; nothing is created.
    pub fn look(&self, project: &str) -> Result<Option<Store>, Box<dyn Error>> {
        match &self.kafka.kafka {
            None if !self.dir().exists() => Ok(None),
            None => match Store::existing(&self.dir()) {
                Err(StoreError::Empty(_)) => Ok(None),
                store => Ok(Some(store?)),
            },
            Some(brokers) => Ok(Some(self.kafka.open(brokers, project)?)),
        }
    }
}

fn existing_dir(dir: &Path) -> Result<Store, Box<dyn Error>> {
    if !dir.exists() {
        let dir = dir.display();
        return Err(format!("{dir} does not exist; apply a project first: mainstem apply -f mainstem.yaml --dir {dir}").into());
    }
    Ok(Store::existing(dir)?)
}

impl Kafka {
    /// Connects as a project.
    pub fn open(&self, brokers: &str, project: &str) -> Result<Store, Box<dyn Error>> {
        if let Some(named) = self.project.as_deref().filter(|named| *named != project) {
            return Err(format!(
                "the file's project is {project}, and --project says {named}; leave --project out"
            )
            .into());
        }
        let blobs = self.blobs.as_ref().ok_or(
            "with --kafka, models, data sets and snapshots need a store that all processes share: name a directory or s3://BUCKET/PREFIX with --blobs",
        )?;
        let blobs = open_blobs(blobs).map_err(StoreError::Blobs)?;
        let log = self.connect(brokers, project)?;
        Ok(Store {
            place: At::kafka(brokers, project),
            log: Arc::new(log),
            blobs,
        })
    }

    fn connect(&self, brokers: &str, project: &str) -> Result<KafkaLog, Box<dyn Error>> {
        let mut options = Options::new(brokers, project);
        options.settings = self.settings()?.0;
        if let Some(copies) = options.settings.remove(REPLICATION) {
            let wrong = |_| {
                format!(
                    "{REPLICATION} is no whole number; write how many copies a topic shall have"
                )
            };
            options.replication = Some(copies.parse().map_err(wrong)?);
        }
        Ok(KafkaLog::connect(options)?)
    }

    /// The settings of Kafka's client, and the registry that the file or the command names.
    fn settings(&self) -> Result<(BTreeMap<String, String>, Option<Outside>), String> {
        let mut settings = match &self.kafka_config {
            Some(file) => settings::read(file)?,
            None => BTreeMap::new(),
        };
        let registry = Outside::take(&mut settings, self.registry.as_deref())?;
        Ok((settings, registry))
    }

    /// The registry beside the log, where one is named.
    pub fn registry(&self) -> Result<Option<Outside>, String> {
        Ok(self.settings()?.1)
    }

    /// The project that is meant: the one that is named, or the only one of the cluster.
    fn chosen(&self, brokers: &str) -> Result<String, Box<dyn Error>> {
        if let Some(named) = &self.project {
            return Ok(named.clone());
        }
        let log: Arc<dyn Log> = Arc::new(self.connect(brokers, "mainstem")?);
        let mut projects = store::projects_of(log.as_ref())?;
        match (projects.pop(), projects.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(format!("Kafka at {brokers} holds no project; apply one first: mainstem apply -f mainstem.yaml --kafka {brokers}").into()),
            (Some(last), _) => {
                projects.push(last);
                Err(format!("Kafka at {brokers} holds several projects: {}; name one with --project", projects.join(", ")).into())
            }
        }
    }
}

/// The blob store that a user names. Credentials of S3 come from the environment only: options are shown to whoever lists
/// processes.
fn open_blobs(place: &str) -> Result<Arc<dyn Blobs>, BlobError> {
    match place.split_once("://") {
        None => Ok(Arc::new(DirBlobs::open(Path::new(place))?)),
        Some(_) if place.starts_with(SCHEME) => {
            let told = |(name, value): (OsString, OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            let environment = std::env::vars_os().filter_map(told);
            Ok(Arc::new(S3Blobs::open(place, environment)?))
        }
        Some((scheme, _)) => Err(BlobError::Store(format!(
            "no blob store is known that begins with {scheme}://; name a directory or s3://BUCKET/PREFIX with --blobs"
        ))),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kafka.kafka {
            None => self.dir().display().fmt(f),
            Some(brokers) => write!(f, "Kafka at {brokers}"),
        }
    }
}
