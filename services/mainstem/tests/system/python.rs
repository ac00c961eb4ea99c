//! The Python that tests compare with.

use std::path::{Path, PathBuf};

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `MAINSTEM_TEST_PYTHON`, else `target/venv`, else `.venv` under the workspace's root.
pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("MAINSTEM_TEST_PYTHON") {
        return python.into();
    }
    let places = ["target/venv/bin/python", ".venv/bin/python"].map(|path| root().join(path));
    let found = places.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!("no Python: run `cargo xtask test --setup`, or set MAINSTEM_TEST_PYTHON")
    })
}
