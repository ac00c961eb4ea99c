//! Disks that are full, read-only or damaged.
//!
//! A file system of a few megabytes is mounted in a mount namespace of a child's own, so it is gone with the child. That
//! takes the rights of root; without them those tests say so and pass.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstem_kernel::log::{CommitError, FetchLimit, Log, LogError, Partition, TopicSpec};
use mainstem_log_local::LocalLog;
use mainstem_schemas::Batch;

const PART: &str = "MAINSTEM_TEST_PART";
const DIR: &str = "MAINSTEM_TEST_DIR";

#[test]
fn child() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    match part.as_str() {
        "full" => fill_the_disk(&dir),
        "read-only" => open_read_only(&dir),
        other => panic!("no part is named {other}"),
    }
}

/// Runs a part on a file system of its own.
fn on_a_small_disk(part: &str, megabytes: u32) {
    let dir = tempfile::tempdir().unwrap();
    let mount =
        "mount -t tmpfs -o \"size=$SIZE\" tmpfs \"$MAINSTEM_TEST_DIR\" || exit 77; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", mount, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("SIZE", format!("{megabytes}m"))
        .env(PART, part)
        .env(DIR, dir.path())
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

fn at() -> Partition {
    Partition::new("records", 0)
}

fn open(dir: &Path) -> LocalLog {
    let log = LocalLog::open(dir).unwrap();
    let topic = TopicSpec {
        name: "records".into(),
        partitions: 1,
    };
    log.create_topics(&[topic]).unwrap();
    log
}

fn record(n: usize, size: usize) -> [(Partition, Batch); 1] {
    let mut batch = Batch::new();
    let mut value = n.to_le_bytes().to_vec();
    value.resize(8 + size, b'x');
    batch.push(None, Some(&value), []);
    [(at(), batch)]
}

/// The numbers of all records, each checked for its length.
fn numbers(log: &LocalLog, size: usize) -> Vec<usize> {
    let mut reader = log.reader().unwrap();
    let mut all = Batch::new();
    loop {
        let before = all.len();
        let next = before as u64;
        reader
            .fetch(&at(), next, FetchLimit::default(), &mut all)
            .unwrap();
        if all.len() == before {
            break;
        }
    }
    let number = |value: &[u8]| {
        assert_eq!(value.len(), 8 + size);
        usize::from_le_bytes(value[..8].try_into().unwrap())
    };
    all.iter()
        .map(|record| number(record.value.unwrap()))
        .collect()
}

#[test]
fn a_full_disk_is_told_and_survived() {
    on_a_small_disk("full", 16);
}

fn fill_the_disk(dir: &Path) {
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let folder = dir.join("log");
    let log = open(&folder);
    let mut writer = log.writer("writer").unwrap();
    let full = Err(CommitError::Log(LogError::Full(
        folder.display().to_string(),
    )));
    let mut written = 0;
    let told = loop {
        match writer.append(&record(written, 10_000)) {
            Ok(()) => written += 1,
            refused => break refused,
        }
        assert!(written < 10_000);
    };
    assert_eq!(told, full);
    assert!(written > 100, "{written}");
    let all: Vec<usize> = (0..written).collect();
    assert_eq!(
        numbers(&log, 10_000),
        all,
        "what was acknowledged is there, and nothing else"
    );
    assert_eq!(writer.append(&record(written, 900_000)), full);

    // Opened anew it says the same, and reads the same, whether or not it may write.
    drop((writer, log));
    match LocalLog::open(&folder) {
        Ok(log) => assert_eq!(numbers(&log, 10_000), all),
        Err(error) => assert_eq!(error, LogError::Full(folder.display().to_string())),
    }

    fs::remove_file(&ballast).unwrap();
    let log = open(&folder);
    let mut writer = log.writer("writer").unwrap();
    for n in written..written + 100 {
        writer.append(&record(n, 10_000)).unwrap();
    }

    // A caller whose records do not fit fails alone; the same handle goes on once there is room.
    let small = written + 100;
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    std::thread::scope(|scope| {
        let large = scope.spawn(|| {
            let mut writer = log.writer("large").unwrap();
            let all: Vec<_> = (0..12).flat_map(|n| record(n, 1_000_000)).collect();
            assert_eq!(writer.append(&all), full);
        });
        written = small + 20;
        for n in small..written {
            writer.append(&record(n, 10_000)).unwrap();
        }
        large.join().unwrap();
    });
    fs::remove_file(&ballast).unwrap();
    writer.append(&record(written, 10_000)).unwrap();
    drop((writer, log));
    let log = open(&folder);
    assert_eq!(numbers(&log, 10_000), (0..=written).collect::<Vec<_>>());
}

#[test]
fn a_read_only_disk_is_told() {
    on_a_small_disk("read-only", 8);
}

fn open_read_only(dir: &Path) {
    let folder = dir.join("log");
    drop(open(&folder));
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(dir)
        .status()
        .unwrap();
    assert!(remounted.success());
    for folder in [folder, dir.join("new")] {
        let refused = LocalLog::open(&folder).err();
        assert_eq!(
            refused,
            Some(LogError::ReadOnly(folder.display().to_string()))
        );
    }
}

#[test]
fn a_path_that_is_no_directory_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("below")] {
        let refused = LocalLog::open(&path).err();
        assert_eq!(
            refused,
            Some(LogError::ReadOnly(path.display().to_string()))
        );
    }
}

