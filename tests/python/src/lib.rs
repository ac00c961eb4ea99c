//! Test support: Python programs that are not ours (clients, reference implementations), which the scripts beside this
//! crate put before our own.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A script of `tests/python`, run by `MAINSTEM_TEST_PYTHON`, else by `target/venv`, else by `.venv` under the workspace's
/// root.
///
/// # Errors
/// Where there is no Python: a comparison that is skipped in silence compares nothing.
pub fn script(name: &str) -> Result<Command, String> {
    let named = std::env::var_os("MAINSTEM_TEST_PYTHON").map(PathBuf::from);
    let places = ["target/venv/bin/python", ".venv/bin/python"].map(|path| root().join(path));
    let found = named.or_else(|| places.into_iter().find(|path| path.exists()));
    let python =
        found.ok_or("no Python: run `cargo xtask test --setup`, or set MAINSTEM_TEST_PYTHON")?;
    let mut command = Command::new(python);
    command.arg(root().join("tests/python").join(name));
    Ok(command)
}
