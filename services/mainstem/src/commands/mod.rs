//! The commands, a file each where they are more than a few lines.

mod apply;
mod ask;
pub mod audit;
mod bench;
mod health;
mod publish;
mod up;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use mainstem_host::Store;
use mainstem_host::apply::{self as definition, Plan};
use mainstem_schemas::Millis;
use mainstem_schemas::definition::Project;

use crate::cli::{Actor, Cli, Command};
use crate::demo;
use crate::place::Place;
use crate::registry::Outside;

/// What a command ends in.
pub type Done = Result<ExitCode, Box<dyn Error>>;

/// Runs a command.
pub fn run(cli: Cli) -> Done {
    match cli.command {
        Command::Demo(options) => demo::run(&options),
        Command::Check(file) => apply::check(&file.file),
        Command::Apply(options) => apply::apply(&options),
        Command::Up(options) => up::up(&options),
        Command::Run(options) => up::run(&options),
        Command::Publish(options) => publish::publish(&options),
        Command::Retrain(ask) => ask::retrain(&ask),
        Command::Promote(promote) => ask::promote(&promote),
        Command::Rollback(ask) => ask::rollback(&ask),
        Command::Audit(audit) => audit::run(&audit),
        Command::Bench(options) => bench::bench(&options),
        Command::Health(options) => health::health(&options),
    }
}

/// Reads and checks a project file; what is wrong with it is printed as a compiler does.
pub fn read_project(file: &Path) -> Result<Option<Project>, Box<dyn Error>> {
    let bytes = std::fs::read(file).map_err(|error| {
        format!(
            "{}: {error}; name the project file with -f, or write one (see the README)",
            file.display()
        )
    })?;
    match mainstem_project::parse_bytes(&file.display().to_string(), &bytes) {
        Ok(project) => Ok(Some(project)),
        Err(diagnostics) => {
            for diagnostic in &diagnostics {
                err!("{diagnostic}\n");
            }
            err!(
                "{}: {} found",
                file.display(),
                plural(diagnostics.len(), "mistake")
            );
            Ok(None)
        }
    }
}

/// Makes a project file's definition the one in force; its schemas get their ids where the place says.
pub fn put_in_force(
    place: &Place,
    project: &Project,
    actor: &str,
) -> Result<(Store, Plan), Box<dyn Error>> {
    let store = place.open(&project.name)?;
    let mut registry = place.kafka.registry()?;
    let ids = registry.as_mut().map(Outside::ids);
    let plan = definition::apply_with(&store, project, actor, now(), ids)?;
    Ok((store, plan))
}

/// Who acts: as told, else the system's user.
pub fn actor(actor: &Actor) -> String {
    let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    actor
        .actor
        .clone()
        .or_else(|| user().ok())
        .unwrap_or_else(|| "unknown".into())
}

/// The wall clock: event time of what people ask.
pub fn now() -> Millis {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `1 mistake`, `2 mistakes`.
pub fn plural(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
