//! The schema registry, by the paths, bodies and error codes of Confluent's API, so that any client of that one is a client
//! of this. What it means is `mainstem_registry`'s; here are HTTP (`answer`, and a file for each group of paths) and the
//! log (`desk`): its facts are records of the topic `schemas`, and nothing is answered that is not in it.

mod answer;
mod desk;
mod schemas;
mod settings;
mod subjects;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use mainstem_schemas::registry::{Level, Mode};
use serde_json::json;

use super::Gateway;
use answer::Answer;
pub(super) use desk::Desk;

/// The paths of the registry, at the root, where clients look for them.
pub(super) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/", get(root))
        .route("/contexts", get(contexts))
        .route("/subjects", get(subjects::list))
        .route(
            "/subjects/{subject}",
            post(subjects::lookup).delete(subjects::delete),
        )
        .route(
            "/subjects/{subject}/versions",
            get(subjects::versions).post(subjects::register),
        )
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route(
            "/subjects/{subject}/versions/{version}/schema",
            get(subjects::text),
        )
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(subjects::referred_by),
        )
        .route("/schemas", get(schemas::all))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects))
        .route("/schemas/ids/{id}/versions", get(schemas::versions))
        .route(
            "/compatibility/subjects/{subject}/versions",
            post(subjects::test_all),
        )
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(subjects::test),
        )
        .route("/config", levels())
        .route("/config/{subject}", levels())
        .route("/mode", modes())
        .route("/mode/{subject}", modes())
}

fn levels() -> MethodRouter<Arc<Gateway>> {
    get(settings::get::<Level>)
        .put(settings::put_level)
        .delete(settings::take_back::<Level>)
}

fn modes() -> MethodRouter<Arc<Gateway>> {
    get(settings::get::<Mode>)
        .put(settings::put_mode)
        .delete(settings::take_back::<Mode>)
}

/// Some clients look whether anybody is there.
async fn root() -> Answer {
    Answer::of(json!({}))
}

/// There is one context, the default one.
async fn contexts() -> Answer {
    Answer::of(json!(["."]))
}
