//! Compatibility levels and modes, of the registry and of subjects: a path without a subject means the registry.

use std::sync::Arc;

use axum::extract::{Path, State};
use mainstem_registry::{Registry, RegistryError};
use mainstem_schemas::registry::{Level, Mode, RegistryFact};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::Gateway;
use super::answer::{Query, Refusal, Said, Told, ask, change};

type Shared = State<Arc<Gateway>>;

/// The subject that the path names, if it names one.
type Whose = Option<Path<String>>;

#[derive(Deserialize)]
pub(super) struct SentLevel {
    compatibility: Option<String>,
    /// Normalisation by default, aliases, rules: not kept here.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct SentMode {
    mode: String,
}

/// What the registry has, and a subject may have for itself.
pub(super) trait Setting: Copy + Serialize + Send + Sync + 'static {
    /// The member that tells it.
    const TOLD: &'static str;
    /// The member that tells it as it was set.
    const SET: &'static str;

    /// The one that counts.
    fn of(registry: &Registry, subject: Option<&str>) -> Self;

    /// A subject's own.
    fn own(registry: &Registry, subject: &str) -> Result<Self, RegistryError>;

    /// The fact that sets it, or takes it back.
    fn set(
        registry: &Registry,
        subject: Option<&str>,
        setting: Option<Self>,
        force: bool,
    ) -> Result<RegistryFact, RegistryError>;
}

impl Setting for Level {
    const TOLD: &'static str = "compatibilityLevel";
    const SET: &'static str = "compatibility";

    fn of(registry: &Registry, subject: Option<&str>) -> Self {
        registry.level(subject)
    }

    fn own(registry: &Registry, subject: &str) -> Result<Self, RegistryError> {
        let own = registry.own_level(subject);
        own.ok_or_else(|| RegistryError::NoLevel(subject.into()))
    }

    fn set(
        registry: &Registry,
        subject: Option<&str>,
        setting: Option<Self>,
        _: bool,
    ) -> Result<RegistryFact, RegistryError> {
        registry.set_level(subject, setting)
    }
}

impl Setting for Mode {
    const TOLD: &'static str = "mode";
    const SET: &'static str = "mode";

    fn of(registry: &Registry, subject: Option<&str>) -> Self {
        registry.mode(subject)
    }

    fn own(registry: &Registry, subject: &str) -> Result<Self, RegistryError> {
        let own = registry.own_mode(subject);
        own.ok_or_else(|| RegistryError::NoMode(subject.into()))
    }

    fn set(
        registry: &Registry,
        subject: Option<&str>,
        setting: Option<Self>,
        force: bool,
    ) -> Result<RegistryFact, RegistryError> {
        registry.set_mode(subject, setting, force)
    }
}

pub(super) async fn get<T: Setting>(State(gateway): Shared, whose: Whose, query: Query) -> Told {
    ask(gateway, move |view| {
        let setting = match whose {
            Some(Path(subject)) if !query.flag("defaultToGlobal") => {
                T::own(view.registry, &subject)?
            }
            whose => T::of(view.registry, name(&whose)),
        };
        Ok(json!({T::TOLD: setting}))
    })
    .await
}

pub(super) async fn put_level(
    State(gateway): Shared,
    whose: Whose,
    Said(sent): Said<SentLevel>,
) -> Told {
    let level = sent.compatibility.unwrap_or_default();
    let known = level.to_ascii_uppercase().parse::<Level>();
    let known = known.map_err(|()| RegistryError::InvalidLevel(level))?;
    if let Some((other, _)) = sent.others.iter().find(|(_, value)| !value.is_null()) {
        let why = format!("This registry keeps no {other}; leave it out");
        return Err(Refusal::Registry(RegistryError::NotPermitted(why)));
    }
    put(gateway, whose, known, false).await
}

pub(super) async fn put_mode(
    State(gateway): Shared,
    whose: Whose,
    query: Query,
    Said(SentMode { mode }): Said<SentMode>,
) -> Told {
    let known = mode.parse::<Mode>();
    let known = known.map_err(|()| RegistryError::InvalidMode(mode))?;
    put(gateway, whose, known, query.flag("force")).await
}

async fn put<T: Setting>(gateway: Arc<Gateway>, whose: Whose, setting: T, force: bool) -> Told {
    change(gateway, move |view| {
        let fact = T::set(view.registry, name(&whose), Some(setting), force)?;
        Ok((Some(fact), json!({T::SET: setting})))
    })
    .await
}

/// Tells the one that was.
pub(super) async fn take_back<T: Setting>(State(gateway): Shared, whose: Whose) -> Told {
    change(gateway, move |view| {
        let was = T::of(view.registry, name(&whose));
        let fact = T::set(view.registry, name(&whose), None, false)?;
        Ok((Some(fact), json!({T::TOLD: was})))
    })
    .await
}

fn name(whose: &Whose) -> Option<&str> {
    whose.as_ref().map(|Path(subject)| subject.as_str())
}
