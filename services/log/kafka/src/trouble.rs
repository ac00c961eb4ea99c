//! What went wrong between the clients and the brokers. librdkafka tells a refused password or certificate by events
//! only, while the call that it stops just times out: the last event says why.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstem_kernel::log::LogError;
use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::cluster::lock;
use crate::settings::{self, Role};
use crate::{Options, native};

/// An older event is no reason for a call that fails now: no call waits longer.
const AGE: Duration = Duration::from_secs(60);

/// How long the cause of a refused certificate is looked for.
const LOOK: Duration = Duration::from_secs(5);

/// The last event of a log's clients that explains a failure.
#[derive(Default)]
pub(crate) struct Trouble(Mutex<Option<Told>>);

struct Told {
    at: Instant,
    kind: Kind,
    reason: String,
}

/// Kinds of events, by weight: a wrong password makes connections fail, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Connection,
    Certificate,
    Credentials,
}

impl Trouble {
    /// Takes an event of a client.
    pub(crate) fn tell(&self, error: &KafkaError, reason: &str) {
        use RDKafkaErrorCode as Code;
        let kind = match error.rdkafka_error_code() {
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => Kind::Credentials,
            Some(Code::SSL) => Kind::Certificate,
            Some(Code::BrokerTransportFailure | Code::Resolve) => Kind::Connection,
            _ => return,
        };
        let mut last = lock(&self.0);
        let weighty = |told: &Told| told.kind > kind && told.at.elapsed() < AGE;
        if !last.as_ref().is_some_and(weighty) {
            *last = Some(Told {
                at: Instant::now(),
                kind,
                reason: reason.to_owned(),
            });
        }
    }

    /// Whether to wait is of no use: credentials and certificates do not mend themselves.
    pub(crate) fn is_final(&self) -> bool {
        let last = lock(&self.0);
        last.as_ref()
            .is_some_and(|told| told.kind > Kind::Connection && told.at.elapsed() < AGE)
    }

    /// The reason for a call that got no answer, where there is one.
    pub(crate) fn why(&self, options: &Options) -> Option<LogError> {
        let (kind, reason) = {
            let last = lock(&self.0);
            let told = last.as_ref().filter(|told| told.at.elapsed() < AGE)?;
            (told.kind, options.without_secrets(&told.reason))
        };
        let brokers = &options.bootstrap;
        let text = match kind {
            Kind::Credentials => format!(
                "Kafka at {brokers} does not accept the credentials; correct sasl.username, sasl.password and \
                 sasl.mechanism, or give the user this password with kafka-configs --alter --entity-type users ({reason})"
            ),
            Kind::Certificate => format!(
                "no TLS connection with Kafka at {brokers}: {} ({reason})",
                certificate(options)
            ),
            Kind::Connection => format!(
                "no Kafka broker answers at {brokers} ({reason}); check the address, that the broker runs, and that \
                 security.protocol is the listener's"
            ),
        };
        Some(LogError::Other(text))
    }
}

/// Why a broker's certificate is refused, and what to do. librdkafka has one text for all causes.
fn certificate(options: &Options) -> &'static str {
    // Numbers of OpenSSL's `X509_V_ERR_*`.
    match native::certificate_error(
        &settings::config(options, Role::Probe { committed: true }),
        LOOK,
    ) {
        Some(10) => "the broker's certificate has expired; renew it on the broker",
        Some(9) => {
            "the broker's certificate is not yet valid; correct the clocks or the certificate"
        }
        Some(2 | 18 | 19 | 20 | 21) => {
            "an authority that is not known here signed the broker's certificate; set ssl.ca.location to the \
             certificate of the one that did"
        }
        Some(62 | 64) => {
            "the broker's certificate is for another host; use the name that it has in the brokers' address"
        }
        _ => "check ssl.ca.location, ssl.certificate.location and ssl.key.location",
    }
}

/// The context of a client that has no other: events go to the log's trouble.
#[derive(Clone, Default)]
pub(crate) struct Events(pub(crate) Arc<Trouble>);

impl ClientContext for Events {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.tell(&error, reason);
    }
}

impl ConsumerContext for Events {}
