//! `POST /v1/sources/{source}`: records into a source. Those that do not fit go to `rejects` with their bytes and the
//! reason; the others of the same request go through.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstem_kernel::log::{CommitError, LogError};
use serde_json::{Value, json};

use super::body::{self, Media};
use super::problem::{Problem, answer, panicked};
use super::publications::{NotTaken, Refused, Taken, rows};
use super::routes::blocking;
use super::{Gateway, actor, records};
use crate::publisher::PublishError;

/// Refused records that an answer tells of; all of them are in `rejects`. Some tell what is wrong with the rest.
const TOLD: usize = 100;

pub(super) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    Path(source): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let actor = actor::actor(&head.headers)?;
    actor::no_key(&head.headers)?;
    let media = body::media(&head.headers, &[Media::Json, Media::Lines])?;
    let body = body::read(&head.headers, body).await?;
    let (shared, name) = (Arc::clone(&gateway), source.clone());
    // Read side by side; only the appends wait for each other.
    let (project, rows, taken) = blocking(move || {
        let project = shared.projects.current(&shared.store)?;
        let records = records::split(media, &body)?;
        let (rows, taken) = rows(&project, &name, &records).map_err(|error| problem(&error))?;
        Ok((project, rows, taken))
    })
    .await?;
    let publications = &gateway.publications;
    let posted = publications.publish(&project, &source, &actor, rows);
    let posted = posted.map_err(not_taken)?.await.map_err(|_| panicked())?;
    posted.map_err(|error| problem(&error))?;
    // Of a source that exists: whoever posts to another has had a problem for an answer.
    let (http, label) = (gateway.metrics.http(), [("source", source)]);
    http.accepted.get_or_create(&label).inc_by(taken.accepted);
    let rejected = http.rejected.get_or_create(&label);
    rejected.inc_by(taken.rejected.len() as u64);
    drop(rejected);
    if taken.accepted > 0 {
        return Ok(answer(StatusCode::OK, &told(&taken)));
    }
    let detail =
        "none of the records fits the source; all are in its rejects, and `rejects` says why";
    let mut refused = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "all-rejected",
        "No record was accepted",
        detail,
    );
    if let Value::Object(members) = told(&taken) {
        for (name, value) in members {
            refused = refused.with(&name, value);
        }
    }
    Err(refused)
}

fn told(taken: &Taken) -> Value {
    let one = |refused: &Refused| {
        json!({
            "record": refused.record,
            "line": refused.line,
            "field": refused.field,
            "reason": refused.reason,
        })
    };
    let rejects: Vec<Value> = taken.rejected.iter().take(TOLD).map(one).collect();
    json!({"accepted": taken.accepted, "rejected": taken.rejected.len(), "rejects": rejects})
}

fn not_taken(why: NotTaken) -> Problem {
    match why {
        NotTaken::Full => Problem::busy(
            "the log is slow, and too many requests wait for it; try again, and send many records a request",
        ),
        NotTaken::Thread(error) => Problem::unavailable(format!(
            "no thread can be started: {error}; allow this process more of them"
        )),
    }
}

fn problem(error: &PublishError) -> Problem {
    match error {
        PublishError::UnknownSource { .. } => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-source",
            "There is no such source",
            error.to_string(),
        ),
        PublishError::Copied { .. } => Problem::new(
            StatusCode::CONFLICT,
            "copied-source",
            "The source is a topic that others write",
            error.to_string(),
        ),
        PublishError::NoDoor(_) => Problem::new(
            StatusCode::CONFLICT,
            "timed-by-row",
            "The source takes files only",
            error.to_string(),
        ),
        PublishError::Commit(CommitError::Log(LogError::TooLarge { .. }))
        | PublishError::Log(LogError::TooLarge { .. }) => Problem::too_large(error.to_string()),
        PublishError::Commit(CommitError::Unknown(_)) => Problem::unavailable(format!(
            "{error}; whether the records are in the log is not known, so look before sending them again"
        )),
        _ => Problem::unavailable(format!(
            "{error}; none of the records is in the log, send them again"
        )),
    }
}
