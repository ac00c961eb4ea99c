//! The project's chores.
//!
//! ```text
//! cargo xtask test --setup     set up what the tests need, then run everything: the README's test command
//! cargo xtask check            formatting, lints, the direction of dependencies, documentation
//! ```
#![forbid(unsafe_code)]

mod direction;
mod setup;

use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask test [--setup] [--without-kafka]   run every test
    --setup           first install what is missing: a Python environment with the libraries that the tests compare
                      with, Java and Maven (where the system's package manager is known), Kafka's jars
    --without-kafka   leave out the tests on a real broker
cargo xtask check                              formatting, lints, direction of dependencies, documentation";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, flags) = words
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let known = ["--setup", "--without-kafka"];
    let unknown = flags
        .iter()
        .find(|flag| command != "test" || !known.contains(&flag.as_str()));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let done = match (command, unknown) {
        ("test", None) => test(has("--setup"), has("--without-kafka")),
        ("check", None) => check(),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::from(1)
        }
    }
}

fn test(set_up: bool, without_kafka: bool) -> Result<(), String> {
    if set_up {
        setup::python()?;
        if !without_kafka {
            setup::kafka()?;
        }
    }
    let cargo = || {
        let mut cargo = Command::new("cargo");
        if without_kafka {
            cargo.env("MAINSTEM_TEST_WITHOUT_KAFKA", "1");
        }
        cargo
    };
    run(cargo().args(["test", "--workspace"]))?;
    // The whole system in the build that users run. Each fault has a broker and several processes of its own: two at a
    // time leave them room.
    let release = ["test", "--release", "--package", "mainstem-tests"];
    let all = ["--", "--include-ignored"];
    run(cargo().args(release).args(["--test", "demo"]).args(all))?;
    run(cargo()
        .args(release)
        .args(["--test", "faults"])
        .args(all)
        .arg("--test-threads=2"))
}

fn check() -> Result<(), String> {
    run(Command::new("cargo").args(["fmt", "--all", "--check"]))?;
    direction::check()?;
    run(Command::new("cargo").args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // Private items are documented too, so links to them lead somewhere.
    let mut doc = Command::new("cargo");
    doc.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ])
    .env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private_intra_doc_links",
    );
    run(&mut doc)
}

/// Runs a command and shows what it prints.
fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}").replace('"', "");
    eprintln!("xtask: {shown}");
    let status = command
        .status()
        .map_err(|error| format!("{shown}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown}: {status}"))
    }
}
