//! The file: its tables, and what is done to them inside a transaction.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstem_kernel::log::{LogError, Partition, TopicSpec};
use mainstem_kernel::task::TaskId;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::error::Fail;
use crate::rows::Rows;

/// Name of the file in the log's directory.
pub(crate) const FILE: &str = "log.sqlite";

/// Version of the tables.
const FORMAT: i64 = 1;

/// Bits of a row's id that hold its first offset: a million million records a partition, eight million partitions.
pub(crate) const OFFSET_BITS: u32 = 40;

/// Beyond this the write-ahead log is folded into the file at once: readers look through all of it.
const WAL: u64 = 64 << 20;

/// Rows that retention forgets in one transaction, at most 64 MiB: other writers wait for it.
const CUT: i64 = 64;

/// How long a connection waits for another one. The lock file keeps writers apart, so only recovery after a kill and the
/// folding of the write-ahead log are ever waited for.
const BUSY: Duration = Duration::from_secs(10);

/// How long the folding of an overgrown write-ahead log waits for readers, since it holds back every writer.
const FOLD: Duration = Duration::from_millis(50);

const TABLES: &str = "
    CREATE TABLE batches (
        id        INTEGER PRIMARY KEY,  -- partition's number << 40 | first offset
        count     INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        frames    BLOB    NOT NULL      -- CRC over frames and place, frames
    );
    CREATE TABLE partitions (
        number    INTEGER PRIMARY KEY,
        topic     TEXT    NOT NULL,
        part      INTEGER NOT NULL,
        first     INTEGER NOT NULL,     -- first kept offset
        next      INTEGER NOT NULL,     -- offset after the last record
        UNIQUE (topic, part)
    );
    CREATE TABLE tasks (
        task      TEXT    PRIMARY KEY,
        owner     TEXT,                 -- seat of the worker that holds the lease, or null
        epoch     INTEGER NOT NULL,     -- grows with every change of owner
        number    INTEGER NOT NULL,     -- of the last turn
        turn      BLOB                  -- CRC, schema id, Avro body
    );
    CREATE TABLE writers (
        name      TEXT    PRIMARY KEY,
        epoch     INTEGER NOT NULL
    );
    CREATE TABLE schemas (              -- that turns were written with
        id        INTEGER PRIMARY KEY,
        text      TEXT    NOT NULL UNIQUE
    );
";

