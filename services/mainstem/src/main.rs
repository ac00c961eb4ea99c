//! Mainstem: the one binary. Every command opens the place of the log and the blobs, and does one thing.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod console;

mod cli;
mod commands;
mod demo;
#[cfg(test)]
mod deployment;
mod place;
mod registry;
mod settings;
mod stop;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    console::log_to_stderr(&cli);
    match commands::run(cli) {
        Ok(_) if console::is_lost() => ExitCode::from(1),
        Ok(code) => code,
        Err(error) => {
            console::error(error.as_ref());
            ExitCode::from(1)
        }
    }
}
