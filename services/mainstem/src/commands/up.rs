//! `up` and `run`: services until Ctrl-C.

use std::process::ExitCode;
use std::time::Duration;

use mainstem_host::{Store, apply, gateway, processor, ticker};
use mainstem_schemas::definition::Clock;

use super::{Done, actor, now, open, read_project};
use crate::cli::{Run, Service, Up};
use crate::stop::Stop;

/// How soon a stop is noticed.
const LOOK: Duration = Duration::from_millis(50);

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
    if let Some(file) = &options.file {
        let Some(mut project) = read_project(file)? else {
            return Ok(ExitCode::from(1));
        };
        let store = Store::open(&options.dir.dir)?;
        if let Ok(before) = store.project() {
            mainstem_project::keep_numbers(&mut project, &before);
        }
        apply::apply(&store, &project, &actor(&options.actor), now())?;
    }
    let (store, project) = open(&options.dir.dir)?;
    let mut running = Running::default();
    for service in services {
        match service {
            Service::Processor => {
                let name = format!("{}-{}", std::process::id(), now().0);
                running.processor = Some(processor::start(
                    &store,
                    &processor::Options {
                        threads: options.threads,
                        name,
                    },
                )?);
            }
            Service::Gateway => {
                match gateway::start(&store, &gateway::Options { port: options.port }) {
                    Ok(handle) => {
                        println!("listening on http://{}", handle.address());
                        running.gateway = Some(handle);
                    }
                    // A second `up` is one more worker: only its port is taken.
                    Err(error) if services.len() > 1 => {
                        eprintln!("mainstem: {error}; going on as a worker")
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Service::Clock if project.clock == Clock::Wall => {
                running.ticker = Some(ticker::start(&store)?)
            }
            Service::Clock => {}
        }
    }
    println!(
        "project {} is up in {}; Ctrl-C stops it",
        project.name,
        options.dir.dir.display()
    );
    while !stop.asked() {
        std::thread::sleep(LOOK);
    }
    running.stop();
    println!("stopped; start again to go on where it was");
    Ok(ExitCode::SUCCESS)
}

#[derive(Default)]
struct Running {
    processor: Option<processor::Handle>,
    gateway: Option<gateway::Handle>,
    ticker: Option<ticker::Handle>,
}

impl Running {
    /// Doors first, so that nothing is taken in that nobody folds.
    fn stop(self) {
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
