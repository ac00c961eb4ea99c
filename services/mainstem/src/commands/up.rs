//! `up` and `run`: services until Ctrl-C.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use mainstem_host::gateway::{self, Doors};
use mainstem_host::metrics::Metrics;
use mainstem_host::outside::OutsideRegistry;
use mainstem_host::{Store, processor, ticker};
use mainstem_schemas::definition::{Clock, Project};

use super::{Done, actor, now, put_in_force, read_project};
use crate::cli::{PORT, Run, Service, Up};
use crate::stop::Stop;

/// How soon a stop is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// How long services may take to stop, so that Ctrl-C ends the process within a second. What is under way then (a large
/// turn, a training) is cut off as by a kill, which loses nothing: the next start takes it up again.
const GRACE: Duration = Duration::from_millis(700);

pub fn up(options: &Up) -> Done {
    serve(
        options,
        &[Service::Processor, Service::Gateway, Service::Clock],
    )
}

pub fn run(options: &Run) -> Done {
    serve(&options.up, &[options.service])
}

fn serve(options: &Up, services: &[Service]) -> Done {
    let stop = Stop::listen()?;
    let Some((store, project)) = opened(options)? else {
        return Ok(ExitCode::from(1));
    };
    store.check_blobs(&project)?;
    let (mut running, metrics) = (Running::default(), Metrics::default());
    for service in services {
        match service {
            Service::Processor => {
                let mut told = options.workers.options(seat());
                let registry = options.place.kafka.registry()?;
                told.metrics = metrics.clone();
                told.registry =
                    registry.map(|outside| Arc::new(outside) as Arc<dyn OutsideRegistry>);
                running.processor = Some(processor::start(&store, &told)?);
            }
            Service::Gateway => {}
            Service::Clock if project.clock == Clock::Wall => {
                running.ticker = Some(ticker::start(&store)?)
            }
            Service::Clock => {}
        }
    }
    let doors = if services.contains(&Service::Gateway) {
        Doors::All
    } else {
        Doors::Health
    };
    if doors == Doors::All || options.port.is_some() {
        match gateway::start(&store, &doors_of(options, doors, metrics)) {
            Ok(handle) => {
                out!("listening on http://{}", handle.address());
                running.gateway = Some(handle);
            }
            // A second `up` is one more worker: only its port is taken.
            Err(error) if services.len() > 1 && !error.is_of_the_command() => {
                err!("mainstem: {error}; going on as a worker")
            }
            Err(error) => return Err(error.into()),
        }
    }
    out!(
        "project {} is up in {}; Ctrl-C stops it",
        project.name,
        store.place
    );
    while !stop.asked() {
        std::thread::sleep(LOOK);
    }
    running.stop();
    out!("stopped; start again to go on where it was");
    Ok(ExitCode::SUCCESS)
}

/// A name for this process's workers that no other process has, on whichever machine: two of one name would fence each
/// other for as long as they live, and in containers every process has the same number.
fn seat() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}-{random:016x}", now().0)
}

fn doors_of(options: &Up, doors: Doors, metrics: Metrics) -> gateway::Options {
    gateway::Options {
        listen: options.listen,
        port: options.port.unwrap_or(PORT),
        hosts: options.hosts.clone(),
        doors,
        metrics,
    }
}

/// The store and the project in force, after the project file was applied where one is named; nothing where it has
/// mistakes, which are told.
fn opened(options: &Up) -> Result<Option<(Store, Project)>, Box<dyn Error>> {
    let Some(file) = &options.file else {
        return Ok(Some(options.place.existing()?));
    };
    let Some(project) = read_project(file)? else {
        return Ok(None);
    };
    let (store, _) = put_in_force(&options.place, &project, &actor(&options.actor))?;
    let project = store.project()?;
    Ok(Some((store, project)))
}

#[derive(Default)]
struct Running {
    processor: Option<processor::Handle>,
    gateway: Option<gateway::Handle>,
    ticker: Option<ticker::Handle>,
}

impl Running {
    /// Stops the services; what does not come to its end in time goes on until the process ends, which is soon.
    fn stop(self) {
        let (done, ended) = channel();
        std::thread::spawn(move || {
            self.wait();
            let _ = done.send(());
        });
        if ended.recv_timeout(GRACE).is_err() {
            tracing::info!("what is under way is left, and taken up again at the next start");
        }
    }

    /// Doors first, so that nothing is taken in that nobody folds.
    fn wait(self) {
        if let Some(gateway) = self.gateway {
            gateway.stop();
        }
        if let Some(ticker) = self.ticker {
            ticker.stop();
        }
        if let Some(processor) = self.processor {
            processor.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn processes_of_one_number_that_start_at_one_moment_have_names_of_their_own() {
        let names: BTreeSet<String> = (0..1_000).map(|_| seat()).collect();
        assert_eq!(names.len(), 1_000);
    }
}
