//! Subjects and their versions: looked up, registered, deleted, tested.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use mainstem_registry::{Against, Registered, Wish};
use serde_json::{Value, json};

use super::super::Gateway;
use super::answer::{Query, Told, Wished, ask, bare, change, registered, versioned, wanted};

type Shared = State<Arc<Gateway>>;

/// A subject and a version, as the path has them.
type Place = Path<(String, String)>;

pub(super) async fn list(State(gateway): Shared, query: Query) -> Told {
    ask(gateway, move |view| {
        // The Python client writes the second in its own way.
        let only = query.flag("deletedOnly") || query.flag("deleted_only");
        let deleted = query.flag("deleted");
        let prefix = query.text("subjectPrefix");
        Ok(json!(
            query.page(view.registry.subjects(prefix, deleted, only))
        ))
    })
    .await
}

pub(super) async fn versions(
    State(gateway): Shared,
    Path(subject): Path<String>,
    query: Query,
) -> Told {
    ask(gateway, move |view| {
        let found = view.registry.versions(&subject, query.flag("deleted"))?;
        Ok(json!(query.page(found)))
    })
    .await
}

pub(super) async fn version(State(gateway): Shared, at: Place, query: Query) -> Told {
    found(gateway, at, query, |found| versioned(&found)).await
}

pub(super) async fn text(State(gateway): Shared, at: Place, query: Query) -> Response {
    let told = found(gateway, at, query, |found| {
        Value::String(found.schema.text.clone())
    });
    told.await.map(bare).into_response()
}

/// Tells of a version.
async fn found(
    gateway: Arc<Gateway>,
    Path((subject, version)): Place,
    query: Query,
    tell: impl FnOnce(Registered<'_>) -> Value + Send + 'static,
) -> Told {
    ask(gateway, move |view| {
        let version = wanted(&version)?;
        let found = view
            .registry
            .version(&subject, version, query.flag("deleted"))?;
        Ok(tell(found))
    })
    .await
}

pub(super) async fn referred_by(State(gateway): Shared, Path(at): Place) -> Told {
    ask(gateway, move |view| {
        let found = view.registry.version(&at.0, wanted(&at.1)?, false)?;
        Ok(json!(view.registry.referred_by(&at.0, found.version)))
    })
    .await
}

pub(super) async fn register(
    State(gateway): Shared,
    Path(subject): Path<String>,
    Wished(wish): Wished,
) -> Told {
    change(gateway, move |view| {
        let readable = |subject: &str, schema: &str| view.readable(subject, schema);
        let register = view.registry.register(&subject, &wish, &readable)?;
        Ok((register.fact.clone(), registered(&register)))
    })
    .await
}

pub(super) async fn lookup(
    State(gateway): Shared,
    Path(subject): Path<String>,
    query: Query,
    Wished(wish): Wished,
) -> Told {
    ask(gateway, move |view| {
        let found = view
            .registry
            .lookup(&subject, &wish, query.flag("deleted"))?;
        Ok(versioned(&found))
    })
    .await
}

pub(super) async fn delete(
    State(gateway): Shared,
    Path(subject): Path<String>,
    query: Query,
) -> Told {
    let permanent = query.flag("permanent");
    change(gateway, move |view| {
        let (fact, versions) = view.registry.delete_subject(&subject, permanent)?;
        Ok((Some(fact), json!(versions)))
    })
    .await
}

pub(super) async fn delete_version(State(gateway): Shared, Path(at): Place, query: Query) -> Told {
    let permanent = query.flag("permanent");
    change(gateway, move |view| {
        let number = wanted(&at.1)?;
        let (fact, version) = view.registry.delete_version(&at.0, number, permanent)?;
        Ok((Some(fact), json!(version)))
    })
    .await
}

pub(super) async fn test_all(
    State(gateway): Shared,
    Path(subject): Path<String>,
    query: Query,
    Wished(wish): Wished,
) -> Told {
    tested(gateway, subject, None, query, wish).await
}

pub(super) async fn test(
    State(gateway): Shared,
    Path((subject, version)): Place,
    query: Query,
    Wished(wish): Wished,
) -> Told {
    tested(gateway, subject, Some(version), query, wish).await
}

async fn tested(
    gateway: Arc<Gateway>,
    subject: String,
    version: Option<String>,
    query: Query,
    wish: Wish,
) -> Told {
    ask(gateway, move |view| {
        let against = match version {
            None => Against::Level,
            Some(text) => wanted(&text)?.map_or(Against::Latest, Against::Version),
        };
        let readable = |subject: &str, schema: &str| view.readable(subject, schema);
        let messages = view.registry.test(&subject, against, &wish, &readable)?;
        let mut told = json!({"is_compatible": messages.is_empty()});
        if query.flag("verbose") {
            told["messages"] = json!(messages);
        }
        Ok(told)
    })
    .await
}
