//! What the handles of one process share: the writer thread, the bell, and a connection for small questions.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{CommitError, LogError};
use mainstem_kernel::task::TaskId;
use mainstem_schemas::catalog::{Catalog, SchemaRegistered};
use mainstem_schemas::events::{Event, EventType, Turn, encode_body};
use mainstem_schemas::{Digest, wire};
use rusqlite::{Connection, OptionalExtension};

use crate::bell::Bell;
use crate::error::{Fail, is_busy};
use crate::members;
use crate::queue::{Call, Message, Thread};
use crate::store::{self, Store};

/// One writer thread a directory: two in one process would wait for each other's lock.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Shared>>> = Mutex::new(BTreeMap::new());

/// How long a first open is tried again while another process recovers or closes the file.
const OPENING: Duration = Duration::from_secs(10);

const CRC: usize = 4;

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) bell: Arc<Bell>,
    lookups: Mutex<Connection>,
    catalog: Catalog,
    turn_schema: u32,
    queue: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Shared {
    pub(crate) fn open(dir: &Path) -> Result<Arc<Shared>, LogError> {
        prepare(dir).map_err(|fail| fail.log(dir))?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, shared| shared.strong_count() > 0);
        let path = dir
            .canonicalize()
            .map_err(|error| Fail::Io(error).log(dir))?;
        if let Some(shared) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let shared = Arc::new(Shared::start(&path).map_err(|fail| fail.log(dir))?);
        open.insert(path, Arc::downgrade(&shared));
        Ok(shared)
    }

    fn start(dir: &Path) -> Result<Shared, Fail> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("writer.lock"))?;
        let (store, lookups, catalog, turn_schema) = locked(&lock, || set_up(dir))?;
        let bell = Arc::new(Bell::default());
        let (queue, receiver) = channel();
        let thread = Thread {
            store,
            lock,
            bell: Arc::clone(&bell),
        };
        let thread = std::thread::Builder::new()
            .name("log writer".into())
            .spawn(move || thread.run(&receiver))?;
        Ok(Shared {
            dir: dir.to_owned(),
            bell,
            lookups: Mutex::new(lookups),
            catalog,
            turn_schema,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Does some work in a transaction of the writer thread and waits until it is on the disk. `bytes` bound the group.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&mut Store) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, CommitError> {
        let gone = || CommitError::Unknown("the log's writer thread has ended".into());
        let (reply, answer) = sync_channel(1);
        let call = Call {
            bytes,
            work,
            result: None,
            reply,
        };
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue
            .send(Message::Job(Box::new(call)))
            .map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    /// Asks something of the committed state.
    pub(crate) fn look_up<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, Fail>,
    ) -> Result<T, LogError> {
        let connection = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&connection).map_err(|fail| fail.log(&self.dir))
    }

    pub(crate) fn wait(&self, seen: u64, timeout: Duration) -> bool {
        self.bell.wait(seen, timeout, || {
            if let Some(queue) = &self.queue {
                let _ = queue.send(Message::Look);
            }
        })
    }

    /// A turn as it is stored.
    pub(crate) fn encode_turn(&self, turn: &Turn) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; CRC];
        wire::put_header(&mut bytes, self.turn_schema);
        encode_body(turn, &mut bytes).map_err(|error| LogError::Other(error.to_string()))?;
        let crc = crc32fast::hash(&bytes[CRC..]).to_le_bytes();
        bytes[..CRC].copy_from_slice(&crc);
        Ok(bytes)
    }

    /// The turn of a task that stored bytes say.
    pub(crate) fn decode_turn(&self, task: &TaskId, stored: &[u8]) -> Result<Turn, LogError> {
        let damaged = || LogError::Damaged(format!("the last turn of {task}"));
        let (crc, value) = stored.split_at_checked(CRC).ok_or_else(damaged)?;
        if crc != crc32fast::hash(value).to_le_bytes() {
            return Err(damaged());
        }
        match Event::decode(&self.catalog, value) {
            Ok(Event::Turn(turn)) => Ok(turn),
            Ok(_) => Err(damaged()),
            Err(error) => Err(LogError::Other(error.to_string())),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None; // The thread ends when nobody can ask it anything.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn prepare(dir: &Path) -> Result<(), Fail> {
    std::fs::create_dir_all(members::folder(dir))?;
    Ok(())
}

fn locked<T>(lock: &File, work: impl FnOnce() -> Result<T, Fail>) -> Result<T, Fail> {
    lock.lock()?;
    let done = work();
    let _ = lock.unlock();
    done
}

fn set_up(dir: &Path) -> Result<(Store, Connection, Catalog, u32), Fail> {
    let start = Instant::now();
    loop {
        let opened = Store::open(dir).and_then(|store| {
            let (catalog, turn_schema) = schemas(store.connection())?;
            Ok((store, store::connect(dir)?, catalog, turn_schema))
        });
        match opened {
            Err(Fail::Sql(error)) if is_busy(&error) && start.elapsed() < OPENING => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// The schemas that turns were written with, and the id of this version's.
fn schemas(connection: &Connection) -> Result<(Catalog, u32), Fail> {
    let find = "SELECT id FROM schemas WHERE text = ?1";
    let found = connection
        .query_row(find, [Turn::AVSC], |row| row.get(0))
        .optional()?;
    let id = match found {
        Some(id) => id,
        None => connection.query_row(
            "INSERT INTO schemas (text) VALUES (?1) RETURNING id",
            [Turn::AVSC],
            |row| row.get(0),
        )?,
    };
    let mut catalog = Catalog::default();
    let mut statement = connection.prepare("SELECT id, text FROM schemas ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let schema: String = row.get(1)?;
        catalog.register(SchemaRegistered {
            id: row.get(0)?,
            subject: Turn::NAME.into(),
            fingerprint: Digest::default(),
            schema,
        });
    }
    Ok((catalog, id))
}
