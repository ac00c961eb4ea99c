//! The broker's jars, fetched once per checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Fetches the broker's jars (54 MB) with Maven into `target/kafka/libs`, unless they are there; says where they are.
///
/// # Errors
/// Where Java or Maven is missing or Maven fails; the text names the ways out.
pub fn fetch_jars() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here
        .ancestors()
        .nth(2)
        .ok_or("the crate lies outside a workspace")?;
    let kafka = workspace.join("target/kafka");
    let libs = kafka.join("libs");
    require("java", "-version")?;
    // The directory appears by one rename, when it is whole: test binaries may fetch at the same time.
    if libs.is_dir() {
        return Ok(libs);
    }
    require("mvn", "-v")?;
    std::fs::create_dir_all(&kafka).map_err(|why| format!("{}: {why}", kafka.display()))?;
    let fresh = tempfile::Builder::new()
        .prefix("libs-")
        .tempdir_in(&kafka)
        .map_err(|why| format!("{}: {why}", kafka.display()))?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-f"])
        .arg(here.join("pom.xml"))
        .arg(format!("-DoutputDirectory={}", fresh.path().display()))
        .output()
        .map_err(|why| format!("mvn: {why}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(ways_out(&format!("Maven could not fetch Kafka: {said}")));
    }
    match std::fs::rename(fresh.keep(), &libs) {
        Err(why) if !libs.is_dir() => Err(format!("{}: {why}", libs.display())),
        _ => Ok(libs),
    }
}

fn require(program: &str, argument: &str) -> Result<(), String> {
    let found = Command::new(program).arg(argument).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(ways_out(&format!("`{program}` is not on the path")))
}

fn ways_out(why: &str) -> String {
    format!(
        "{why}\nThe tests of the Kafka log run on a real broker, which needs Java 17 and, once, Maven. Install them and \
         run `cargo xtask test --setup`, or name a running broker with {}=host:port, or leave these tests out with \
         `cargo xtask test --without-kafka`.",
        crate::KAFKA
    )
}