#[test]
fn a_file_that_is_no_log_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log.sqlite"), vec![b'x'; 10_000]).unwrap();
    let refused = LocalLog::open(dir.path()).err();
    assert!(matches!(refused, Some(LogError::Damaged(_))), "{refused:?}");
}

/// Flips one bit in each of several places of a record's bytes in the closed file.
#[test]
fn a_flipped_bit_is_named_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut writer = log.writer("writer").unwrap();
    for n in 0..20 {
        writer.append(&record(n, 5_000)).unwrap();
    }
    drop((writer, log));
    let file = dir.path().join("log.sqlite");
    let sound = fs::read(&file).unwrap();
    let marker = [&7usize.to_le_bytes()[..], b"xxxx"].concat();
    let place = sound.windows(12).position(|bytes| bytes == marker).unwrap();
    for at_byte in [place, place + 5, place + 100] {
        let mut torn = sound.clone();
        torn[at_byte] ^= 4;
        fs::write(&file, &torn).unwrap();
        let log = open(dir.path());
        let mut reader = log.reader().unwrap();
        let mut got = Batch::new();
        let limit = FetchLimit::default();
        let damaged = LogError::Damaged("records/0 at offset 7".into());
        assert_eq!(reader.fetch(&at(), 7, limit, &mut got), Err(damaged));
        assert!(got.is_empty());
        reader.fetch(&at(), 8, limit, &mut got).unwrap();
        assert_eq!(got.len(), 12);
        drop((reader, log));
    }
    fs::write(&file, &sound).unwrap();
    assert_eq!(numbers(&open(dir.path()), 5_000).len(), 20);
}

/// Cuts and scrambles the closed file anywhere: what is read is right or refused, and nothing panics.
#[test]
fn any_damage_is_refused_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut writer = log.writer("writer").unwrap();
    for n in 0..30 {
        writer.append(&record(n, 2_000)).unwrap();
    }
    drop((writer, log));
    let file = dir.path().join("log.sqlite");
    let sound = fs::read(&file).unwrap();
    let mut seed = 88_172_645_463_325_252u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below
    };
    let mut refused = 0;
    for round in 0..120 {
        let mut torn = sound.clone();
        if round % 4 == 0 {
            torn.truncate(1 + random(sound.len() - 1));
        } else {
            let start = random(sound.len());
            let end = (start + 1 + random(600)).min(sound.len());
            torn[start..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        fs::write(&file, &torn).unwrap();
        let _ = fs::remove_file(dir.path().join("log.sqlite-wal"));
        let _ = fs::remove_file(dir.path().join("log.sqlite-shm"));
        let Ok(log) = LocalLog::open(dir.path()) else {
            refused += 1;
            continue;
        };
        let mut reader = log.reader().unwrap();
        for n in 0..30 {
            let mut got = Batch::new();
            let limit = FetchLimit {
                records: 1,
                ..FetchLimit::default()
            };
            match reader.fetch(&at(), n, limit, &mut got) {
                Ok(()) if got.is_empty() => {}
                Ok(()) => assert_eq!(
                    got.frames(0..1),
                    record(n as usize, 2_000)[0].1.frames(0..1)
                ),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "{refused}");
}
