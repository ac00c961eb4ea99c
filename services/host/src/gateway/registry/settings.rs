//! Compatibility levels and modes, of the registry and of subjects.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use mainstem_registry::RegistryError;
use mainstem_schemas::registry::{Level, Mode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::Gateway;
use super::answer::{Query, Refusal, Told, ask, change, read};

type Shared = State<Arc<Gateway>>;

#[derive(Deserialize)]
struct SentLevel {
    compatibility: Option<String>,
    /// Normalisation by default, aliases, rules: not kept here.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct SentMode {
    mode: String,
}

pub(super) async fn level(State(gateway): Shared) -> Told {
    ask(gateway, |view| {
        Ok(json!({"compatibilityLevel": view.registry.level(None)}))
    })
    .await
}

pub(super) async fn level_of(
    State(gateway): Shared,
    Path(subject): Path<String>,
    request: Request,
) -> Told {
    let query = Query::of(&request);
    ask(gateway, move |view| {
        let own = view.registry.own_level(&subject);
        let level = match own {
            None if query.flag("defaultToGlobal") => view.registry.level(Some(&subject)),
            own => own.ok_or(RegistryError::NoLevel(subject))?,
        };
        Ok(json!({"compatibilityLevel": level}))
    })
    .await
}

pub(super) async fn set_level(State(gateway): Shared, request: Request) -> Told {
    put_level(gateway, None, request).await
}

pub(super) async fn set_level_of(
    State(gateway): Shared,
    Path(subject): Path<String>,
    request: Request,
) -> Told {
    put_level(gateway, Some(subject), request).await
}

async fn put_level(gateway: Arc<Gateway>, subject: Option<String>, request: Request) -> Told {
    let (head, body) = request.into_parts();
    let sent: SentLevel = read(&head.headers, body).await?;
    let name = sent.compatibility.unwrap_or_default();
    let level: Result<Level, ()> = name.to_ascii_uppercase().parse();
    let level = level.map_err(|()| RegistryError::InvalidLevel(name))?;
    if let Some((other, _)) = sent.others.iter().find(|(_, value)| !value.is_null()) {
        let why = format!("This registry keeps no {other}; leave it out");
        return Err(Refusal::Registry(RegistryError::NotPermitted(why)));
    }
    change(gateway, move |view| {
        let fact = view.registry.set_level(subject.as_deref(), Some(level))?;
        Ok((Some(fact), json!({"compatibility": level})))
    })
    .await
}

pub(super) async fn drop_level(State(gateway): Shared) -> Told {
    take_level_back(gateway, None).await
}

pub(super) async fn drop_level_of(State(gateway): Shared, Path(subject): Path<String>) -> Told {
    take_level_back(gateway, Some(subject)).await
}

/// Tells the level that was.
async fn take_level_back(gateway: Arc<Gateway>, subject: Option<String>) -> Told {
    change(gateway, move |view| {
        let was = view.registry.level(subject.as_deref());
        let fact = view.registry.set_level(subject.as_deref(), None)?;
        Ok((Some(fact), json!({"compatibilityLevel": was})))
    })
    .await
}

pub(super) async fn mode(State(gateway): Shared) -> Told {
    ask(gateway, |view| {
        Ok(json!({"mode": view.registry.mode(None)}))
    })
    .await
}

pub(super) async fn mode_of(
    State(gateway): Shared,
    Path(subject): Path<String>,
    request: Request,
) -> Told {
    let query = Query::of(&request);
    ask(gateway, move |view| {
        let own = view.registry.own_mode(&subject);
        let mode = match own {
            None if query.flag("defaultToGlobal") => view.registry.mode(Some(&subject)),
            own => own.ok_or(RegistryError::NoMode(subject))?,
        };
        Ok(json!({"mode": mode}))
    })
    .await
}

pub(super) async fn set_mode(State(gateway): Shared, request: Request) -> Told {
    put_mode(gateway, None, request).await
}

pub(super) async fn set_mode_of(
    State(gateway): Shared,
    Path(subject): Path<String>,
    request: Request,
) -> Told {
    put_mode(gateway, Some(subject), request).await
}

async fn put_mode(gateway: Arc<Gateway>, subject: Option<String>, request: Request) -> Told {
    let force = Query::of(&request).flag("force");
    let (head, body) = request.into_parts();
    let SentMode { mode: name } = read(&head.headers, body).await?;
    let mode: Result<Mode, ()> = name.parse();
    let mode = mode.map_err(|()| RegistryError::InvalidMode(name))?;
    change(gateway, move |view| {
        let fact = view
            .registry
            .set_mode(subject.as_deref(), Some(mode), force)?;
        Ok((Some(fact), json!({"mode": mode})))
    })
    .await
}

pub(super) async fn drop_mode(State(gateway): Shared) -> Told {
    take_mode_back(gateway, None).await
}

pub(super) async fn drop_mode_of(State(gateway): Shared, Path(subject): Path<String>) -> Told {
    take_mode_back(gateway, Some(subject)).await
}

/// Tells the mode that was.
async fn take_mode_back(gateway: Arc<Gateway>, subject: Option<String>) -> Told {
    change(gateway, move |view| {
        let was = view.registry.mode(subject.as_deref());
        let fact = view.registry.set_mode(subject.as_deref(), None, false)?;
        Ok((Some(fact), json!({"mode": was})))
    })
    .await
}
