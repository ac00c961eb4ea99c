//! Answers on standard output; log lines and errors on standard error.
//!
//! A pipe may be closed by its reader, and the disk behind a file be full: neither is a reason to panic, as the macros of
//! the standard library do.

use std::error::Error;
use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, LogFormat};

/// Writes a line of an answer.
macro_rules! out {
    ($($text:tt)*) => { $crate::console::write_out(format_args!($($text)*)) };
}

/// Writes a line for the person at the terminal.
macro_rules! err {
    ($($text:tt)*) => { $crate::console::write_err(format_args!($($text)*)) };
}

/// Whether a part of the answer could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

pub fn write_out(text: Arguments<'_>) {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => {}
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) if LOST.swap(true, Ordering::SeqCst) => drop(error),
        Err(error) => write_err(format_args!(
            "mainstem: standard output cannot be written: {error}; send it elsewhere"
        )),
    }
}

pub fn write_err(text: Arguments<'_>) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a part of the answer was lost.
pub fn is_lost() -> bool {
    LOST.load(Ordering::SeqCst)
}

/// Sends log lines to standard error, so that standard output holds answers alone.
pub fn log_to_stderr(cli: &Cli) {
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = match cli.log_format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(error) = set {
        err!("mainstem: log lines are lost: {error}");
    }
}

/// Prints an error with its causes, each once.
pub fn error(error: &dyn Error) {
    err!("mainstem: {error}");
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            err!("  because {text}");
        }
        said.push_str(&text);
        cause = error.source();
    }
}
