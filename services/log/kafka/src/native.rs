//! The calls of librdkafka that rdkafka does not wrap, or wraps slowly: the only unsafe code of the workspace.
//!
//! Batch calls (they halve the CPU of a record, and consumption then tells the offset of an end-of-partition event,
//! which rdkafka drops), a record's headers as bytes, the application's position in one partition, and a flush that does
//! not wait in steps of 100 ms.

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use mainstem_schemas::Batch;
use rdkafka::ClientConfig;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::headers::Headers;
use crate::trouble::Events;

/// Has the system's allocator keep what the clients give back: each batch of records is memory for some ten thousand
/// messages, and a batch of outputs a megabyte in one piece, which would go back to the system and come again several
/// times a second. That was a tenth of the time of a record; keeping it costs some megabytes (measured).
///
/// By default each thread of a client has a heap of its own, though what one makes another drops. On one core two heaps
/// are enough: nobody waits for them, and they take half the memory. On several, threads wait for each other's heap:
/// two workers on two cores took 1.57 s of processor time a million records with two heaps, 1.39 with four, 1.31 with
/// eight (213, 231 and 231 MB; 1013, 1118 and 1204 k/s).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_memory() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let heaps = match cores {
        1 => 2,
        cores => c_int::try_from(4 * cores).unwrap_or(c_int::MAX),
    };
    // SAFETY: the parameters take any value; nobody else sets them.
    ONCE.call_once(|| unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 << 20);
        libc::mallopt(libc::M_TOP_PAD, 4 << 20);
        libc::mallopt(libc::M_ARENA_MAX, heaps);
        // Setting one of them ends that the system adapts this one by itself: 32 MiB is where it would stop.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
    });
}

/// Other allocators keep what they need by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_memory() {}

/// The queue of one partition of a consumer.
pub(crate) struct Queue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    topic: CString,
    partition: i32,
    // Last, for the queue must be destroyed before the client.
    consumer: Arc<BaseConsumer<Events>>,
}

// SAFETY: librdkafka's handles may be used and destroyed by any thread; a `Queue` owns its handle.
unsafe impl Send for Queue {}

/// A message, or an event of its partition.
pub(crate) struct Message(NonNull<sys::rd_kafka_message_t>);

// SAFETY: a message is plain memory that librdkafka hands over; it may be read and destroyed by any thread.
unsafe impl Send for Message {}

/// What a message is inside, as far as its block of headers: `rd_kafka_msg_t` of `rdkafka_msg.h`.
#[repr(C)]
struct Consumed {
    message: sys::rd_kafka_message_t,
    link: [*mut c_void; 2],
    flags: c_int,
    timestamp_type: c_int,
    timestamp: i64,
    parsed_headers: *mut c_void,
    status: c_int,
    broker: i32,
    /// What follows is in a union with 64-bit numbers.
    _union: [i64; 0],
    size: i32,
    block: *const c_void,
}

/// librdkafka promises nothing of that layout: with another version compare `Consumed` with its source, and run
/// `headers_of_a_java_producer`.
const _: () = assert!(sys::RD_KAFKA_VERSION == 0x020c_01ff);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    std::mem::offset_of!(Consumed, size) == 120 && std::mem::offset_of!(Consumed, block) == 128
);

