//! What SQLite and the file system report, in the words of the port.

use std::io;
use std::path::Path;

use mainstem_kernel::log::{CommitError, LogError};
use rusqlite::ErrorCode;

/// Why a step of a transaction failed.
#[derive(Debug)]
pub(crate) enum Fail {
    Sql(rusqlite::Error),
    Io(io::Error),
    Commit(CommitError),
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Fail::Sql(error)
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Fail::Io(error)
    }
}

impl From<CommitError> for Fail {
    fn from(error: CommitError) -> Self {
        Fail::Commit(error)
    }
}

impl From<LogError> for Fail {
    fn from(error: LogError) -> Self {
        Fail::Commit(CommitError::Log(error))
    }
}

impl Fail {
    /// For a caller that commits: nothing was written.
    pub(crate) fn commit(self, dir: &Path) -> CommitError {
        match self {
            Fail::Commit(error) => error,
            Fail::Sql(error) if is_busy(&error) => CommitError::Aborted(error.to_string()),
            other => CommitError::Log(other.log(dir)),
        }
    }

    /// For a caller that reads or sets up.
    pub(crate) fn log(self, dir: &Path) -> LogError {
        match self {
            Fail::Sql(error) => of_sqlite(&error, dir),
            Fail::Io(error) => of_io(&error, dir),
            Fail::Commit(error) => of_commit(error),
        }
    }
}

/// Whether another connection was in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether the disk had no room for it.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    // The index of the write-ahead log lies in a file of its own, which must grow too.
    let extended = error.sqlite_error().map(|e| e.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the bytes on the disk were found damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn of_sqlite(error: &rusqlite::Error, dir: &Path) -> LogError {
    let file = || dir.join(crate::store::FILE).display().to_string();
    match error.sqlite_error_code() {
        _ if is_full(error) => LogError::Full(dir.display().to_string()),
        _ if is_damage(error) => LogError::Damaged(file()),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            LogError::ReadOnly(dir.display().to_string())
        }
        _ => LogError::Other(format!("{}: {error}", file())),
    }
}

fn of_io(error: &io::Error, dir: &Path) -> LogError {
    use io::ErrorKind as Kind;
    let at = dir.display().to_string();
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => LogError::Full(at),
        Kind::PermissionDenied
        | Kind::ReadOnlyFilesystem
        | Kind::NotADirectory
        | Kind::AlreadyExists => LogError::ReadOnly(at),
        _ => LogError::Other(format!("{at}: {error}")),
    }
}

/// For calls of the port that are no commits.
pub(crate) fn of_commit(error: CommitError) -> LogError {
    match error {
        CommitError::Log(error) => error,
        other => LogError::Other(other.to_string()),
    }
}
