//! SIGKILL of a service at any moment of a paced run, and a restart: the final history equals the undisturbed one.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use mainstem_host::Store;

use mainstem_tests::binary::{PROJECT, mainstem, rows};
use mainstem_tests::history::{self, History, assert_same};

/// Weeks after the first training: two retrains with their shadows lie in them.
const WEEKS: usize = 14;

fn write_files(dir: &Path) {
    std::fs::write(dir.join("mainstem.yaml"), PROJECT).unwrap();
    std::fs::write(dir.join("market.csv"), rows(5_000 + WEEKS * 336)).unwrap();
    let applied = mainstem()
        .args(["apply", "--actor", "test", "-f"])
        .arg(dir.join("mainstem.yaml"))
        .arg("--dir")
        .arg(dir.join("data"))
        .output()
        .unwrap();
    assert!(
        applied.status.success(),
        "{}",
        String::from_utf8_lossy(&applied.stderr)
    );
}

fn up(dir: &Path) -> Child {
    mainstem()
        .args(["run", "processor", "--dir"])
        .arg(dir.join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn publish(dir: &Path, resume: bool) -> Child {
    let mut command = mainstem();
    command
        .args(["publish", "market"])
        .arg(dir.join("market.csv"))
        .args(["--pace", "7d", "--actor", "test", "--dir"]);
    command.arg(dir.join("data"));
    if resume {
        command.arg("--resume");
    }
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn history(dir: &Path) -> History {
    history::history(&Store::open(&dir.join("data")).unwrap(), "electricity")
}

fn undisturbed() -> History {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let mut processor = up(dir.path());
    assert!(publish(dir.path(), false).wait().unwrap().success());
    processor.kill().unwrap();
    processor.wait().unwrap();
    history(dir.path())
}

/// Kills the processor or the publisher after times drawn from a seed, until the publication is through.
fn disturbed(mut seed: u64) -> (History, usize) {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let (mut processor, mut publisher, mut kills) = (up(dir.path()), publish(dir.path(), false), 0);
    loop {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(100 + (seed >> 33) % 500));
        if let Some(status) = publisher.try_wait().unwrap() {
            assert!(
                status.success(),
                "the publication failed after {kills} kills"
            );
            break;
        }
        // Enough is enough: the rest runs through.
        if kills >= 12 {
            continue;
        }
        kills += 1;
        if seed >> 63 == 0 {
            processor.kill().unwrap();
            processor.wait().unwrap();
            processor = up(dir.path());
        } else {
            publisher.kill().unwrap();
            publisher.wait().unwrap();
            publisher = publish(dir.path(), has_begun(dir.path()));
        }
    }
    processor.kill().unwrap();
    processor.wait().unwrap();
    (history(dir.path()), kills)
}

/// Whether the publication's first event was written before the kill.
fn has_begun(dir: &Path) -> bool {
    history(dir)
        .keys()
        .any(|(partition, _)| partition.topic.ends_with("requests.sources"))
}

#[test]
#[ignore = "some thousand rows, in a release build: cargo xtask test runs it"]
fn kills_at_any_moment_leave_the_undisturbed_history() {
    let expected = undisturbed();
    for seed in [3, 17] {
        let (found, kills) = disturbed(seed);
        assert!(kills > 0);
        assert_same(
            &expected,
            &found,
            &format!("after {kills} kills, seed {seed}"),
        );
    }
}
