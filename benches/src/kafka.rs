//! `mainstem-bench kafka`: the job by Mainstem and by Kafka Streams, on one broker, one topic and one core, in one run.
//!
//! ```text
//! mainstem-bench kafka [--records 10000000] [--rounds 1] [--turn RECORDS] [--without-streams] [--broker-cpus 0] [--client-cpus 1]
//! ```
//!
//! Needs Java 17, Maven (once, for the jars) and `taskset`. The job's other half is PSI of the source's eight columns.
//! Kafka Streams measures it of every 50,000 records of a partition. Mainstem's windows are of event time, 200 s, in which
//! a partition has 50,000 records too, more or less; it merges the partitions' counts and measures the whole. It closes
//! windows on a tick of the clock, which comes after the run here: counting is in the figures, and the closing of all
//! windows, which comes to some thousand events, is not.

pub mod broker;
mod drift;
pub mod measure;
pub mod records;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_host::blobs::DirBlobs;
use mainstem_host::store::Place;
use mainstem_host::{Store, apply, processor};
use mainstem_kernel::log::{FetchLimit, TopicSpec};
use mainstem_kernel::pace::Pacer;
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_rooms::features::view_outputs;
use mainstem_schemas::topics;

use crate::job::{self, FEATURES};
use measure::{Measured, measure};
use records::{Compared, Read, compare, generate};

