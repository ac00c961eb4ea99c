//! `POST /v1/models/{model}/retrain`, `promote` and `rollback`: what the commands of the same names do.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use mainstem_kernel::log::CommitError;
use mainstem_schemas::events::{Event, PromotionAsked, RetrainAsked, RollbackAsked};
use serde::Deserialize;
use serde_json::json;

use super::ask::{Answer, Ask, AskError, Refused};
use super::body::{self, Media};
use super::problem::{Problem, answer};
use super::routes::blocking;
use super::{Gateway, actor};

/// Characters of a note: it is kept in the event, and shown wherever the event is.
const MAX_NOTE: usize = 2_000;

/// What a life-cycle door is sent.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    note: String,
    version: Option<String>,
}

type Gate = State<Arc<Gateway>>;

pub(super) async fn retrain(
    gate: Gate,
    model: Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let make = |model: String, Asked { note, version }| match version {
        None => Ok(RetrainAsked { model, note }.into()),
        Some(_) => Err(Problem::unprocessable(
            "a retrain makes a new version; leave `version` out",
        )),
    };
    send(gate, model, request, "requests.trigger", make).await
}

pub(super) async fn promote(
    gate: Gate,
    model: Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let make = |model: String, Asked { note, version }| match version {
        Some(version) => Ok(PromotionAsked {
            model,
            version,
            note,
        }
        .into()),
        None => Err(Problem::unprocessable(
            "say which version is to serve, as {\"version\": \"v2\"}",
        )),
    };
    send(gate, model, request, "requests.rollout", make).await
}

pub(super) async fn rollback(
    gate: Gate,
    model: Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let make = |model: String, Asked { note, version }| match version {
        None => Ok(RollbackAsked { model, note }.into()),
        Some(_) => Err(Problem::unprocessable(
            "a roll-back goes to the champion before; leave `version` out, or promote that version",
        )),
    };
    send(gate, model, request, "requests.rollout", make).await
}

async fn send(
    State(gateway): Gate,
    Path(model): Path<String>,
    request: Request,
    topic_room: &'static str,
    make: impl FnOnce(String, Asked) -> Result<Event, Problem>,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (actor, key) = (actor::actor(&head.headers)?, actor::key(&head.headers)?);
    // Nothing more to say needs no body.
    if head.headers.contains_key(header::CONTENT_TYPE) {
        body::media(&head.headers, &[Media::Json])?;
    }
    let body = body::read(&head.headers, body).await?;
    let event = make(model.clone(), read(&body)?)?;
    blocking(move || {
        let project = gateway.projects.current(&gateway.store)?;
        let stop = || gateway.stopping.load(Ordering::SeqCst);
        let ask = Ask {
            store: &gateway.store,
            project: &project,
            topic_room,
            model: &model,
            event: &event,
            actor: &actor,
            key: key.as_deref(),
            stop: &stop,
        };
        let (id, answered) = ask.run().map_err(problem)?;
        Ok(match answered {
            Answer::Caused(event) => {
                let caused =
                    json!({"request": id, "event": event.name(), "value": event.to_json()});
                answer(StatusCode::OK, &caused)
            }
            Answer::Waiting(id) => {
                let detail = "the request is in the log; the next ticks of the clock answer it";
                answer(
                    StatusCode::ACCEPTED,
                    &json!({"request": id, "event": null, "detail": detail}),
                )
            }
        })
    })
    .await
}

fn read(body: &[u8]) -> Result<Asked, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Asked::default());
    }
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        Problem::bad(format!(
            "the body is not what is asked for: {error}; send {{\"note\": …, \"version\": …}}"
        ))
    })?;
    if asked.note.chars().count() > MAX_NOTE {
        return Err(Problem::unprocessable(format!(
            "a note has at most {MAX_NOTE} characters; say it shorter"
        )));
    }
    Ok(asked)
}

/// What a refusal is in HTTP.
pub(super) fn problem(error: AskError) -> Problem {
    let said = error.to_string();
    match error {
        AskError::UnknownModel { .. } => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-model",
            "There is no such model",
            said,
        ),
        AskError::Refused(Refused::UnknownVersion { .. }) => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-version",
            "There is no such version",
            said,
        ),
        AskError::Refused(_) => Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "This cannot be done now",
            said,
        ),
        AskError::Commit(CommitError::Unknown(_)) => Problem::unavailable(format!(
            "{said}; whether the request is in the log is not known: send it again with the same Idempotency-Key, or look"
        )),
        _ => Problem::unavailable(format!(
            "{said}; the request is not in the log, send it again"
        )),
    }
}