impl Queue {
    /// Takes the partition's records out of the consumer's common queue; to be called before the partition is
    /// assigned. Nothing where the name holds a zero byte.
    pub(crate) fn of(
        consumer: &Arc<BaseConsumer<Events>>,
        topic: &str,
        partition: i32,
    ) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives as long as the `Arc`; the name is copied by the callee. A null destination ends
        // the forwarding to the common queue.
        let queue = unsafe {
            let queue = sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            let queue = NonNull::new(queue)?;
            sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            queue
        };
        Some(Queue {
            queue,
            topic,
            partition,
            consumer: consumer.clone(),
        })
    }

    /// Appends up to `max` messages and events; waits for as many, so `wait` is zero unless `max` is one.
    pub(crate) fn take(&self, max: usize, wait: Duration, into: &mut VecDeque<Message>) {
        let mut messages: Vec<*mut sys::rd_kafka_message_t> = vec![ptr::null_mut(); max];
        // SAFETY: the array has room for `max` pointers; each pointer that is written is ours to destroy.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                wait.as_millis().min(60_000) as i32,
                messages.as_mut_ptr(),
                max,
            )
        };
        let taken = messages
            .into_iter()
            .take(usize::try_from(count).unwrap_or(0));
        into.extend(taken.filter_map(NonNull::new).map(Message));
    }

    /// The offset after the last message, control record or (by one too many) event that was taken.
    pub(crate) fn position(&self) -> Option<u64> {
        // SAFETY: the list lives until it is destroyed below; its one element exists.
        let offset = unsafe {
            let list = sys::rd_kafka_topic_partition_list_new(1);
            sys::rd_kafka_topic_partition_list_add(list, self.topic.as_ptr(), self.partition);
            sys::rd_kafka_position(self.consumer.client().native_ptr(), list);
            let offset = (*(*list).elems).offset;
            sys::rd_kafka_topic_partition_list_destroy(list);
            offset
        };
        u64::try_from(offset).ok()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and is not used again.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl Message {
    /// What kind of event this is, where it is no record.
    pub(crate) fn event(&self) -> Option<RDKafkaErrorCode> {
        let code = self.raw().err;
        (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    /// Offset of the record, or where the event happened.
    pub(crate) fn offset(&self) -> u64 {
        u64::try_from(self.raw().offset).unwrap_or(0)
    }

    /// Appends the record with its offset and timestamp.
    pub(crate) fn push_to(&self, batch: &mut Batch) {
        let raw = self.raw();
        // SAFETY: key and payload are null or point to as many bytes, for the life of the message.
        let (key, value) = unsafe { (bytes(raw.key, raw.key_len), bytes(raw.payload, raw.len)) };
        // SAFETY: the message is valid; the kind of timestamp is not asked for.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(raw, ptr::null_mut()) };
        batch.push(key, value, self.headers());
        batch.stamp_last(self.offset(), timestamp);
    }

    /// The headers, where there are any: librdkafka's own call makes and drops a buffer per record even to find that
    /// there are none, which took 6 % of a record's time (measured).
    fn headers(&self) -> Headers<'_> {
        // SAFETY: a message that a consumer hands out is the first field of a `Consumed` (checked for this version); the
        // block lives in the message.
        let block = unsafe {
            let Consumed { size, block, .. } = *self.0.as_ptr().cast::<Consumed>();
            bytes(block, usize::try_from(size).unwrap_or(0))
        };
        Headers::of(block.unwrap_or_default())
    }

    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointer is valid until it is destroyed on drop.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the message is ours and is not used again.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// Queues records without headers for one partition, in order; their timestamps are the time of writing.
///
/// # Errors
/// Why the first that was not queued was refused; none after it was queued.
pub(crate) fn produce<C: ProducerContext>(
    producer: &BaseProducer<C>,
    topic: &str,
    partition: i32,
    batch: &Batch,
    rows: Range<usize>,
) -> Result<(), RDKafkaErrorCode> {
    let topic = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let at = |bytes: Option<&[u8]>| match bytes {
        // A field of no bytes is not null, and its pointer is not either.
        Some(bytes) => (bytes.as_ptr().cast_mut().cast(), bytes.len()),
        None => (ptr::null_mut(), 0),
    };
    let message = |record: mainstem_schemas::RecordRef<'_>| {
        let ((key, key_len), (payload, len)) = (at(record.key), at(record.value));
        sys::rd_kafka_message_t {
            err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: ptr::null_mut(),
            partition,
            payload,
            len,
            key,
            key_len,
            offset: 0,
            _private: ptr::null_mut(),
        }
    };
    let mut messages: Vec<sys::rd_kafka_message_t> =
        rows.filter_map(|row| batch.get(row)).map(message).collect();
    // SAFETY: keys and values live as long as `batch`, are copied (`F_COPY`) and never written to; the topic's handle
    // is given back. The opaque pointer is null, as rdkafka makes it for the delivery opaque `()`.
    unsafe {
        let client = producer.client().native_ptr();
        let handle = sys::rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut());
        if handle.is_null() {
            return Err(RDKafkaErrorCode::InvalidTopic);
        }
        sys::rd_kafka_produce_batch(
            handle,
            partition,
            sys::RD_KAFKA_MSG_F_COPY,
            messages.as_mut_ptr(),
            messages.len() as i32,
        );
        sys::rd_kafka_topic_destroy(handle);
    }
    let none = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    match messages.iter().find(|message| message.err != none) {
        Some(refused) => Err(refused.err.into()),
        None => Ok(()),
    }
}

/// Sends what waits at once, whatever the linger, and waits for the broker's answers until all have come.
pub(crate) fn flush<C: ProducerContext>(producer: &BaseProducer<C>, wait: Duration) {
    let wait = wait.as_millis().min(60_000) as i32;
    // SAFETY: the client lives as long as the producer that is borrowed.
    unsafe {
        sys::rd_kafka_flush(producer.client().native_ptr(), wait);
    }
}

/// Connects once more to see why the broker's certificate is refused: OpenSSL's number of the error. librdkafka's own
/// events do not tell an expired certificate from an unknown authority.
pub(crate) fn certificate_error(config: &ClientConfig, wait: Duration) -> Option<i32> {
    let config = config.create_native_config().ok()?;
    let found = AtomicI32::new(0);
    let mut text = [0; 256];
    // SAFETY: the client takes the copy of the configuration over, if it comes to be, else we destroy it; `found` and
    // `text` outlive the client, whose threads have ended when it is destroyed.
    unsafe {
        let copy = sys::rd_kafka_conf_dup(config.ptr());
        sys::rd_kafka_conf_set_opaque(copy, ptr::from_ref(&found).cast_mut().cast());
        // It has nothing new to say.
        sys::rd_kafka_conf_set_log_cb(copy, None);
        let set = sys::rd_kafka_conf_set_ssl_cert_verify_cb(copy, Some(note_certificate_error));
        let kind = sys::rd_kafka_type_t::RD_KAFKA_CONSUMER;
        let client = match set {
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => {
                sys::rd_kafka_new(kind, copy, text.as_mut_ptr(), text.len())
            }
            _ => ptr::null_mut(),
        };
        if client.is_null() {
            sys::rd_kafka_conf_destroy(copy);
            return None;
        }
        let deadline = Instant::now() + wait;
        while found.load(Ordering::Acquire) == 0 && Instant::now() < deadline {
            let mut metadata = ptr::null();
            let code = sys::rd_kafka_metadata(client, 0, ptr::null_mut(), &mut metadata, 100);
            if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                sys::rd_kafka_metadata_destroy(metadata);
                break;
            }
        }
        sys::rd_kafka_destroy(client);
    }
    Some(found.into_inner()).filter(|code| *code != 0)
}

/// Notes what OpenSSL thinks of a certificate, and agrees with it.
///
/// # Safety
/// To be called by librdkafka, with the opaque pointer of [`certificate_error`].
unsafe extern "C" fn note_certificate_error(
    _client: *mut sys::rd_kafka_t,
    _broker: *const c_char,
    _id: i32,
    error: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    _text: *mut c_char,
    _text_size: usize,
    found: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka hands over a valid pointer to the error, and the opaque pointer that was set.
    let (code, found) = unsafe { (*error, &*found.cast::<AtomicI32>()) };
    if code != 0 {
        found.store(code, Ordering::Release);
    }
    c_int::from(code == 0)
}

/// # Safety
/// `at` is null or points to `length` bytes that live as long as `'a`.
unsafe fn bytes<'a>(at: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!at.is_null()).then(|| unsafe { std::slice::from_raw_parts(at.cast(), length) })
}
