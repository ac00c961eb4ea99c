//! What the command line offers.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mainstem_host::processor::{INTERVALS, Options, TURN, TURNS};
use mainstem_schemas::{Span, time::NotTime};

use crate::place::{Kafka, Place};

/// The event-sourced streaming backbone of machine learning in production.
#[derive(Debug, Parser)]
#[command(name = "mainstem", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How log lines look on standard error.
    #[arg(long, global = true, value_enum, default_value = "human")]
    pub log_format: LogFormat,
    /// Which log lines: error, warn, info, debug, or a filter such as `mainstem_host=debug`.
    #[arg(long, global = true, default_value = "warn")]
    pub log: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// An object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole loop on real data, in a minute, on the embedded log or on Kafka.
    Demo(Demo),
    /// Read a project file and say what is wrong with it.
    Check(File),
    /// Make a project file the definition in force.
    Apply(Apply),
    /// Host every service in this process.
    Up(Up),
    /// Host one service.
    Run(Run),
    /// Publish a file, or `-` for standard input, into a source.
    Publish(Publish),
    /// Ask for a retrain of a model.
    Retrain(Ask),
    /// Make a version of a model the champion.
    Promote(Promote),
    /// Let the champion before serve again.
    Rollback(Ask),
    /// Recompute and explain.
    #[command(subcommand)]
    Audit(Audit),
    /// Ask a service of this machine whether it is ready.
    Health(Health),
    /// Run the benchmarks: hands over to `mainstem-bench`, which is built apart.
    #[command(disable_help_flag = true)]
    Bench(Bench),
}

/// The demo's options.
#[derive(Debug, Args)]
pub struct Demo {
    /// Directory for the demo's project file, data and report, and for the embedded log; a fresh one by default.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub kafka: Kafka,
    /// Also write the summary as JSON to this file.
    #[arg(long)]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub workers: Workers,
}

/// The workers of a process; what they compute is the same with any of these.
#[derive(Debug, Clone, Args)]
pub struct Workers {
    /// Workers in this process.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Most records that a task takes in a turn, 1 to 65536.
    #[arg(long, env = "MAINSTEM_BATCH", value_name = "RECORDS", default_value_t = TURN.records, value_parser = batch)]
    pub batch: usize,
    /// How long a worker that is not behind lets records gather for a commit, counted from the beginning of its last one:
    /// 0ms to 1s [default: 20ms on Kafka, 0ms on the embedded log].
    #[arg(long, env = "MAINSTEM_COMMIT_INTERVAL", value_name = "SPAN", value_parser = interval)]
    pub commit_interval: Option<Duration>,
}

impl Workers {
    /// What a processor of that name is told.
    pub fn options(&self, name: String) -> Options {
        let mut told = Options::new(self.threads, name);
        told.turn.records = self.batch;
        told.commit_interval = self.commit_interval;
        told
    }
}

/// Records of a turn.
fn batch(text: &str) -> Result<usize, String> {
    let (least, most) = (TURNS.start(), TURNS.end());
    match text.parse() {
        Ok(records) if TURNS.contains(&records) => Ok(records),
        _ => Err(format!(
            "a task takes {least} to {most} records in a turn; give a whole number of these"
        )),
    }
}

/// An interval of commits.
fn interval(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|error: NotTime| error.to_string())?;
    let interval = u64::try_from(span.0).map(Duration::from_millis);
    let within = interval
        .ok()
        .filter(|interval| INTERVALS.contains(interval));
    let most = INTERVALS.end();
    within.ok_or_else(|| {
        format!("commits are at most {most:?} apart, for only between them tasks change hands; give no more than that")
    })
}

/// A project file.
#[derive(Debug, Args)]
pub struct File {
    /// The project file.
    #[arg(short, long, default_value = "mainstem.yaml")]
    pub file: PathBuf,
}

/// What `apply` takes.
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    pub file: File,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub actor: Actor,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Who acts.
#[derive(Debug, Args)]
pub struct Actor {
    /// Who is named as the actor of the event.
    #[arg(long, env = "MAINSTEM_ACTOR")]
    pub actor: Option<String>,
}

/// What `up` takes.
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    pub place: Place,
    /// Apply this project file first.
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub actor: Actor,
    #[command(flatten)]
    pub workers: Workers,
    /// Port of the HTTP doors [default: 7878]; with `run processor` or `run clock`, that of `/metrics`, `/healthz` and
    /// `/readyz`, which they have only where it is given.
    #[arg(long)]
    pub port: Option<u16>,
    /// Address that the doors are on; `0.0.0.0` for other machines. Nobody is asked who they are.
    #[arg(long, env = "MAINSTEM_LISTEN", value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
    pub listen: IpAddr,
    /// Name of this machine that others ask the doors by; may be repeated, in the variable with commas.
    #[arg(long = "host", env = "MAINSTEM_HOSTS", value_name = "NAME", value_delimiter = ',', value_parser = host)]
    pub hosts: Vec<String>,
}

