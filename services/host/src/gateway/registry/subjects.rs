//! Subjects and their versions: looked up, registered, deleted, tested.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use mainstem_registry::Against;
use serde_json::{Value, json};

use super::super::Gateway;
use super::answer::{
    Query, Refusal, Sent, Told, ask, bare, change, read, registered, versioned, wanted,
};

type Shared = State<Arc<Gateway>>;

/// A subject and a version, as the path has them.
type Place = Path<(String, String)>;

pub(super) async fn list(State(gateway): Shared, request: Request) -> Told {
    let query = Query::of(&request);
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
    request: Request,
) -> Told {
    let query = Query::of(&request);
    ask(gateway, move |view| {
        let found = view.registry.versions(&subject, query.flag("deleted"))?;
        Ok(json!(query.page(found)))
    })
    .await
}

pub(super) async fn version(State(gateway): Shared, Path(at): Place, request: Request) -> Told {
    let query = Query::of(&request);
    ask(gateway, move |view| {
        let number = wanted(&at.1)?;
        let found = view
            .registry
            .version(&at.0, number, query.flag("deleted"))?;
        Ok(versioned(&found))
    })
    .await
}

pub(super) async fn text(State(gateway): Shared, Path(at): Place, request: Request) -> Response {
    let query = Query::of(&request);
    let told = ask(gateway, move |view| {
        let number = wanted(&at.1)?;
        let found = view
            .registry
            .version(&at.0, number, query.flag("deleted"))?;
        Ok(Value::String(found.schema.text.clone()))
    });
    told.await.map(bare).into_response()
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
    request: Request,
) -> Told {
    let query = Query::of(&request);
    let (head, body) = request.into_parts();
    let sent: Sent = read(&head.headers, body).await?;
    let wish = sent.wish(query.flag("normalize"))?;
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
    request: Request,
) -> Told {
    let query = Query::of(&request);
    let (head, body) = request.into_parts();
    let sent: Sent = read(&head.headers, body).await?;
    let wish = sent.wish(query.flag("normalize"))?;
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
    request: Request,
) -> Told {
    let permanent = Query::of(&request).flag("permanent");
    change(gateway, move |view| {
        let (fact, versions) = view.registry.delete_subject(&subject, permanent)?;
        Ok((Some(fact), json!(versions)))
    })
    .await
}

pub(super) async fn delete_version(
    State(gateway): Shared,
    Path(at): Place,
    request: Request,
) -> Told {
    let permanent = Query::of(&request).flag("permanent");
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
    request: Request,
) -> Told {
    tested(gateway, subject, None, request).await
}

pub(super) async fn test(State(gateway): Shared, Path(at): Place, request: Request) -> Told {
    tested(gateway, at.0, Some(at.1), request).await
}

async fn tested(
    gateway: Arc<Gateway>,
    subject: String,
    version: Option<String>,
    request: Request,
) -> Result<super::answer::Answer, Refusal> {
    let query = Query::of(&request);
    let (head, body) = request.into_parts();
    let sent: Sent = read(&head.headers, body).await?;
    let wish = sent.wish(query.flag("normalize"))?;
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
