//! Questions and answers as clients of Confluent's registry write and read them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use mainstem_registry::{Register, Registered, RegistryError, Schema, Wish};
use mainstem_schemas::registry::{Reference, RegistryFact};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::super::problem::{Answered, Problem, panicked};
use super::super::{Gateway, body};
use super::desk::{DeskError, View};

/// What answers are sent as, and what bodies may be sent as.
const MEDIA: [&str; 4] = [
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/json",
    "application/octet-stream",
];

/// An answer.
pub(super) struct Answer(StatusCode, Value);

impl Answer {
    pub fn of(value: Value) -> Self {
        Answer(StatusCode::OK, value)
    }

    fn error(status: StatusCode, code: u32, message: String) -> Self {
        Answer(status, json!({"error_code": code, "message": message}))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.1.to_string()));
        *response.status_mut() = self.0;
        let media = HeaderValue::from_static(MEDIA[0]);
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        response.extensions_mut().insert(Answered);
        response
    }
}

/// Why there is none.
pub(super) enum Refusal {
    Registry(RegistryError),
    Desk(DeskError),
    /// Another media type, or a body that is no JSON.
    Http(StatusCode, String),
    /// Something that every door says alike.
    Problem(Problem),
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        Refusal::Registry(error)
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Registry(error) => Refusal::Registry(error),
            error => Refusal::Desk(error),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal::Problem(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let internal = StatusCode::INTERNAL_SERVER_ERROR;
        match self {
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::Http(status, why) => {
                Answer::error(status, u32::from(status.as_u16()), why).into_response()
            }
            Refusal::Desk(error) => {
                Answer::error(internal, error.code(), error.to_string()).into_response()
            }
            Refusal::Registry(error) => {
                let code = error.code();
                let status = if code > 999 { code / 100 } else { code };
                let status = u16::try_from(status).ok();
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                Answer::error(status.unwrap_or(internal), code, error.to_string()).into_response()
            }
        }
    }
}

pub(super) type Told = Result<Answer, Refusal>;

/// What the query says.
pub(super) struct Query(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Query::of(&parts.uri))
    }
}

impl Query {
    fn of(uri: &Uri) -> Self {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = uri.query().unwrap_or_default().split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let pairs = pairs.map(|(name, value)| (decoded(name), decoded(value)));
        Query(pairs.collect())
    }

    /// Whether a flag is up.
    pub fn flag(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The part of a list that is asked for; -1 is no limit.
    pub fn page<T>(&self, list: Vec<T>) -> Vec<T> {
        let number = |name: &str| self.text(name).parse::<usize>();
        let (offset, limit) = (
            number("offset").unwrap_or(0),
            number("limit").unwrap_or(usize::MAX),
        );
        list.into_iter().skip(offset).take(limit).collect()
    }
}

/// A version as paths name it: none for the latest.
pub(super) fn wanted(text: &str) -> Result<Option<u32>, RegistryError> {
    if text == "latest" || text == "-1" {
        return Ok(None);
    }
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=i32::MAX as u32).contains(number));
    number
        .map(Some)
        .ok_or_else(|| RegistryError::InvalidVersion(text.into()))
}

/// A body that is a JSON object.
pub(super) struct Said<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Said<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        read(&head.headers, body).await.map(Said)
    }
}

async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let said = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let name = said
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !MEDIA.iter().any(|media| media.eq_ignore_ascii_case(name)) {
        let why = format!(
            "HTTP 415 Unsupported Media Type: send the body as {}",
            MEDIA[0]
        );
        return Err(Refusal::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let bytes = body::read(headers, body).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let why = format!("HTTP 400 Bad Request: the body is not what this path takes: {error}");
        Refusal::Http(StatusCode::BAD_REQUEST, why)
    })
}

/// A schema as clients send it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    schema: Option<String>,
    schema_type: Option<String>,
    references: Option<Vec<Reference>>,
    id: Option<i64>,
    version: Option<i64>,
    /// What contracts on data may say beside the schema: not kept here, and not to be lost in silence.
    metadata: Option<Value>,
    rule_set: Option<Value>,
}

/// What the body and the query wish for.
pub(super) struct Wished(pub Wish);

impl<S: Sync> FromRequest<S> for Wished {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let normalize = Query::of(request.uri()).flag("normalize");
        let Said(sent): Said<Sent> = Said::from_request(request, state).await?;
        Ok(Wished(sent.wish(normalize)?))
    }
}

impl Sent {
    /// As the registry understands it; an id or version below one is none.
    fn wish(self, normalize: bool) -> Result<Wish, RegistryError> {
        let invalid = |why: &str| RegistryError::InvalidSchema {
            kind: "AVRO".into(),
            why: why.into(),
        };
        if self.metadata.is_some() || self.rule_set.is_some() {
            let why = "this registry keeps no metadata and no rules; leave them out";
            return Err(invalid(why));
        }
        let number =
            |given: Option<i64>| given.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        Ok(Wish {
            schema: self.schema.ok_or_else(|| invalid("Empty schema"))?,
            kind: self.schema_type,
            references: self.references.unwrap_or_default(),
            normalize,
            id: number(self.id),
            version: number(self.version),
        })
    }
}

/// Asks the registry as of now.
pub(super) async fn ask(
    gateway: Arc<Gateway>,
    question: impl FnOnce(&View<'_>) -> Result<Value, RegistryError> + Send + 'static,
) -> Told {
    let answered = tokio::task::spawn_blocking(move || {
        gateway
            .registry
            .ask(&gateway.store, &gateway.projects, question)
    });
    let answered = answered.await.map_err(|_| panicked())?;
    Ok(Answer::of(answered?))
}

/// Changes the registry as of now, durably.
pub(super) async fn change(
    gateway: Arc<Gateway>,
    plan: impl Fn(&View<'_>) -> Result<(Option<RegistryFact>, Value), RegistryError> + Send + 'static,
) -> Told {
    let changed = tokio::task::spawn_blocking(move || {
        gateway
            .registry
            .change(&gateway.store, &gateway.projects, plan)
    });
    let changed = changed.await.map_err(|_| panicked())?;
    Ok(Answer::of(changed?))
}

/// A text that is the whole answer.
pub(super) fn bare(answer: Answer) -> Answer {
    let Answer(status, value) = answer;
    let text = value
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    Answer(status, text.unwrap_or(value))
}

pub(super) fn versioned(found: &Registered<'_>) -> Value {
    let mut members = Map::new();
    members.insert("subject".into(), found.subject.into());
    members.insert("version".into(), found.version.into());
    members.insert("id".into(), found.id.into());
    members.extend(schema(found.schema));
    Value::Object(members)
}

pub(super) fn schema(schema: &Schema) -> Map<String, Value> {
    let mut members = Map::new();
    if !schema.references.is_empty() {
        members.insert("references".into(), json!(schema.references));
    }
    members.insert("schema".into(), schema.text.as_str().into());
    members
}

pub(super) fn registered(register: &Register) -> Value {
    json!({"id": register.id, "version": register.version})
}