/// Port of the gateway unless told otherwise.
pub const PORT: u16 = 7878;

/// A name as it stands in an address, without a port.
fn host(name: &str) -> Result<String, String> {
    let ip = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_ip = ip.is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if is_ip || (!name.is_empty() && name.chars().all(plain)) {
        return Ok(name.to_owned());
    }
    Err("give the name alone, as `gateway` or `ml.example.com`, without http:// and port".into())
}

/// What `health` takes.
#[derive(Debug, Args)]
pub struct Health {
    /// Port that the service was started with.
    #[arg(long, default_value_t = PORT)]
    pub port: u16,
}

/// What `bench` takes.
#[derive(Debug, Args)]
pub struct Bench {
    /// What `mainstem-bench` is told.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct Run {
    /// Which service.
    #[arg(value_enum)]
    pub service: Service,
    #[command(flatten)]
    pub up: Up,
}

/// Services that run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Workers.
    Processor,
    /// The HTTP doors.
    Gateway,
    /// The wall clock's ticks.
    Clock,
}

/// What `publish` takes.
#[derive(Debug, Args)]
pub struct Publish {
    /// Source that receives the rows.
    pub source: String,
    /// CSV (`.csv`) or JSON Lines file, or `-` for JSON Lines on standard input.
    pub file: PathBuf,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub actor: Actor,
    /// Replay history as a backtest: each step of event time comes to rest before the next (`7d`).
    #[arg(long)]
    pub pace: Option<Span>,
    /// End of the first step; by default the origin of the first model's windows.
    #[arg(long, requires = "pace")]
    pub pace_from: Option<mainstem_schemas::Millis>,
    /// Go on after the last row that the log holds.
    #[arg(long)]
    pub resume: bool,
    /// Format, where the file's name does not tell.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// Formats of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// CSV with a header.
    Csv,
    /// An object a line.
    Jsonl,
}

/// A request about a model.
#[derive(Debug, Args)]
pub struct Ask {
    /// Model.
    pub model: String,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub actor: Actor,
    /// Why; it is kept in the event.
    #[arg(long, default_value = "")]
    pub note: String,
}

/// What `promote` takes.
#[derive(Debug, Args)]
pub struct Promote {
    #[command(flatten)]
    pub ask: Ask,
    /// Version to be promoted.
    #[arg(long)]
    pub version: String,
}

/// Audits.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Recompute every derived event, and check chains and blobs.
    Verify(Place),
    /// Follow a prediction back to its features, arrival, model, run, data set, gate and trigger.
    Explain(Explain),
}

/// What `explain` takes.
#[derive(Debug, Args)]
pub struct Explain {
    /// Id of the prediction, or of the arrival or request that it answers.
    pub prediction: String,
    #[command(flatten)]
    pub place: Place,
    /// Explain this version's answer instead of the champion's.
    #[arg(long)]
    pub version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(words: &[&str]) -> Result<Workers, String> {
        let all = ["mainstem", "up"].iter().chain(words);
        match Cli::try_parse_from(all).map(|cli| cli.command) {
            Ok(Command::Up(up)) => Ok(up.workers),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn what_is_said_of_commits_reaches_the_processor() {
        let told = |words: &[&str]| {
            let options = workers(words).unwrap().options("w".into());
            (options.turn.records, options.commit_interval)
        };
        assert_eq!(told(&[]), (TURN.records, None));
        let millis = |count| Some(Duration::from_millis(count));
        let cases = [
            ("1", "0ms", (1, millis(0))),
            ("65536", "1s", (65_536, millis(1000))),
            ("500", "250ms", (500, millis(250))),
        ];
        for (batch, interval, wanted) in cases {
            assert_eq!(
                told(&["--batch", batch, "--commit-interval", interval]),
                wanted
            );
        }
    }

    #[test]
    fn a_batch_or_an_interval_out_of_its_bounds_is_refused_with_them() {
        for value in ["0", "65537", "many", "1.5", ""] {
            let said = workers(&["--batch", value]).unwrap_err();
            let words = [&format!("'{value}'"), "--batch", "1 to 65536 records"];
            assert!(words.iter().all(|word| said.contains(*word)), "{said}");
        }
        for value in ["1001ms", "1m", "9000000000000000ms"] {
            let said = workers(&["--commit-interval", value]).unwrap_err();
            let words = [value, "--commit-interval", "at most 1s apart"];
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
        for value in ["20", "soon", "-5ms", ""] {
            let said = workers(&[&format!("--commit-interval={value}")]).unwrap_err();
            assert!(said.contains("a whole number and a unit: 500ms"), "{said}");
        }
    }
}
