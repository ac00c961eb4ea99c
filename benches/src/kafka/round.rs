//! One round of the bench: the records published, and the job done by one client after the other.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_host::Store;
use mainstem_kernel::log::TopicSpec;
use mainstem_schemas::topics;

use super::asked::Asked;
use super::clock::{Clock, discard, marks};
use super::measure::{Measured, Moved, Taking, measure};
use super::records::{Compared, Read, compare};
use super::{command_of, groups_of, turns};
use crate::bed::{Bed, store};
use crate::job::{self, FEATURES};

/// One round: a project with its topics.
pub struct Bench<'a> {
    pub asked: &'a Asked,
    pub bed: &'a Bed,
    pub project: String,
}

/// What was measured and compared of a client.
pub struct Row {
    pub name: String,
    pub measured: Measured,
    /// Records of a turn, where the client has turns.
    pub turn: Option<f64>,
    pub compared: Compared,
}

impl Bench<'_> {
    pub fn store(&self) -> Result<Store, Box<dyn Error>> {
        store(self.bed.bootstrap(), self.bed.dir(), &self.project)
    }

    fn topic(&self, room: &str) -> String {
        topics::of(&self.project, room, job::NAME)
    }

    /// Applies the project and writes its arrivals.
    pub fn publish(&self) -> Result<(), Box<dyn Error>> {
        let mut project = job::project()?;
        project.name.clone_from(&self.project);
        let store = self.bed.apply(&project)?;
        self.bed.generate(&store, &project, self.asked.records)
    }

    fn measure(
        &self,
        (groups, cpus): (&[&str], &str),
        command: &Command,
        moved: &mut Moved<'_>,
    ) -> Result<Measured, Box<dyn Error>> {
        let topic = (self.topic("arrivals"), job::project()?.partitions);
        let read = Taking {
            bootstrap: self.bed.bootstrap(),
            topic: (&topic.0, topic.1),
            groups,
            records: self.asked.records,
        };
        measure(&read, cpus, command, moved)
    }

    fn compare(&self, topic: &str, read: &Read<'_>) -> Result<Compared, Box<dyn Error>> {
        let (store, partitions) = (self.store()?, job::project()?.partitions);
        compare(
            store.log.as_ref(),
            (topic, partitions),
            self.asked.records,
            read,
        )
    }

    /// The job by an ordinary processor of so many threads on these cores. Log time follows what it has taken.
    pub fn mainstem(&self, threads: usize, cpus: &str) -> Result<Row, Box<dyn Error>> {
        let command = command_of(self.bed, &self.project, self.asked.turn, threads)?;
        let (store, partitions) = (self.store()?, job::project()?.partitions);
        let mut clock = Clock::new(
            (store.log.as_ref(), &self.project),
            marks(self.asked.records, self.asked.tick, partitions),
        )?;
        let mut moved = |taken: &[i64]| -> Result<(), Box<dyn Error>> {
            if clock.follow(taken)? && self.asked.discard {
                discard(store.log.as_ref(), &self.topic("features"), partitions)?;
            }
            Ok(())
        };
        let groups = groups_of(&self.project);
        let groups = groups.each_ref().map(String::as_str);
        let measured = self.measure((&groups, cpus), &command, &mut moved)?;
        let (catalog, arrivals) = (store.catalog(&self.project)?, self.topic("arrivals"));
        let known = catalog
            .id_of(&format!("features.{}", job::NAME))
            .and_then(|id| catalog.known(id));
        let project = job::project()?;
        let wanted = project.views[job::NAME].features.iter();
        let wanted = wanted.map(|f| Wanted::optional(&f.name, Kind::Number));
        let time = Wanted::required("event_time", Kind::Time);
        let layout = Layout::new(wanted.chain([time]))?;
        let decoder = FlatDecoder::compile(known.ok_or("no schema")?.schema()?, &layout)?;
        let read = |body: &[u8]| {
            let mut columns = Columns::new(&layout);
            decoder.append(body, &mut columns)?;
            let value = |at| columns.number(at, 0).unwrap_or(f64::NAN);
            Ok((columns.time(FEATURES, 0), std::array::from_fn(value)))
        };
        Ok(Row {
            name: match threads {
                1 => "Mainstem".into(),
                many => format!("Mainstem, {many} threads"),
            },
            measured,
            turn: Some(turns::mean(&store, &catalog, (&self.project, &arrivals))?),
            compared: self.compare(&self.topic("features"), &read)?,
        })
    }

    /// The job by Kafka Streams.
    pub fn streams(&self, classes: &Path) -> Result<Row, Box<dyn Error>> {
        let group = format!("{}-streams", self.project);
        let (features, drift) = (format!("{group}-features"), format!("{group}-drift"));
        let topic = |name: &str, partitions| TopicSpec {
            name: name.into(),
            partitions,
        };
        let partitions = job::project()?.partitions;
        let log = self.store()?.log;
        log.create_topics(&[topic(&features, partitions), topic(&drift, 1)])?;
        let (classes, libs) = (classes.join("classes"), classes.join("libs/*"));
        let mut command = Command::new("java");
        command
            .args(["-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-cp"])
            .arg(format!("{}:{}", classes.display(), libs.display()))
            .arg("Job")
            .arg(format!("broker={}", self.bed.bootstrap()))
            .arg(format!("in={}", self.topic("arrivals")))
            .arg(format!("group={group}"))
            .arg(format!("features={features}"))
            .arg(format!("drift={drift}"))
            .arg(format!(
                "state={}",
                self.bed.dir().join("streams").display()
            ));
        let cpus = &self.asked.client_cpus;
        let measured = self.measure((&[&group], cpus), &command, &mut |_| Ok(()))?;
        let read = |body: &[u8]| {
            let doubles = body.len().checked_sub(8 * FEATURES).ok_or("a short row")?;
            let mut values = body[doubles..].chunks_exact(8);
            let mut row = [0.0; FEATURES];
            for place in &mut row {
                let bytes = values.next().ok_or("a short row")?;
                *place = f64::from_le_bytes(bytes.try_into()?);
            }
            Ok((None, row))
        };
        Ok(Row {
            name: "Kafka Streams".into(),
            measured,
            turn: None,
            compared: self.compare(&features, &read)?,
        })
    }
}

/// Builds Kafka Streams' job with Maven, which fetches its jars once; says where it is.
pub fn build_streams() -> Result<PathBuf, Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = here.join("../target/kafka-streams");
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let built = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(here.join("kafka-streams/pom.xml"))
        .arg(format!("-Dout={}", out.display()))
        .args(["package", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", out.join("libs").display()))
        .output()?;
    match built.status.success() {
        true => Ok(out),
        false => Err(String::from_utf8_lossy(&built.stdout).into()),
    }
}
