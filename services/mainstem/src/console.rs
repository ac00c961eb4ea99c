//! Log lines and errors on standard error.

use std::error::Error;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, LogFormat};

/// Sends log lines to standard error, so that standard output holds answers alone.
pub fn log_to_stderr(cli: &Cli) {
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = match cli.log_format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(error) = set {
        eprintln!("mainstem: log lines are lost: {error}");
    }
}

/// Prints an error with its causes, each once.
pub fn error(error: &dyn Error) {
    eprintln!("mainstem: {error}");
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            eprintln!("  because {text}");
        }
        said.push_str(&text);
        cause = error.source();
    }
}