/// A connection for reading.
pub(crate) fn connect(dir: &Path) -> Result<Connection, Fail> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(FILE), flags)?;
    settle(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> Result<(), Fail> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

/// Id of the row of a partition that starts at an offset. Offsets beyond the largest are taken as the largest.
pub(crate) fn id(number: i64, offset: u64) -> i64 {
    let largest = (1u64 << OFFSET_BITS) - 1;
    number << OFFSET_BITS | offset.min(largest) as i64
}

/// Number, first and next offset of a partition.
pub(crate) fn partition(
    connection: &Connection,
    partition: &Partition,
) -> Result<(i64, i64, i64), Fail> {
    let text = "SELECT number, first, next FROM partitions WHERE topic = ?1 AND part = ?2";
    let found = connection
        .prepare_cached(text)?
        .query_row(params![&*partition.topic, partition.index], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    found.ok_or_else(|| LogError::UnknownTopic(partition.clone()).into())
}

/// The topics in the order of their names.
pub(crate) fn topics(connection: &Connection) -> Result<Vec<TopicSpec>, Fail> {
    let text = "SELECT topic, count(*) FROM partitions GROUP BY topic ORDER BY topic";
    let mut statement = connection.prepare_cached(text)?;
    let found = statement.query_map([], |row| {
        Ok(TopicSpec {
            name: row.get(0)?,
            partitions: row.get(1)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The stored bytes of a task's last turn.
pub(crate) fn last_turn(connection: &Connection, task: &TaskId) -> Result<Option<Vec<u8>>, Fail> {
    let found = connection
        .prepare_cached("SELECT turn FROM tasks WHERE task = ?1")?
        .query_row([&task.0], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()?;
    Ok(found.flatten())
}

/// The one connection of a process that writes.
pub(crate) struct Store {
    connection: Connection,
    dir: PathBuf,
    numbers: BTreeMap<Partition, i64>,
    data_version: i64,
    /// Size of the write-ahead log from which folding it is tried.
    fold_at: u64,
}

impl Store {
    /// Opens or creates the file; the caller holds the lock, for SQLite's own does not cover this.
    pub(crate) fn open(dir: &Path) -> Result<Store, Fail> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(dir.join(FILE), flags)?;
        settle(&connection)?;
        connection.pragma_update(None, "page_size", 4096)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            let why = "its file system has no shared memory; choose another directory with --dir";
            return Err(LogError::Other(format!("{}: {why}", dir.display())).into());
        }
        // FULL flushes at every commit. NORMAL would survive a kill, but not a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        // On macOS only this flushes the disk's own cache; elsewhere it changes nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
        connection.pragma_update(None, "journal_size_limit", WAL as i64)?;
        let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match format {
            0 => {
                let create = format!("BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;");
                connection.execute_batch(&create)?;
            }
            FORMAT => {}
            newer => {
                return Err(LogError::Other(format!(
                    "{} has format {newer}, and this version of mainstem reads {FORMAT}; use the version that wrote it",
                    dir.join(FILE).display()
                ))
                .into());
            }
        }
        let mut store = Store {
            connection,
            dir: dir.to_owned(),
            numbers: BTreeMap::new(),
            data_version: 0,
            fold_at: WAL,
        };
        store.others_committed();
        Ok(store)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn execute(&self, text: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(text)?
            .execute([])
            .map(|_| ())
    }

    pub(crate) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Ends a failed transaction, where SQLite did not do so itself.
    pub(crate) fn roll_back(&mut self) {
        self.numbers.clear(); // They may be of topics that never came to be.
        if self.in_transaction() {
            let _ = self.execute("ROLLBACK");
        }
    }

    /// Rows changed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.connection.total_changes()
    }

    /// Whether another process has committed since the last call.
    pub(crate) fn others_committed(&mut self) -> bool {
        let read = self
            .connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
        let before = self.data_version;
        self.data_version = read.unwrap_or(before);
        self.data_version != before
    }

    /// Folds an overgrown write-ahead log into the file. Where a reader is in the way, more of it must gather first.
    pub(crate) fn tidy(&mut self) {
        let path = self.dir.join(format!("{FILE}-wal"));
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        if size < self.fold_at {
            self.fold_at = self.fold_at.min(size + WAL).max(WAL);
            return;
        }
        let _ = self.connection.busy_timeout(FOLD);
        let folded = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            });
        let _ = self.connection.busy_timeout(BUSY);
        self.fold_at = if matches!(folded, Ok(0)) {
            WAL
        } else {
            size + WAL
        };
    }

    /// Creates a topic that is missing.
    pub(crate) fn create_topic(&mut self, topic: &TopicSpec) -> Result<(), Fail> {
        let actual: u32 = self
            .connection
            .prepare_cached("SELECT count(*) FROM partitions WHERE topic = ?1")?
            .query_row([&topic.name], |row| row.get(0))?;
        if actual == topic.partitions && actual > 0 {
            return Ok(());
        }
        if actual > 0 || topic.partitions == 0 {
            return Err(LogError::Partitions {
                topic: topic.name.clone(),
                actual,
                wanted: topic.partitions,
            }
            .into());
        }
        let text = "INSERT INTO partitions (topic, part, first, next) VALUES (?1, ?2, 0, 0)";
        let mut insert = self.connection.prepare_cached(text)?;
        for part in 0..topic.partitions {
            insert.execute(params![topic.name, part])?;
        }
        Ok(())
    }

    /// Appends rows to their partitions.
    pub(crate) fn append(&mut self, rows: &mut Rows) -> Result<(), Fail> {
        let timestamp = now();
        for (partition, rows) in &mut rows.partitions {
            let number = self.number(partition)?;
            let total: i64 = rows.iter().map(|row| row.count).sum();
            let text = "UPDATE partitions SET next = next + ?2 WHERE number = ?1 RETURNING next";
            let next: i64 = self
                .connection
                .prepare_cached(text)?
                .query_row([number, total], |row| row.get(0))?;
            if next >> OFFSET_BITS != 0 {
                return Err(LogError::Other(format!("{partition} has no offsets left")).into());
            }
            let text = "INSERT INTO batches (id, count, timestamp, frames) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = self.connection.prepare_cached(text)?;
            let mut base = next - total;
            for row in rows {
                let id = number << OFFSET_BITS | base;
                base += row.count;
                let count = row.count;
                insert.execute(params![id, count, timestamp, row.seal(id, timestamp)])?;
            }
        }
        Ok(())
    }

    fn number(&mut self, at: &Partition) -> Result<i64, Fail> {
        if let Some(number) = self.numbers.get(at) {
            return Ok(*number);
        }
        let (number, _, _) = partition(&self.connection, at)?;
        self.numbers.insert(at.clone(), number);
        Ok(number)
    }

    /// Forgets some of the rows that lie wholly before an offset; says whether none are left.
    pub(crate) fn truncate(&mut self, at: &Partition, before: u64) -> Result<bool, Fail> {
        let (number, first, next) = partition(&self.connection, at)?;
        let before = id(number, before).min(number << OFFSET_BITS | next);
        let text = "SELECT id + count FROM batches 
            WHERE id >= ?1 AND id < ?2 AND id + count <= ?2 ORDER BY id LIMIT ?3";
        let ends = self
            .connection
            .prepare_cached(text)?
            .query_map([number << OFFSET_BITS | first, before, CUT], |row| {
                row.get(0)
            })?
            .collect::<Result<Vec<i64>, _>>()?;
        let Some(end) = ends.last() else {
            return Ok(true);
        };
        self.connection
            .prepare_cached("DELETE FROM batches WHERE id >= ?1 AND id < ?2")?
            .execute([number << OFFSET_BITS, *end])?;
        self.connection
            .prepare_cached("UPDATE partitions SET first = ?2 WHERE number = ?1")?
            .execute([number, end - (number << OFFSET_BITS)])?;
        Ok((ends.len() as i64) < CUT)
    }
}

/// The wall clock in milliseconds: what a record's timestamp is.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
