//! The product's binary and the data that it is tried with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The electricity market, a row every half hour.
pub const DATA: &str = include_str!("../../examples/electricity/electricity.csv");

/// Its project file.
pub const PROJECT: &str = include_str!("../../examples/electricity/mainstem.yaml");

/// The binary, built by cargo in the profile of this test.
///
/// # Panics
/// Where it does not build.
pub fn mainstem() -> Command {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--quiet", "--package", "mainstem"])
            .current_dir(root);
        if profile == "release" {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
    });
    Command::new(target.join(profile).join("mainstem"))
}

/// The header and the first rows of the data.
#[must_use]
pub fn rows(count: usize) -> String {
    DATA.lines()
        .take(count + 1)
        .map(|line| format!("{line}\n"))
        .collect()
}
