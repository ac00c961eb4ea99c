//! Predictions and joins, whole and cut; the crash harness on both.

use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{PredictionMade, Role};
use mainstem_schemas::{EventId, Millis};
use serde_json::json;

use crate::harness::project;

mod crashes;
mod doors;
mod joins;
mod predictions;

/// The project: the view's features are f (the column x) and g (the column n).
fn the_project() -> Project {
    project(json!([
        {"name": "f", "of": {"column": "x"}},
        {"name": "g", "of": {"column": "n"}},
    ]))
}

/// A prediction of version `v1` by the champion, about entity `e<entity>` at a second.
fn made(entity: u8, second: i64, row: u64) -> PredictionMade {
    PredictionMade {
        origin: EventId::row(7, 1, row),
        event_time: Millis(1000 * (second - 1)),
        entity: format!("e{entity}"),
        target_time: Millis(1000 * second),
        version: format!("v{}", row % 2),
        role: [Role::Champion, Role::Shadow][row as usize % 2],
        probability: 0.25,
        class: 0,
        inputs: None,
        actor: None,
        runtime: "none".into(),
    }
}
