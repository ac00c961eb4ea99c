//! Who is alive: each worker holds a lock on a file of its name for as long as its process has it.
//!
//! Files are opened, taken and removed under the writer's lock only, so nobody can hold a file that another removes.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use mainstem_kernel::log::LogError;

use crate::error::Fail;

const SUFFIX: &str = ".lock";

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("workers")
}

/// A worker's name as a file's: bytes that a file system may refuse are written as `%` and two hexadecimal digits.
pub(crate) fn file_name(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02x}")),
        }
    }
    out
}

fn open(dir: &Path, seat: &str) -> io::Result<File> {
    let path = folder(dir).join(format!("{seat}{SUFFIX}"));
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Takes the seat of a name; a live worker that has it is named in the refusal.
pub(crate) fn take(dir: &Path, seat: &str) -> Result<File, Fail> {
    let file = open(dir, seat)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Other(format!(
            "a worker named {seat} is at work in {}; give this one another name, or stop that one",
            dir.display()
        ))
        .into()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The seats whose workers live. Those of the dead are removed.
pub(crate) fn live(dir: &Path) -> Result<BTreeSet<String>, Fail> {
    let mut live = BTreeSet::new();
    for entry in folder(dir).read_dir()? {
        let name = entry?.file_name();
        let Some(seat) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else {
            continue;
        };
        let file = open(dir, seat)?;
        match file.try_lock() {
            Ok(()) => remove(dir, seat),
            Err(TryLockError::WouldBlock) => {
                live.insert(seat.to_owned());
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Ok(live)
}

/// Removes a seat's file. One that stays is found dead and removed by the next look.
pub(crate) fn remove(dir: &Path, seat: &str) {
    let _ = std::fs::remove_file(folder(dir).join(format!("{seat}{SUFFIX}")));
}
