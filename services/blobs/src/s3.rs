//! The store as a bucket of S3: `<prefix>/ab/abcd…`, each object named by the BLAKE3 of its bytes.
//!
//! An object is there whole or not at all, so writers of the same bytes do not harm one another. Every request is tried
//! again some times, and all of it is bounded; what is refused in the end names bucket and key, and what to do.
//!
//! The port is synchronous and the client is not: it runs on two threads of its own, and callers wait. So a call never
//! depends on which thread it is made from.

mod error;
mod place;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_schemas::Digest;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, MultipartUpload, ObjectStoreExt, RetryConfig,
};
use tokio::runtime::Runtime;

use crate::{place_of, within_limit};
use error::{Remedy, missing};
use place::Place;
pub use place::SCHEME;

/// Tries after the first one, with pauses that begin at [`PAUSE`] and double: a store that restarts is back within some
/// seconds, and one that is away for longer makes a task wait, which is tried again as a whole.
const RETRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const TRYING: Duration = Duration::from_secs(90);

/// How long a connection may take, and how long a request may go on without a byte of the answer: a part goes up within it
/// at 300 kB/s.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);

/// What is larger goes up in parts of this size, so that a try that fails loses no more; S3 takes 10,000 of 5 MiB or more.
const PART: usize = 16 << 20;

/// Parts that are under way at once: 64 MiB of memory.
const PARTS: usize = 4;

/// Threads of the client: one would let a large blob's decryption hold up all others.
const THREADS: usize = 2;

/// What is written and read to see whether that can be done, and where.
const PROBE: &[u8] = b"mainstem";
const PROBE_KEY: &str = "probe";

/// Blobs in a bucket that all workers share.
pub struct S3Blobs {
    store: Arc<AmazonS3>,
    place: Place,
    /// Always there until it is dropped.
    runtime: Option<Runtime>,
}

