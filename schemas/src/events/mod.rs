//! Every event that the loop writes, one enum: what can happen.
//!
//! The Avro schemas under `schemas/avsc/` are the contract; a test proves these types equal to them. `Event` encodes
//! to and decodes from the Confluent wire format with the ids of a [`Catalog`]. Events of a
//! view (`FeaturesComputed`) and arrivals carry schemas of their own and are not in the enum.

pub mod chain;
pub mod data;
pub mod facts;
pub mod lifecycle;
pub mod monitoring;

use std::sync::OnceLock;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, from_value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::catalog::{Catalog, Known};
use crate::digest::Digest;
use crate::id::EventId;
use crate::time::{Millis, Span};
use crate::wire;

pub use chain::*;
pub use data::*;
pub use facts::*;
pub use lifecycle::*;
pub use monitoring::*;

/// Why a value is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not in the wire format.
    #[error(transparent)]
    Wire(#[from] wire::NotWire),
    /// The id is not in the catalog.
    #[error(
        "schema id {0} is not registered in the topic `schemas`; register the writer's schema before writing with it"
    )]
    UnknownSchema(u32),
    /// The body does not follow its schema.
    #[error("body does not follow schema {name}: {why}")]
    Body {
        /// Full name of the writer's schema.
        name: String,
        /// What the decoder said.
        why: String,
    },
    /// A schema that this version of the product has no type for.
    #[error("no event of this version is named {0}; read it with a newer version")]
    UnknownEvent(String),
    /// The writing side has no id for a type of event.
    #[error(
        "schema {0} is not registered in the topic `schemas`; run `mainstem apply`, which registers it"
    )]
    Unregistered(&'static str),
}

/// A type of event: its name and its schema.
pub trait EventType: Serialize + DeserializeOwned {
    /// Name of the record, without namespace.
    const NAME: &'static str;
    /// The schema of the contract.
    fn schema() -> &'static Schema;
    /// The contract's text.
    const AVSC: &'static str;
    /// Reads and writes bodies of the contract: made once, for it takes longer to make than to use.
    #[doc(hidden)]
    fn codec() -> &'static Codec;
}

/// Reader and writer of a contract.
#[doc(hidden)]
pub struct Codec {
    reader: Result<GenericDatumReader<'static>, String>,
    writer: Result<GenericDatumWriter<'static>, String>,
}

impl Codec {
    fn of(schema: &'static Schema) -> Self {
        let told = |error: apache_avro::Error| error.to_string();
        let reader = GenericDatumReader::builder(schema).human_readable(true);
        let writer = GenericDatumWriter::builder(schema).human_readable(true);
        Codec {
            reader: reader.build().map_err(told),
            writer: writer.build().map_err(told),
        }
    }
}

macro_rules! events {
    ($($name:ident),* $(,)?) => {
        /// Something that happened.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "events are moved once, from decoder to fold")]
        pub enum Event {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        $(
            impl EventType for $name {
                const NAME: &'static str = stringify!($name);
                const AVSC: &'static str = include_str!(concat!("../../avsc/", stringify!($name), ".avsc"));
                fn schema() -> &'static Schema {
                    static SCHEMA: OnceLock<Schema> = OnceLock::new();
                    SCHEMA.get_or_init(|| contract(Self::AVSC))
                }
                fn codec() -> &'static Codec {
                    static CODEC: OnceLock<Codec> = OnceLock::new();
                    CODEC.get_or_init(|| Codec::of(Self::schema()))
                }
            }
            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Event::$name(event)
                }
            }
        )*

        /// Name and contract of every type of event.
        pub const CONTRACTS: &[(&str, &str)] = &[$(($name::NAME, $name::AVSC)),*];

        impl Event {
            /// Name of the type.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Event::$name(_) => $name::NAME,)*
                }
            }

            /// Appends the value in the wire format.
            ///
            /// # Errors
            /// [`Unreadable::Unregistered`] where the catalog has no id for the type.
            pub fn encode(&self, catalog: &Catalog, out: &mut Vec<u8>) -> Result<(), Unreadable> {
                match self {
                    $(Event::$name(event) => encode_as(event, catalog, out),)*
                }
            }

            fn decode_known(known: &Known, body: &[u8]) -> Result<Self, Unreadable> {
                match known.name.as_str() {
                    $($name::NAME => decode_as::<$name>(known, body).map(Event::$name),)*
                    other => Err(Unreadable::UnknownEvent(other.into())),
                }
            }

            /// The event as JSON, as examples and reports show it.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                match self {
                    $(Event::$name(event) => serde_json::to_value(event).unwrap_or_default(),)*
                }
            }

            /// The schemas that the derive finds on the Rust types, to be compared with the contracts.
            #[must_use]
            pub fn derived_schemas() -> Vec<(&'static str, Schema)> {
                vec![$(($name::NAME, <$name as apache_avro::AvroSchema>::get_schema())),*]
            }

            /// Reads the JSON form of the event `name`.
            ///
            /// # Errors
            /// JSON of another shape, or an unknown name.
            pub fn from_json(name: &str, json: serde_json::Value) -> Result<Self, serde_json::Error> {
                match name {
                    $($name::NAME => serde_json::from_value::<$name>(json).map(Event::$name),)*
                    other => Err(serde::de::Error::custom(format!("no event is named {other}"))),
                }
            }
        }
    };
}

