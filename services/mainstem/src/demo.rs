//! `demo`: a project file, a CSV, the ordinary services, and a paced publisher. What it does, anyone can do with
//! another file; it prints the commands.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use mainstem_host::publisher::{self, Format, Input, Pace, Published};
use mainstem_host::store::{self, StoreError};
use mainstem_host::summary::Summary;
use mainstem_host::{Store, apply, processor};
use mainstem_schemas::definition::Project;
use mainstem_schemas::{EventId, Span};

use crate::cli::{Demo, Workers};
use crate::commands::{Done, audit, now};
use crate::place::Kafka;
use crate::stop::Stop;

const DATA: &[u8] = include_bytes!("../../../examples/electricity/electricity.csv");
const PROJECT: &str = include_str!("../../../examples/electricity/mainstem.yaml");

/// The model of the example that the summary is about.
const MODEL: &str = "price_up";
/// Its source.
const SOURCE: &str = "market";

/// A week of event time a step.
const STEP: Span = Span(7 * 86_400_000);

/// What a reader must know of this file beside the figures.
const NOTES: [&str; 2] = [
    "The columns were scaled to 0..1 with the whole file, and vicprice, vicdemand and transfer are constant before row \
     17,424 at what is, for two of them, the mean of all later rows: that nothing leaks from the future is a claim about \
     the processing, not about the file.",
    "The first model loses because the level of its raw price drifts away; a model without that column stays close to \
     Mainstem. What is shown is a loop that notices and recovers, not what drift costs in general.",
];