impl S3Blobs {
    /// A store at `s3://bucket/prefix`, with the settings that AWS' tools take from the environment (`AWS_ACCESS_KEY_ID`
    /// and so on) in `settings`; others are passed over. Nothing is asked yet.
    ///
    /// # Errors
    /// Where the place is none, or the settings do not go together.
    pub fn open(
        place: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BlobError> {
        let place = Place::parse(place).map_err(BlobError::Store)?;
        // The crypto library of the other clients of this process; whoever comes second finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::new()
            .with_client_options(
                ClientOptions::new()
                    .with_connect_timeout(CONNECT)
                    .with_timeout_disabled()
                    .with_read_timeout(SILENCE),
            )
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: PAUSE,
                    max_backoff: LONGEST_PAUSE,
                    base: 2.0,
                },
                max_retries: RETRIES,
                retry_timeout: TRYING,
            });
        for (name, value) in settings {
            if name.starts_with("AWS_")
                && let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
            {
                builder = builder.with_config(key, value);
            }
        }
        let built = builder.with_bucket_name(&place.bucket).build();
        let store = built.map_err(|error| Remedy::of(&error).told(&place.to_string(), "opened"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("blobs")
            .enable_all()
            .build()
            .map_err(|error| BlobError::Store(format!("the client of {place}: {error}")))?;
        Ok(S3Blobs {
            store: Arc::new(store),
            place,
            runtime: Some(runtime),
        })
    }

    /// Starts what is asked on the client's threads.
    fn start<T: Send + 'static>(
        &self,
        asked: impl Future<Output = T> + Send + 'static,
    ) -> Receiver<T> {
        let (send, answer) = sync_channel(1);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move { send.send(asked.await) });
        }
        answer
    }

    /// Waits for an answer.
    fn answer<T>(
        &self,
        key: &Path,
        answer: &Receiver<Result<T, Error>>,
        what: &str,
    ) -> Result<T, BlobError> {
        let place = || format!("{SCHEME}{}/{key}", self.place.bucket);
        match answer.recv() {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if missing(&error) => Err(BlobError::Missing(place())),
            Ok(Err(error)) => Err(Remedy::of(&error).told(&place(), what)),
            Err(_) => Err(BlobError::Store(format!(
                "{} was not {what}: its client has stopped; start the process again",
                place()
            ))),
        }
    }

    fn wait<T: Send + 'static>(
        &self,
        key: &Path,
        what: &str,
        asked: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, BlobError> {
        self.answer(key, &self.start(asked), what)
    }

    fn read(&self, key: &Path) -> Result<Vec<u8>, BlobError> {
        let (store, from) = (Arc::clone(&self.store), key.clone());
        let got = self.wait(key, "read", async move { store.get(&from).await })?;
        within_limit(&key, got.meta.size)?;
        let size = usize::try_from(got.meta.size).unwrap_or_default();
        self.wait(key, "read", async move {
            let (mut stream, mut bytes) = (got.into_stream(), Vec::with_capacity(size));
            while let Some(chunk) = stream.try_next().await? {
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        })
    }

    fn write(&self, key: &Path, bytes: &[u8]) -> Result<(), BlobError> {
        if bytes.len() > PART {
            return self.write_parts(key, bytes);
        }
        let (store, to, bytes) = (
            Arc::clone(&self.store),
            key.clone(),
            Bytes::copy_from_slice(bytes),
        );
        self.wait(
            key,
            "written",
            async move { store.put(&to, bytes.into()).await },
        )
        .map(drop)
    }

    fn write_parts(&self, key: &Path, bytes: &[u8]) -> Result<(), BlobError> {
        let (store, to) = (Arc::clone(&self.store), key.clone());
        let mut upload = self.wait(
            key,
            "written",
            async move { store.put_multipart(&to).await },
        )?;
        match self.send_parts(key, upload.as_mut(), bytes) {
            Ok(()) => self
                .wait(key, "written", async move { upload.complete().await })
                .map(drop),
            Err(error) => {
                // What cannot be taken back lies unseen until the bucket's rules sweep it.
                let _ = self.wait(key, "taken back", async move { upload.abort().await });
                Err(error)
            }
        }
    }

    fn send_parts(
        &self,
        key: &Path,
        upload: &mut dyn MultipartUpload,
        bytes: &[u8],
    ) -> Result<(), BlobError> {
        let mut under_way = VecDeque::new();
        for part in bytes.chunks(PART) {
            if under_way.len() == PARTS
                && let Some(first) = under_way.pop_front()
            {
                self.answer(key, &first, "written")?;
            }
            under_way.push_back(self.start(upload.put_part(Bytes::copy_from_slice(part).into())));
        }
        under_way
            .iter()
            .try_for_each(|part| self.answer(key, part, "written"))
    }
}

impl Blobs for S3Blobs {
    /// What is there whole is not sent again; damage is replaced.
    fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        let key = self.place.key(&place_of(&digest));
        within_limit(&key, bytes.len() as u64)?;
        match self.get(&digest) {
            Ok(_) => {}
            Err(BlobError::Missing(_) | BlobError::Damaged(_)) => self.write(&key, bytes)?,
            Err(error) => return Err(error),
        }
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, BlobError> {
        let key = self.place.key(&place_of(digest));
        let bytes = self.read(&key)?;
        if Digest::of(&bytes) != *digest {
            let place = format!("{SCHEME}{}/{key}", self.place.bucket);
            return Err(BlobError::Damaged(place));
        }
        Ok(bytes.into())
    }

    /// Writes an object of a fixed name and reads it; it stays, so that no right to delete is needed. Then asks for one
    /// that is not there: a bucket that may not be listed would say that it may not be read.
    fn check(&self) -> Result<(), BlobError> {
        let key = self.place.key(PROBE_KEY);
        self.write(&key, PROBE)?;
        if self.read(&key)? != PROBE {
            return Err(BlobError::Store(format!(
                "{SCHEME}{}/{key} is read as another than it was written; give every project a prefix of its own",
                self.place.bucket
            )));
        }
        match self.get(&Digest::of(b"nothing is stored under this name")) {
            Ok(_) | Err(BlobError::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for S3Blobs {
    /// Waits for nothing: a runtime may not be waited for on every thread.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
