//! What the tests need beside Rust and a C compiler.

use std::path::Path;
use std::process::Command;

use crate::run;

/// A Python environment with the libraries that the tests compare with.
pub fn python() -> Result<(), String> {
    let venv = Path::new("target/venv");
    let python = venv.join("bin/python");
    let make = || run(Command::new("python3").args(["-m", "venv"]).arg(venv));
    if !python.exists() && make().is_err() {
        install(&["python3", "python3-venv"])?;
        make()?;
    }
    let requirements = "tests/python/requirements.txt";
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--requirement",
        requirements,
    ]))
}

/// Java, Maven, and Kafka's jars; nothing where a broker is named.
pub fn kafka() -> Result<(), String> {
    if std::env::var_os("MAINSTEM_TEST_KAFKA").is_some() {
        return Ok(());
    }
    // The compiler too: a test's plain Java consumer is launched from its source.
    if !answers("javac", "-version") || !answers("mvn", "--version") {
        install(&["default-jdk-headless", "maven"])?;
    }
    mainstem_test_broker::fetch_jars()
        .map(|jars| eprintln!("xtask: Kafka's jars lie in {}", jars.display()))
}

fn answers(program: &str, flag: &str) -> bool {
    Command::new(program)
        .arg(flag)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Installs packages where the package manager is Debian's and may be used.
fn install(packages: &[&str]) -> Result<(), String> {
    let by_hand = || format!("install {} and try again", packages.join(" and "));
    if !answers("apt-get", "--version") {
        return Err(by_hand());
    }
    run(Command::new("apt-get").args(["update", "--quiet"])).map_err(|_| by_hand())?;
    run(Command::new("apt-get")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages))
    .map_err(|_| by_hand())
}
