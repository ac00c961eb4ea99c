//! `bench`: hands over to `mainstem-bench`, which is built apart: it brings its own broker and what it is measured against,
//! and nobody who runs services needs it.

use std::error::Error;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Done;
use crate::cli::Bench;

const PROGRAM: &str = "mainstem-bench";

pub fn bench(options: &Bench) -> Done {
    let own = std::env::current_exe()?;
    // It takes this process's place, and returns where that fails.
    Err(hand_over(&program(&own), &options.arguments))
}

/// The one beside this program, else the one that the PATH has.
fn program(own: &Path) -> PathBuf {
    let beside = own.with_file_name(PROGRAM);
    match beside.is_file() {
        true => beside,
        false => PROGRAM.into(),
    }
}

fn hand_over(program: &Path, arguments: &[OsString]) -> Box<dyn Error> {
    let error = Command::new(program).args(arguments).exec();
    if error.kind() == ErrorKind::NotFound {
        return format!(
            "{PROGRAM} is neither beside this program nor on the PATH; build it from the sources: \
             cargo build --profile dist -p {PROGRAM}"
        )
        .into();
    }
    format!("{}: {error}", program.display()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_that_is_not_there_says_how_it_is_built() {
        let nowhere = Path::new("/nowhere/mainstem-bench");
        let error = hand_over(nowhere, &["kafka".into()]).to_string();
        assert!(
            error.contains("cargo build --profile dist -p mainstem-bench"),
            "{error}"
        );
    }

    #[test]
    fn the_bench_beside_the_program_comes_first() {
        let own = tempfile::tempdir().unwrap();
        let mainstem = own.path().join("mainstem");
        assert_eq!(program(&mainstem), Path::new(PROGRAM));
        let beside = own.path().join(PROGRAM);
        std::fs::write(&beside, "").unwrap();
        assert_eq!(program(&mainstem), beside);
    }
}
