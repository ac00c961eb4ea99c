//! `check` and `apply`.

use std::path::Path;
use std::process::ExitCode;

use mainstem_host::apply::{self, Plan};

use super::{Done, actor, plural, put_in_force, read_project};
use crate::cli::Apply;

pub fn check(file: &Path) -> Done {
    let Some(project) = read_project(file)? else {
        return Ok(ExitCode::from(1));
    };
    let objects = [
        plural(project.sources.len(), "source"),
        plural(project.views.len(), "view"),
        plural(project.models.len(), "model"),
    ];
    let monitors = Some(project.monitors.len()).filter(|count| *count > 0);
    let monitors = monitors.map(|count| plural(count, "monitor"));
    let objects: Vec<String> = objects.into_iter().chain(monitors).collect();
    let objects = objects.join(", ");
    out!(
        "{}: project {} is sound ({objects})",
        file.display(),
        project.name
    );
    Ok(ExitCode::SUCCESS)
}

pub fn apply(options: &Apply) -> Done {
    let Some(project) = read_project(&options.file.file)? else {
        return Ok(ExitCode::from(1));
    };
    let plan = match options.dry_run {
        true => match options.place.look(&project.name)? {
            Some(store) => apply::plan(&store, &project)?,
            None => Plan::First,
        },
        false => put_in_force(&options.place, &project, &actor(&options.actor))?.1,
    };
    let done = if options.dry_run { "would be" } else { "is" };
    match plan {
        Plan::Unchanged => out!(
            "project {} is in force as it stands: nothing changes",
            project.name
        ),
        Plan::First => out!(
            "project {} {done} in force in {}",
            project.name,
            options.place
        ),
        Plan::Changes(lines) => {
            out!("project {} {done} changed:", project.name);
            lines.iter().for_each(|line| out!("  {line}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
