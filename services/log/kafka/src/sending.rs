//! A transaction's records on their way to the brokers, piece by piece.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mainstem_kernel::log::{LogError, Partition};
use mainstem_schemas::Batch;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::cluster::lock;
use crate::failure::{Failure, Failures, Stop};
use crate::native;
use crate::settings::{MAX_BATCH, MAX_RECORD, TRANSACTION_MS};

/// Records queued at one call: from 256 on more are not faster (measured).
const CHUNK: usize = 1_000;

/// Bytes that make a piece, once a batch is whole: the brokers write it while the next one is queued, and what was queued
/// before both is waited for. Smaller ones are more requests, for which a busy broker has no time; larger ones keep it
/// waiting, and librdkafka takes up to four times as much (measured). Its own queue, of 1 GB, never fills.
const PIECE: usize = 1 << 20;

/// What a partition is given by a commit goes with others' in one piece up to here: a request takes its time whatever it
/// holds.
const SMALL: usize = PIECE / 4;

/// One wait for answers, before errors are looked at.
const STEP: Duration = Duration::from_millis(50);

/// One wait for some of the answers: librdkafka wakes nobody before it has all.
const SHORT_STEP: Duration = Duration::from_millis(1);

/// Sends the records of one transaction.
pub(crate) struct Sender<'a> {
    producer: &'a BaseProducer<Failures>,
    deadline: Instant,
    /// Queued last.
    piece: Piece<'a>,
    /// Whose records are on their way: those of the piece before.
    sent: BTreeSet<&'a Partition>,
}

/// Records that go at once.
#[derive(Default)]
struct Piece<'a> {
    rows: usize,
    bytes: usize,
    partitions: BTreeSet<&'a Partition>,
}

impl<'a> Sender<'a> {
    pub(crate) fn of(producer: &'a BaseProducer<Failures>, deadline: Instant) -> Self {
        Sender {
            producer,
            deadline,
            piece: Piece::default(),
            sent: BTreeSet::new(),
        }
    }

    /// Sends records in the order of the turns, which goes round the partitions, and waits until the brokers have them.
    pub(crate) fn send(mut self, records: &[&'a (Partition, Batch)]) -> Result<(), Stop> {
        let mut given: BTreeMap<&Partition, usize> = BTreeMap::new();
        for (at, batch) in records {
            *given.entry(at).or_default() += batch.bytes();
        }
        let mut records = records.to_vec();
        records.sort_by_key(|(at, _)| given.get(at) > Some(&SMALL));
        for (at, batch) in records {
            // A partition takes a second batch once the first is acknowledged, and librdkafka spins until then.
            if self.sent.contains(at) {
                self.send_piece()?;
            }
            self.piece.partitions.insert(at);
            self.queue_all(at, batch)?;
            if self.piece.bytes > PIECE {
                self.send_piece()?;
            }
        }
        self.flush(0)
    }

    /// Queues a batch. One that is larger than librdkafka takes in one piece is waited for in between.
    fn queue_all(&mut self, at: &Partition, batch: &Batch) -> Result<(), Stop> {
        let mut row = 0;
        while row < batch.len() {
            let next = self.queue(at, batch, row)?;
            self.piece.rows += next - row;
            self.piece.bytes += batch.frames(row..next).len();
            row = next;
            if self.piece.bytes > MAX_BATCH {
                self.flush(0)?;
                self.sent.clear();
                (self.piece.rows, self.piece.bytes) = (0, 0);
            }
        }
        Ok(())
    }

    /// Sends what was queued last, and waits for what was before.
    fn send_piece(&mut self) -> Result<(), Stop> {
        let piece = std::mem::take(&mut self.piece);
        self.flush(piece.rows)?;
        self.sent = piece.partitions;
        Ok(())
    }

    /// Queues a row, or as many as follow without headers; says which row is next.
    fn queue(&self, partition: &Partition, batch: &Batch, row: usize) -> Result<usize, Stop> {
        let (topic, index) = (partition.topic.as_ref(), partition.index as i32);
        let bare = |row: usize| batch.get(row).is_some_and(|r| r.headers().next().is_none());
        let end = batch.len().min(row + CHUNK);
        let next = (row..end).find(|row| !bare(*row)).unwrap_or(end);
        if next > row {
            native::produce(self.producer, topic, index, batch, row..next)
                .map_err(KafkaError::MessageProduction)?;
            return Ok(next);
        }
        if let Some(record) = batch.get(row) {
            let mut headers = OwnedHeaders::new();
            for (key, value) in record.headers() {
                let value = Some(value);
                headers = headers.insert(Header { key, value });
            }
            let mut send: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(index);
            (send.key, send.payload, send.headers) = (record.key, record.value, Some(headers));
            self.producer.send(send).map_err(|(why, _)| why)?;
        }
        Ok(row + 1)
    }

    /// Sends what is queued, and waits until no more than so many records are left on their way. Where none is, rdkafka's own
    /// flush (which its commit calls too) returns at once; left to itself it waits in steps of 100 ms.
    fn flush(&self, left: usize) -> Result<(), Stop> {
        let step = match left {
            0 => STEP,
            _ => SHORT_STEP,
        };
        loop {
            native::flush(self.producer, step);
            self.producer.poll(Duration::ZERO);
            // Not locked below: the callback of a delivery takes the lock.
            let failure = lock(&self.producer.context().0).clone();
            if let Some(failure) = failure {
                return Err(self.undelivered(failure));
            }
            if usize::try_from(self.producer.in_flight_count()).is_ok_and(|count| count <= left) {
                return Ok(());
            }
            if Instant::now() > self.deadline {
                let late = RDKafkaErrorCode::MessageTimedOut;
                return Err(Stop::Step(KafkaError::MessageProduction(late)));
            }
        }
    }

    /// Why a record was not delivered. Records are purged when the transaction is past saving for a reason that only its
    /// next step tells: librdkafka refuses to commit it, and says why.
    fn undelivered(&self, (code, at): Failure) -> Stop {
        use RDKafkaErrorCode as Code;
        let patience = Duration::from_millis(TRANSACTION_MS);
        let told = match code {
            Code::PurgeQueue | Code::PurgeInflight => self.producer.commit_transaction(patience),
            _ => Ok(()),
        };
        let why = told.err();
        Stop::Record(why.unwrap_or(KafkaError::MessageProduction(code)), at)
    }
}

/// # Errors
/// The first record that is larger than the brokers take.
pub(crate) fn fits(partition: &Partition, batch: &Batch) -> Result<(), LogError> {
    for row in 0..batch.len() {
        let size = batch.frames(row..row + 1).len();
        if size > MAX_RECORD {
            return Err(LogError::TooLarge {
                what: format!("a record for {partition}"),
                size,
                limit: MAX_RECORD,
            });
        }
    }
    Ok(())
}
