//! What a retrain rests on, in words: the events that its request names.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_schemas::EventId;
use mainstem_schemas::events::{Event, Role};

use super::drift::method_name;
use super::text::{date, percent};

/// An event that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Its id.
    pub id: EventId,
    /// What it says; nothing where the log does not hold it any more.
    pub text: Option<String>,
}

/// Finds the events that somebody asked for.
#[derive(Default)]
pub(super) struct Texts {
    wanted: BTreeSet<EventId>,
    found: BTreeMap<EventId, String>,
}

impl Texts {
    pub fn want(&mut self, ids: &[EventId]) {
        self.wanted.extend(ids);
    }

    /// Takes an event if it is wanted.
    pub fn take(&mut self, id: EventId, event: &Event) {
        if self.wanted.contains(&id) {
            self.found.insert(id, describe(event));
        }
    }

    pub fn of(&self, ids: &[EventId]) -> Vec<Evidence> {
        let one = |id: &EventId| Evidence {
            id: *id,
            text: self.found.get(id).cloned(),
        };
        ids.iter().map(one).collect()
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::DriftDetected(it) => format!(
            "{} of {} detected at {:.4}, threshold {}, against the data of {}, in {} windows up to {}",
            method_name(it.method),
            it.feature,
            it.statistic,
            it.threshold,
            it.version,
            it.windows,
            date(it.window_end)
        ),
        Event::PerformanceMeasured(it) => format!(
            "{} ({}): {} of {} rows in the window up to {}",
            it.version,
            role_name(it.role),
            percent(it.accuracy),
            it.rows,
            date(it.window_end)
        ),
        Event::RetrainAsked(it) if it.note.is_empty() => "asked for".into(),
        Event::RetrainAsked(it) => format!("asked for: {}", it.note),
        other => other.name().into(),
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Champion => "champion",
        Role::Shadow => "shadow",
        Role::Control => "control",
        Role::Baseline => "no model",
    }
}
