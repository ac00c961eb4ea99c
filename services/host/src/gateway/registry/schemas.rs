//! Schemas by their ids: what a consumer asks for with the id that a record begins with.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use mainstem_registry::RegistryError;
use serde_json::{Value, json};

use super::super::Gateway;
use super::answer::{Answer, Query, Told, ask, bare, schema, versioned};

type Shared = State<Arc<Gateway>>;

pub(super) async fn all(State(gateway): Shared, query: Query) -> Told {
    ask(gateway, move |view| {
        let (deleted, latest) = (query.flag("deleted"), query.flag("latestOnly"));
        let found = view
            .registry
            .everything(query.text("subjectPrefix"), deleted, latest);
        let found: Vec<Value> = query.page(found).iter().map(versioned).collect();
        Ok(found.into())
    })
    .await
}

pub(super) async fn types() -> Answer {
    Answer::of(json!(["AVRO"]))
}

pub(super) async fn by_id(State(gateway): Shared, Path(id): Path<String>, query: Query) -> Told {
    ask(gateway, move |view| {
        let found = view.registry.by_id(number(&id)?)?;
        let mut told = schema(found);
        if query.flag("fetchMaxId") {
            told.insert("maxId".into(), view.registry.max_id().into());
        }
        Ok(Value::Object(told))
    })
    .await
}

pub(super) async fn text(State(gateway): Shared, Path(id): Path<String>) -> Response {
    let told = ask(gateway, move |view| {
        let found = view.registry.by_id(number(&id)?)?;
        Ok(Value::String(found.text.clone()))
    });
    told.await.map(bare).into_response()
}

pub(super) async fn subjects(State(gateway): Shared, Path(id): Path<String>, query: Query) -> Told {
    uses(gateway, id, query, |found, query| {
        let mut names: Vec<&str> = found.into_iter().map(|(subject, _)| subject).collect();
        names.dedup();
        json!(query.page(names))
    })
    .await
}

pub(super) async fn versions(State(gateway): Shared, Path(id): Path<String>, query: Query) -> Told {
    uses(gateway, id, query, |found, query| {
        let one = |(subject, version)| json!({"subject": subject, "version": version});
        query.page(found).into_iter().map(one).collect()
    })
    .await
}

/// Tells of the subjects and versions that have a schema.
async fn uses(
    gateway: Arc<Gateway>,
    id: String,
    query: Query,
    tell: impl FnOnce(Vec<(&str, u32)>, &Query) -> Value + Send + 'static,
) -> Told {
    ask(gateway, move |view| {
        let id = number(&id)?;
        view.registry.by_id(id)?;
        let found = view.registry.versions_of(id, query.flag("deleted"));
        Ok(tell(found, &query))
    })
    .await
}

/// What is no number is no schema's id.
fn number(id: &str) -> Result<u32, RegistryError> {
    id.parse().map_err(|_| RegistryError::NoSchema)
}