pub fn run(options: &Demo) -> Done {
    let begun = Instant::now();
    let dir = match &options.dir {
        Some(dir) => dir.clone(),
        None => fresh_dir()?,
    };
    let project = mainstem_project::parse("mainstem.yaml", PROJECT)
        .map_err(|errors| errors.first().map_or_else(String::new, ToString::to_string))?;
    let store = open(options, &dir, &project.name)?;
    let file = write_new(&dir.join("mainstem.yaml"), PROJECT.as_bytes())?;
    let data = write_new(&dir.join("electricity.csv"), DATA)?;
    out!("1. apply     {} (project {})", file.display(), project.name);
    apply::apply(&store, &project, "demo", now())?;
    let published = play(&store, &project, &options.workers)?;
    out!("3. audit     every derived event is recomputed and compared");
    let found = audit::verify(&store, &project, &mut |_| {})?;
    let mut summary = Summary::read(&store, &project, MODEL)?;
    summary.set_audit(&found);
    summary.set_seconds(begun.elapsed().as_secs_f64());
    let page = dir.join("report.html");
    fs::write(&page, summary.html(&NOTES))?;
    if let Some(report) = &options.report {
        fs::write(
            report,
            serde_json::to_string_pretty(&summary.to_json())? + "\n",
        )?;
    }
    out!("\n{}", summary.terminal(&NOTES));
    out!("report       {}", page.display());
    let source = publisher::source_of(&project, SOURCE)?;
    let last = EventId::row(source.number, 1, published.accepted.saturating_sub(1));
    next_commands(&store, &options.kafka, &dir, &data, last);
    Ok(if found.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The demo's store, which holds no project of that name yet.
fn open(options: &Demo, dir: &Path, project: &str) -> Result<Store, Box<dyn Error>> {
    let (store, remedy) = match &options.kafka.kafka {
        None => (
            Store::open(dir)?,
            "name an empty directory with --dir".to_owned(),
        ),
        Some(brokers) => {
            let mut kafka = options.kafka.clone();
            let blobs = || dir.join("blobs").display().to_string();
            kafka.blobs.get_or_insert_with(blobs);
            let remedy = format!(
                "delete its topics with Kafka's tool, kafka-topics.sh --delete --topic '{project}[.].*', or use another cluster"
            );
            (kafka.open(brokers, project)?, remedy)
        }
    };
    match store.project() {
        Ok(found) => Err(format!(
            "{} holds the project {} already; {remedy}",
            store.place, found.name
        )
        .into()),
        Err(StoreError::Empty(_)) => Ok(store),
        Err(error) => Err(error.into()),
    }
}

fn fresh_dir() -> Result<PathBuf, Box<dyn Error>> {
    let dir = std::env::current_dir()?.join(format!("mainstem-demo-{}", now().0 / 1000));
    fs::create_dir_all(&dir)
        .map_err(|error| format!("{}: {error}; name another with --dir", dir.display()))?;
    Ok(dir)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, bytes: &[u8]) -> Result<PathBuf, Box<dyn Error>> {
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| {
            format!(
                "{}: {error}; name an empty directory with --dir",
                path.display()
            )
        })?;
    Ok(path.to_owned())
}

/// The services and the paced publisher.
fn play(store: &Store, project: &Project, workers: &Workers) -> Result<Published, Box<dyn Error>> {
    let stop = Stop::listen()?;
    let name = format!("demo-{}", std::process::id());
    let workers = processor::start(store, &workers.options(name))?;
    let input = Input {
        project,
        source: SOURCE,
        name: "electricity.csv",
        format: Format::Csv,
        bytes: DATA,
        actor: "demo",
        resume: false,
        is_file: true,
    };
    let first = project
        .models
        .get(MODEL)
        .map(|model| model.windows.origin)
        .unwrap_or_default();
    let mut watch = crate::demo::progress::Progress::new(store, project, MODEL)?;
    let mut progress = |until, published: &Published| watch.step(until, published);
    let pace = Pace {
        first,
        step: STEP,
        stop: &|| stop.asked() || !workers.is_alive(),
        progress: &mut progress,
        waiting: &mut |_| {},
    };
    let published = publisher::publish_paced(store, input, pace);
    workers.stop();
    Ok(published?)
}

/// What to try next, as it can be typed here: the program is named as it was called.
fn next_commands(store: &Store, kafka: &Kafka, dir: &Path, data: &Path, last: EventId) {
    let program = std::env::args().next();
    let program = program.as_deref().unwrap_or("mainstem");
    let options = options_of(&store.place, kafka, dir);
    let (dir, data) = (dir.display(), data.display());
    out!(
        "\nTry next: why was the last row predicted so? Then the same loop live, from a file that you may change:"
    );
    out!("  {program} audit explain {last} {options}");
    out!("  {program} up -f {dir}/mainstem.yaml --dir mine");
    out!("  {program} publish {SOURCE} {data} --pace 7d --dir mine      # in a second terminal");
}

/// The options by which another command finds the demo's log and blobs.
fn options_of(place: &store::Place, kafka: &Kafka, dir: &Path) -> String {
    let mut options = place.options();
    if matches!(place, store::Place::Kafka { .. }) {
        let own = || format!("{}/blobs", dir.display());
        let blobs = kafka.blobs.clone().unwrap_or_else(own);
        options.push_str(&format!(" --blobs {blobs}"));
        if let Some(file) = &kafka.kafka_config {
            options.push_str(&format!(" --kafka-config {}", file.display()));
        }
    }
    options
}

mod progress {
    //! A line for what happened in a step, read from the log.

    use std::error::Error;

    use mainstem_host::publisher::Published;
    use mainstem_host::{Store, store::each_event_from};
    use mainstem_kernel::Partition;
    use mainstem_schemas::definition::Project;
    use mainstem_schemas::events::Event;
    use mainstem_schemas::{Catalog, Millis, topics};

    /// Follows the control topics.
    pub struct Progress {
        reader: Box<dyn mainstem_kernel::Reader>,
        catalog: Catalog,
        followed: Vec<(Partition, u64)>,
        model: String,
    }

    impl Progress {
        pub fn new(store: &Store, project: &Project, model: &str) -> Result<Self, Box<dyn Error>> {
            out!(
                "2. publish   arrivals, a week of event time a step; features, predictions, labels, drift follow"
            );
            let followed = ["triggers", "runs", "models", "deployments"]
                .map(|room| (Partition::new(&topics::fixed(&project.name, room), 0), 0));
            let catalog = store.catalog(&project.name)?;
            let reader = store.log.reader()?;
            Ok(Progress {
                reader,
                catalog,
                followed: followed.into(),
                model: model.into(),
            })
        }

        pub fn step(&mut self, until: Millis, published: &Published) {
            let mut news = Vec::new();
            for (partition, from) in &mut self.followed {
                let model = &self.model;
                let next = each_event_from(
                    self.reader.as_mut(),
                    &self.catalog,
                    partition,
                    *from,
                    |_, event| {
                        news.extend(line(model, &event));
                    },
                );
                *from = next.unwrap_or(*from);
            }
            let date = until.to_string();
            out!(
                "   {}  {:>6} rows  {}",
                &date[..10.min(date.len())],
                published.accepted,
                news.join("; ")
            );
        }
    }

    fn line(model: &str, event: &Event) -> Option<String> {
        Some(match event {
            Event::RetrainRequested(e) if e.model == model => {
                format!("retrain requested ({:?})", e.reason).to_lowercase()
            }
            Event::RunFinished(e) if e.model == model => "trained".into(),
            Event::RunFailed(e) if e.model == model => format!("run failed: {}", e.reason),
            Event::ModelVersionRegistered(e) if e.model == model => {
                format!("{} registered", e.version)
            }
            Event::ModelRejected(e) if e.model == model => format!("{} rejected", e.version),
            Event::DeploymentStarted(e) if e.model == model => {
                format!("{} serves as {:?}", e.version, e.role).to_lowercase()
            }
            Event::Promoted(e) if e.model == model => format!("{} promoted", e.version),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_next_command_finds_what_the_demo_has_used() {
        let told = |place: &store::Place, given: &[&str]| {
            let all = ["mainstem", "demo"].iter().chain(given);
            let Command::Demo(demo) = Cli::try_parse_from(all).unwrap().command else {
                panic!("no demo")
            };
            options_of(place, &demo.kafka, Path::new("d"))
        };
        let own = store::Place::Directory("d".into());
        assert_eq!(told(&own, &[]), "--dir d");
        let kafka = store::Place::kafka("b:9092", "electricity");
        let begin = "--kafka b:9092 --project electricity --blobs";
        assert_eq!(told(&kafka, &[]), format!("{begin} d/blobs"));
        let given = ["--blobs", "s3://b/x", "--kafka-config", "c.properties"];
        assert_eq!(
            told(&kafka, &given),
            format!("{begin} s3://b/x --kafka-config c.properties")
        );
    }
}
