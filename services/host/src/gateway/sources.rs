//! `POST /v1/sources/{source}`: records into a source. Those that do not fit go to `rejects` with their bytes and the
//! reason; the others of the same request go through.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstem_kernel::log::{CommitError, LogError};
use serde_json::{Value, json};

use super::body::{self, Media};
use super::problem::{Problem, answer};
use super::publications::{Refused, Taken};
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
    let metrics = gateway.metrics.clone();
    let label = [("source", source.clone())];
    let taken = blocking(move || {
        let project = gateway.projects.current(&gateway.store)?;
        let records = records::split(media, &body)?;
        let published =
            gateway
                .publications
                .publish(&gateway.store, &project, &source, &actor, &records);
        published.map_err(problem)
    })
    .await?;
    // Of a source that exists: whoever posts to another has had a problem for an answer.
    let http = metrics.http();
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

fn problem(error: PublishError) -> Problem {
    match &error {
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
