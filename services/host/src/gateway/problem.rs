//! Errors as RFC 9457 problem details. A handler returns a [`Problem`]; it is written out in one place, with the path of
//! the request, and whatever else goes wrong (no such path, another method) becomes one there too.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// What problem details are sent as.
const MEDIA: &str = "application/problem+json";

/// Seconds after which a caller who was turned away tries again: an append takes milliseconds.
pub(super) const RETRY_AFTER: u64 = 1;

/// Marks an answer that says by itself what is wrong, in the words of another API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered;

/// The type of the problem that an answer is, for those who count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(pub &'static str);

/// Something that a caller is told.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Members>);

#[derive(Clone, Debug)]
struct Members {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    extra: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// `kind` names the type of the problem for programs, `title` for people; `detail` says what to do.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (extra, headers) = (Map::new(), HeaderMap::new());
        Problem(Box::new(Members {
            status,
            kind,
            title,
            detail: detail.into(),
            extra,
            headers,
        }))
    }

    /// A request that cannot be understood.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request cannot be understood",
            detail,
        )
    }

    /// A request that is understood and makes no sense.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(
            status,
            "unprocessable",
            "The request cannot be followed",
            detail,
        )
    }

    /// More than a limit allows.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            detail,
        )
    }

    /// The log cannot be read or written now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "unavailable", "The log is not available", detail)
    }

    /// More requests than are served at once.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too many requests at once",
            detail,
        )
        .retry_after(RETRY_AFTER)
    }

    /// Says after how many seconds to try again.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// Adds a member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.into(), value.into());
        self
    }

    /// For a status that somebody else answered with.
    fn of_status(status: StatusCode) -> Self {
        let (kind, title, detail) = match status {
            StatusCode::NOT_FOUND => (
                "no-such-path",
                "There is nothing at this path",
                "the doors are /v1/sources/{source}, /v1/models/{model}/retrain, promote and rollback, \
                 /v2/models/{model}/infer, /healthz and /readyz, and those of a schema registry: /subjects, /schemas, \
                 /compatibility, /config and /mode; /metrics is for Prometheus",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method-not-allowed",
                "This path does not take this method",
                "see the header Allow for those that it takes",
            ),
            _ => ("error", "The request was refused", ""),
        };
        Self::new(status, kind, title, detail)
    }

    fn render(&self, path: &str) -> Response {
        let mut members = Map::new();
        members.insert(
            "type".into(),
            format!("urn:problem-type:mainstem:{}", self.0.kind).into(),
        );
        members.insert("title".into(), self.0.title.into());
        members.insert("status".into(), self.0.status.as_u16().into());
        members.insert("detail".into(), self.0.detail.as_str().into());
        members.insert("instance".into(), path.into());
        members.extend(self.0.extra.clone());
        let mut response = Response::new(Body::from(Value::Object(members).to_string()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.extend(self.0.headers.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
        response.extensions_mut().insert(Kind(self.0.kind));
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes problems out, and notes every request: method, path, status and time, never a body or a header.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = std::time::Instant::now();
    let mut response = next.run(request).await;
    let status = response.status();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(&path);
    } else if response.extensions_mut().remove::<Answered>().is_some() {
        response.extensions_mut().insert(Kind("registry"));
    } else if status.is_client_error() || status.is_server_error() {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = Problem::of_status(status).render(&path);
        response
            .headers_mut()
            .extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    let milliseconds = began.elapsed().as_millis() as u64;
    tracing::debug!(%method, path, status = status.as_u16(), milliseconds, "request");
    response
}

/// An answer.
pub(super) fn answer(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A refusal of another thread's panic: the caller learns no more than that.
pub(super) fn panicked() -> Problem {
    let detail = "a defect of mainstem stopped this request; see its log, and report it";
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "defect",
        "Mainstem failed",
        detail,
    )
    .with("known", json!(false))
}
