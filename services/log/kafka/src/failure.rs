//! How a step of a transaction fails: what Kafka's client says of an error, by its type.

use std::sync::{Arc, Mutex};

use mainstem_kernel::log::Partition;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::cluster::lock;
use crate::trouble::Trouble;

/// The first record that was not delivered, and where to.
pub(crate) struct Failures(pub(crate) Mutex<Option<Failure>>, pub(crate) Arc<Trouble>);

/// Why, and where to.
pub(crate) type Failure = (RDKafkaErrorCode, Partition);

impl ClientContext for Failures {
    fn error(&self, error: KafkaError, reason: &str) {
        self.1.tell(&error, reason);
    }
}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((why, message)) = result {
            let code = why.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            let at = || Partition::new(message.topic(), message.partition().unsigned_abs());
            lock(&self.0).get_or_insert_with(|| (code, at()));
        }
    }
}

/// Why a transaction cannot go on.
pub(crate) enum Stop {
    /// A step failed.
    Step(KafkaError),
    /// A record was not delivered.
    Record(KafkaError, Partition),
    /// A group's offset was not taken.
    Offset(KafkaError, String),
    /// The client does not answer any more.
    Lost,
}

impl From<KafkaError> for Stop {
    fn from(why: KafkaError) -> Self {
        Stop::Step(why)
    }
}

/// What librdkafka says an error is.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) fatal: bool,
    pub(crate) retriable: bool,
    pub(crate) abortable: bool,
}

pub(crate) fn facts(error: &KafkaError) -> Facts {
    match error {
        KafkaError::Transaction(error) => Facts {
            fatal: error.is_fatal(),
            retriable: error.is_retriable(),
            abortable: error.txn_requires_abort(),
        },
        // rdkafka's commit flushes first, and its flush has but one way to fail.
        KafkaError::Flush(_) => Facts {
            retriable: true,
            ..Facts::default()
        },
        _ => Facts::default(),
    }
}