events!(
    DefinitionApplied,
    ClockTicked,
    StepOpened,
    PublicationStarted,
    RecordRejected,
    RetrainAsked,
    PromotionAsked,
    RollbackAsked,
    DatasetBuilt,
    TrainingCompleted,
    BaselineBuilt,
    EffectFailed,
    RecordQuarantined,
    PredictionMade,
    PredictionLabelled,
    LabelCorrected,
    LabelOrphaned,
    ProfileMeasured,
    DriftMeasured,
    DriftDetected,
    DriftCleared,
    PerformanceMeasured,
    RetrainRequested,
    RetrainSuppressed,
    RetrainClosed,
    RunStarted,
    DatasetBound,
    TrainingStarted,
    ParamLogged,
    MetricLogged,
    TagSet,
    RunFinished,
    RunFailed,
    ModelVersionRegistered,
    ModelApproved,
    ModelRejected,
    AliasSet,
    DeploymentStarted,
    Promoted,
    RolledBack,
    DeploymentEnded,
    Turn,
    SnapshotTaken,
);

impl Event {
    /// Reads a value in the wire format, resolving an older writer's schema.
    ///
    /// # Errors
    /// [`Unreadable`], which says what is wrong and what to do.
    pub fn decode(catalog: &Catalog, value: &[u8]) -> Result<Self, Unreadable> {
        let (id, body) = wire::split(value)?;
        let known = catalog.known(id).ok_or(Unreadable::UnknownSchema(id))?;
        Self::decode_known(known, body)
    }
}

#[allow(
    clippy::expect_used,
    reason = "the contracts are compiled in, and a test parses each"
)]
fn contract(avsc: &str) -> Schema {
    Schema::parse_str(avsc).expect("a contract parses")
}

fn encode_as<E: EventType>(
    event: &E,
    catalog: &Catalog,
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let id = catalog
        .id_of(E::NAME)
        .ok_or(Unreadable::Unregistered(E::NAME))?;
    wire::put_header(out, id);
    encode_body(event, out)
}

/// Appends the bare Avro body: what is hashed and compared between logs, since schema ids differ.
///
/// # Errors
/// [`Unreadable::Body`] where a value does not follow the contract, which the types rule out.
pub fn encode_body<E: EventType>(event: &E, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let written = match &E::codec().writer {
        Ok(writer) => writer
            .write_ser(out, event)
            .map_err(|error| error.to_string()),
        Err(why) => Err(why.clone()),
    };
    written.map(|_| ()).map_err(|why| Unreadable::Body {
        name: E::NAME.into(),
        why,
    })
}

fn decode_as<E: EventType>(known: &Known, body: &[u8]) -> Result<E, Unreadable> {
    let fail = |why: String| Unreadable::Body {
        name: known.name.clone(),
        why,
    };
    let mut rest = Body::new(body);
    let event = if known.is_contract(E::AVSC, E::schema()) {
        let reader = E::codec().reader.as_ref();
        reader
            .map_err(|why| fail(why.clone()))?
            .read_deser::<E>(&mut rest)
            .map_err(|e| fail(e.to_string()))?
    } else {
        let reader = GenericDatumReader::builder(known.schema().map_err(fail)?)
            .reader_schema(E::schema())
            .build()
            .map_err(|e| fail(e.to_string()))?;
        let value = reader
            .read_value(&mut rest)
            .map_err(|e| fail(e.to_string()))?;
        from_value(&value).map_err(|e| fail(e.to_string()))?
    };
    rest.finish().map(|()| event).map_err(fail)
}

macro_rules! as_avro {
    ($type:ty, $schema:expr) => {
        impl apache_avro::AvroSchemaComponent for $type {
            fn get_schema_in_ctxt(
                _: &mut std::collections::HashSet<apache_avro::schema::Name>,
                _: apache_avro::schema::NamespaceRef,
            ) -> Schema {
                $schema
            }
            fn get_record_fields_in_ctxt(
                _: &mut std::collections::HashSet<apache_avro::schema::Name>,
                _: apache_avro::schema::NamespaceRef,
            ) -> Option<Vec<apache_avro::schema::RecordField>> {
                None
            }
        }
    };
}
as_avro!(Digest, Schema::String);
as_avro!(EventId, Schema::String);
as_avro!(Millis, Schema::TimestampMillis);
as_avro!(Span, Schema::String);