/// What is asked on the command line.
struct Asked {
    records: usize,
    rounds: usize,
    streams: bool,
    /// Records of a turn at most; 0 for the product's own setting.
    turn: usize,
    broker_cpus: String,
    client_cpus: String,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut asked = Asked {
            records: 10_000_000,
            rounds: 1,
            streams: true,
            turn: 0,
            broker_cpus: "0".into(),
            client_cpus: "1".into(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{name} wants a value"));
            match name.as_str() {
                "--records" => asked.records = value()?.parse()?,
                "--rounds" => asked.rounds = value()?.parse()?,
                "--turn" => asked.turn = value()?.parse()?,
                "--without-streams" => asked.streams = false,
                "--broker-cpus" => asked.broker_cpus = value()?.clone(),
                "--client-cpus" => asked.client_cpus = value()?.clone(),
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(asked)
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

/// The client that is measured: an ordinary processor of one thread, until it is killed.
pub fn worker(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [bootstrap, dir, project, turn] = arguments else {
        return Err("kafka-worker BOOTSTRAP DIR PROJECT TURN".into());
    };
    let mut options = processor::Options::new(1, "bench".into());
    let store = store(bootstrap, Path::new(dir), project)?;
    let turn = FetchLimit {
        records: turn.parse()?,
        bytes: 16 << 20,
    };
    if turn.records > 0 {
        options.turn = turn;
    }
    let handle = processor::start(&store, &options)?;
    while handle.is_alive() {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    Err("the worker ended".into())
}

/// One row of the table.
struct Row {
    name: String,
    measured: Measured,
    compared: Compared,
}

pub fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = Asked::read(arguments)?;
    let dir = tempfile::tempdir()?;
    let libs = mainstem_test_broker::fetch_jars()?;
    let classes = asked.streams.then(build_streams).transpose()?;
    let broker = broker::start(&libs, dir.path(), &asked.broker_cpus)?;
    let features = view_outputs(&job::project()?.views[job::NAME]);
    let mut rows = Vec::new();
    for round in 0..asked.rounds {
        let bench = Bench {
            asked: &asked,
            bootstrap: &broker.bootstrap,
            dir: dir.path(),
            project: format!("bench{round}"),
        };
        bench.publish()?;
        let row = bench.mainstem()?;
        tell(&row, asked.records, &features);
        let (columns, largest) = drift::compare(&bench.store()?, &bench.project, asked.records)?;
        println!(
            "  PSI of {columns} columns of windows; beside the plain computation: {largest:.1e} at most"
        );
        rows.push(row);
        if let Some(classes) = &classes {
            let row = bench.streams(classes)?;
            tell(&row, asked.records, &features);
            rows.push(row);
        }
    }
    if let [mainstem, streams] = &rows[rows.len().saturating_sub(2)..]
        && asked.streams
    {
        ratios(&mainstem.measured, &streams.measured);
    }
    Ok(())
}

fn tell(row: &Row, records: usize, features: &[String]) {
    let (m, c) = (&row.measured, &row.compared);
    println!(
        "{}: {} records, {:.0} k/s ({:.0} k/s in the second half), {:.2} CPU-s a million ({:.2}), {:.0} MB",
        row.name,
        records,
        m.whole / 1e3,
        m.half / 1e3,
        m.cpu,
        m.half_cpu,
        m.memory
    );
    println!("  {} rows; beside the plain computation:", c.rows);
    for (at, feature) in features.iter().enumerate() {
        let (equal, largest) = (c.equal[at], c.largest[at]);
        match equal == c.rows {
            true => println!("  {feature}: equal bit for bit"),
            false => {
                println!("  {feature}: {equal} equal bit for bit, the others by {largest:.1e}")
            }
        }
    }
}

fn ratios(mainstem: &Measured, streams: &Measured) {
    println!(
        "| Mainstem beside Kafka Streams | Mainstem | Kafka Streams | Ratio |\n|---|---|---|---|"
    );
    let row = |what: &str, a: f64, b: f64, unit: &str, ratio: f64| {
        println!("| {what} | {a:.2} {unit} | {b:.2} {unit} | {ratio:.2} |");
    };
    let (a, b) = (mainstem, streams);
    row(
        "records, whole run",
        a.whole / 1e3,
        b.whole / 1e3,
        "k/s",
        a.whole / b.whole,
    );
    row(
        "records, second half",
        a.half / 1e3,
        b.half / 1e3,
        "k/s",
        a.half / b.half,
    );
    row(
        "processor time a million, whole run",
        a.cpu,
        b.cpu,
        "s",
        a.cpu / b.cpu,
    );
    row(
        "processor time a million, second half",
        a.half_cpu,
        b.half_cpu,
        "s",
        a.half_cpu / b.half_cpu,
    );
    row("peak memory", a.memory, b.memory, "MB", a.memory / b.memory);
}

/// One round.
struct Bench<'a> {
    asked: &'a Asked,
    bootstrap: &'a str,
    dir: &'a Path,
    project: String,
}

impl Bench<'_> {
    fn store(&self) -> Result<Store, Box<dyn Error>> {
        store(self.bootstrap, &self.dir.join(&self.project), &self.project)
    }

    fn topic(&self, room: &str) -> String {
        topics::of(&self.project, room, job::NAME)
    }

    /// Applies the project and writes its arrivals.
    fn publish(&self) -> Result<(), Box<dyn Error>> {
        let mut project = job::project()?;
        project.name.clone_from(&self.project);
        let store = self.store()?;
        apply::apply(&store, &project, "bench", job::BEGIN)?;
        Pacer::new(store.log.as_ref(), &project.name, Vec::new())?.tick(job::BEGIN)?;
        let catalog = store.catalog(&project.name)?;
        let schema = catalog.id_of(&format!("arrivals.{}", job::NAME));
        let to = (self.topic("arrivals"), project.partitions);
        generate(
            self.bootstrap,
            (&to.0, to.1),
            schema.ok_or("no schema of the arrivals")?,
            self.asked.records,
        )
    }

    fn measure(&self, groups: &[&str], command: &Command) -> Result<Measured, Box<dyn Error>> {
        let (topic, partitions) = (self.topic("arrivals"), job::project()?.partitions);
        let (records, cpus) = (self.asked.records, &self.asked.client_cpus);
        measure(
            self.bootstrap,
            (&topic, groups, partitions),
            records,
            cpus,
            command,
        )
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

    fn mainstem(&self) -> Result<Row, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["kafka-worker", self.bootstrap]);
        command.arg(self.dir.join(&self.project)).arg(&self.project);
        command.arg(self.asked.turn.to_string());
        let groups = ["features", "profile_source"].map(|room| format!("{}.{room}", self.project));
        let measured = self.measure(&groups.each_ref().map(String::as_str), &command)?;
        let catalog = self.store()?.catalog(&self.project)?;
        let known = catalog
            .id_of(&format!("features.{}", job::NAME))
            .and_then(|id| catalog.known(id));
        let project = job::project()?;
        let wanted = project.views[job::NAME].features.iter();
        let layout = Layout::new(wanted.map(|f| Wanted::optional(&f.name, Kind::Number)))?;
        let decoder = FlatDecoder::compile(known.ok_or("no schema")?.schema()?, &layout)?;
        let read = |body: &[u8]| {
            let mut columns = Columns::new(&layout);
            decoder.append(body, &mut columns)?;
            Ok(std::array::from_fn(|at| {
                columns.number(at, 0).unwrap_or(f64::NAN)
            }))
        };
        Ok(Row {
            name: "Mainstem".into(),
            measured,
            compared: self.compare(&self.topic("features"), &read)?,
        })
    }

    fn streams(&self, classes: &Path) -> Result<Row, Box<dyn Error>> {
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
            .arg(format!("broker={}", self.bootstrap))
            .arg(format!("in={}", self.topic("arrivals")))
            .arg(format!("group={group}"))
            .arg(format!("features={features}"))
            .arg(format!("drift={drift}"))
            .arg(format!("state={}", self.dir.join("streams").display()));
        let measured = self.measure(&[&group], &command)?;
        let read = |body: &[u8]| {
            let doubles = body.len().checked_sub(8 * FEATURES).ok_or("a short row")?;
            let mut values = body[doubles..].chunks_exact(8);
            let mut row = [0.0; FEATURES];
            for place in &mut row {
                let bytes = values.next().ok_or("a short row")?;
                *place = f64::from_le_bytes(bytes.try_into()?);
            }
            Ok(row)
        };
        Ok(Row {
            name: "Kafka Streams".into(),
            measured,
            compared: self.compare(&features, &read)?,
        })
    }
}

/// Builds Kafka Streams' job with Maven, which fetches its jars once; says where it is.
fn build_streams() -> Result<PathBuf, Box<dyn Error>> {
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
