//! Disks that are full or read-only, directories that are none, and output that nobody takes.
//!
//! A file system of some megabytes is mounted in a mount namespace of a child's own, so it is gone with the child. That
//! takes the rights of root, or of a user who may have a namespace; without them those tests say so and pass.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::Place;
use crate::process::until;
use crate::shop::{HEADER, orders, project};

const PART: &str = "MAINSTEM_TEST_PART";
const DISK: &str = "MAINSTEM_TEST_DISK";

/// Runs a part of this file, in a process of its own, on a file system of so many megabytes.
fn on_a_small_disk(part: &str, megabytes: u32) {
    let disk = tempfile::tempdir().unwrap();
    let mount =
        format!("mount -t tmpfs -o size={megabytes}m tmpfs \"${DISK}\" || exit 77; exec \"$@\"");
    let output = Command::new("unshare")
        .args(["-r", "-m", "sh", "-c", &mount, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["disk::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env(DISK, disk.path())
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) if matches!(output.status.code(), Some(1 | 77)) => {
            println!("not run: nothing can be mounted here");
        }
        Err(_) => println!("not run: there is no unshare here"),
        Ok(output) => panic!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

#[test]
fn child() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let disk = PathBuf::from(std::env::var(DISK).unwrap());
    match part.as_str() {
        "full" => fill(&disk),
        "read-only" => read_only(&disk),
        other => panic!("no part is named {other}"),
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_acknowledged_is_lost() {
    on_a_small_disk("full", 96);
}

fn fill(disk: &Path) {
    let place = Place::applied(&project("wall", 2));
    let dir = disk.join("data");
    let at = dir.to_str().unwrap();
    place.run(&["apply", "--dir", at]).with(0);
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; 90 << 20]).unwrap();
    let mut up = place.start(&["up", "--port", "0", "--dir", at]);
    up.address();

    // The publisher says what is the matter; the services wait for room.
    place.write("rows.csv", HEADER.to_owned() + &orders(1_000, 0..40));
    let publish = ["publish", "orders", "rows.csv", "--dir", at];
    let remedy = [at, "is full", "free space", "nothing acknowledged is lost"];
    place.run(&publish).with(1).naming(&remedy);
    up.warns("is full");
    assert!(up.is_alive());

    fs::remove_file(&ballast).unwrap();
    let place = place.with_data(&dir);
    let resumed = place.run(&[&publish[..], &["--resume"]].concat()).with(0);
    assert!(!resumed.out.contains(" 0 already there"), "{}", resumed.out);
    assert_eq!(place.count("arrivals.orders"), 40_000);
    until("the features are there", || {
        place.count("features.spending") == 40_000
    });
    drop(up);
    let verified = place.run(&["audit", "verify", "--dir", at]).with(0);
    assert!(verified.out.contains("\n0 mismatches"), "{}", verified.out);
}

#[test]
fn a_read_only_disk_is_told() {
    on_a_small_disk("read-only", 16);
}

fn read_only(disk: &Path) {
    let place = Place::new(&project("wall", 2));
    let dir = disk.join("data");
    let at = dir.to_str().unwrap();
    place.run(&["apply", "--dir", at]).with(0);
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk)
        .status();
    assert!(remounted.unwrap().success());
    place.write("rows.csv", HEADER.to_owned() + &orders(2, 0..2));
    for command in [
        &["publish", "orders", "rows.csv"][..],
        &["up", "--port", "0"],
        &["run", "processor"],
        &["apply"],
        &["retrain", "pays"],
    ] {
        let ended = place.run(&[command, &["--dir", at]].concat()).with(1);
        ended.naming(&[at, "cannot be written", "check its permissions", "--dir"]);
    }
}

#[test]
fn a_directory_that_is_a_file_is_told() {
    let place = Place::new(&project("wall", 2));
    for dir in ["mainstem.yaml", "mainstem.yaml/below"] {
        for command in [
            &["apply"][..],
            &["up", "-f", "mainstem.yaml", "--port", "0"],
        ] {
            let ended = place.run(&[command, &["--dir", dir]].concat()).with(1);
            ended.naming(&[dir, "is no directory", "--dir"]);
        }
    }
}

#[test]
fn services_do_not_start_on_blobs_that_cannot_be_written() {
    let place = Place::applied(&project("wall", 2));
    // What not even root can write into: a file in the place of the directory.
    let drafts = place.data().join("blobs/drafts");
    fs::remove_dir(&drafts).unwrap();
    File::create(&drafts).unwrap();
    for words in [&["up", "--port", "0"][..], &["run", "processor"]] {
        let refused = place.run(words).with(1);
        refused.naming(&["blobs cannot be written", "must be writable"]);
    }
}

#[test]
fn output_that_cannot_be_written_is_no_reason_to_panic() {
    let place = Place::new(&project("wall", 2));
    let check = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstem"));
        let child = command.arg("check").current_dir(place.path("")).stdout(out);
        let output = child
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        let (code, said) = check(full.into());
        assert_eq!(code, Some(1));
        assert!(said.contains("standard output cannot be written"), "{said}");
    }
    // A pipe whose reader is gone: it has seen enough.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(check(writer.into()), (Some(0), String::new()));
}
