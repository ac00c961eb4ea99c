//! `publish`: exit code 0 where every row went in, 2 where some were rejected, or went astray in a paced run.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;
use std::process::ExitCode;

use mainstem_host::Store;
use mainstem_host::publisher::{self, DOOR, Format, Input, Pace, PublishError, Published};
use mainstem_schemas::Span;
use mainstem_schemas::definition::{Clock, Project};

use super::{Done, actor};
use crate::cli::{self, Publish};
use crate::stop::Stop;

/// Standard input.
const STDIN: &str = "-";

pub fn publish(options: &Publish) -> Done {
    let (store, project) = options.place.existing()?;
    let format = format_of(options)?;
    let name = name_of(&options.file);
    let actor = actor(&options.actor);
    let input = Input {
        project: &project,
        source: &options.source,
        name: &name,
        format,
        bytes: bytes_of(&options.file)?,
        actor: &actor,
        resume: options.resume,
        is_file: options.file.is_file(),
    };
    if options.pace.is_none() && project.clock == Clock::Stream {
        err!(
            "mainstem: the project says `clock: stream`, and without --pace its clock stands still: rows more than a day \
             ahead of it will go to quarantine"
        );
    }
    let published = match options.pace {
        None if options.file == Path::new(STDIN) => publisher::publish_live(&store, input),
        None => publisher::publish(&store, input),
        Some(step) => paced(&store, &project, options, input, step)?,
    };
    let published = published.map_err(|error| match error {
        PublishError::Ingest(error) => format!("{}: {error}", options.file.display()).into(),
        other => Box::<dyn Error>::from(other),
    })?;
    told(&published, &project, options)
}

fn told(published: &Published, project: &Project, options: &Publish) -> Done {
    let Published {
        accepted,
        rejected,
        skipped,
        astray,
    } = published;
    out!("{accepted} records in, {rejected} rejected, {skipped} already there");
    if accepted + rejected + skipped == 0 {
        err!(
            "mainstem: {} holds no record; see whether it is the right file",
            options.file.display()
        );
    }
    if *astray > 0 {
        err!(
            "mainstem: {astray} of the records lie so many steps after the one before that they went in with its step, and are \
             quarantined as more than a day ahead; mend their times, or, if they are right, choose a longer --pace. They \
             are in the topic {}.quarantine",
            project.name
        );
    }
    if *rejected > 0 {
        out!(
            "the rejected ones, with reasons, are in the topic {}.rejects.{}",
            project.name,
            options.source
        );
    }
    Ok(match rejected + astray {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    })
}

/// What a file's publication is called. Those of standard input and of the HTTP door have names that a file may have,
/// too; such a file keeps its directory.
fn name_of(file: &Path) -> String {
    if file == Path::new(STDIN) {
        return STDIN.into();
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match name.as_ref() {
        STDIN | DOOR => format!("./{name}"),
        _ => name.into_owned(),
    }
}

fn bytes_of(file: &Path) -> Result<Box<dyn BufRead + Send>, String> {
    if file == Path::new(STDIN) {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let opened = File::open(file).map_err(|error| {
        let file = file.display();
        format!("{file}: {error}; name a file that can be read, or - for standard input")
    });
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened?)))
}

fn format_of(options: &Publish) -> Result<Format, String> {
    match (
        options.format,
        options.file.extension().and_then(|e| e.to_str()),
    ) {
        (Some(cli::Format::Csv), _) | (None, Some("csv")) => Ok(Format::Csv),
        (Some(cli::Format::Jsonl), _) | (None, Some("jsonl" | "ndjson")) => Ok(Format::JsonLines),
        (None, _) if options.file == Path::new(STDIN) => Ok(Format::JsonLines),
        (None, _) => Err(format!(
            "{}: say --format csv or --format jsonl",
            options.file.display()
        )),
    }
}

fn paced<R: BufRead>(
    store: &Store,
    project: &Project,
    options: &Publish,
    input: Input<'_, R>,
    step: Span,
) -> Result<Result<Published, PublishError>, Box<dyn Error>> {
    let origin = project
        .models
        .values()
        .next()
        .map(|model| model.windows.origin);
    let first = options
        .pace_from
        .or(origin)
        .ok_or("--pace needs --pace-from: the project has no model to begin with")?;
    let stop = Stop::listen()?;
    let mut progress = |until, published: &Published| {
        err!(
            "{until}  {} records in",
            published.accepted + published.skipped
        );
    };
    let pace = Pace {
        first,
        step,
        stop: &|| stop.asked(),
        progress: &mut progress,
        waiting: &mut |what| err!("mainstem: {what}"),
    };
    Ok(publisher::publish_paced(store, input, pace))
}
