//! Finding the prediction that is asked about.

use mainstem_kernel::Partition;
use mainstem_kernel::log::LogError;
use mainstem_rooms::serving::prediction_id;
use mainstem_schemas::definition::digest_of;
use mainstem_schemas::events::{Event, PredictionMade, Role};
use mainstem_schemas::id::Kind;
use mainstem_schemas::{Digest, EventId, topics};

use super::archive::Archive;
use super::words::role_name;
use super::{Asked, ExplainError};
use crate::auditor::report::Place;

/// A prediction with its place, model and id.
pub(super) struct Answer {
    pub at: Place,
    pub model: String,
    pub id: EventId,
    pub made: PredictionMade,
}

/// Where the origin stands in a prediction's value: after five bytes of header and one of length, in hexadecimal.
const ORIGIN: std::ops::Range<usize> = 6..38;

/// The predictions of an origin, or the one of an id.
pub(super) fn find(
    archive: &mut Archive<'_>,
    asked: &Asked<'_>,
) -> Result<(Answer, Vec<Answer>), ExplainError> {
    let id: EventId = asked.id.parse().map_err(|_| ExplainError::NotAnId {
        given: asked.id.into(),
    })?;
    let models: Vec<String> = archive.project.models.keys().cloned().collect();
    let mut answers = Vec::new();
    for model in &models {
        collect(archive, model, &id, &mut answers)?;
    }
    let found = answers.len();
    let wanted = |answer: &Answer| {
        asked
            .version
            .is_none_or(|version| answer.made.version == version)
            && asked.role.is_none_or(|role| answer.made.role == role)
    };
    // The answer that was given, where there is one: roles are in that order.
    answers.sort_by(|a, b| {
        let key = |answer: &Answer| (!wanted(answer), answer.made.role, answer.at.clone());
        key(a).cmp(&key(b))
    });
    if !answers.first().is_some_and(wanted) {
        let names = answers.iter().map(name_of).collect::<Vec<_>>();
        return Err(match found {
            0 => ExplainError::Unknown {
                id,
                project: archive.project.name.clone(),
                model: models.first().cloned().unwrap_or_else(|| "<model>".into()),
            },
            _ => ExplainError::NoSuchVersion { id, names },
        });
    }
    let first = answers.remove(0);
    Ok((first, answers))
}

/// Version and role.
pub(super) fn name_of(answer: &Answer) -> String {
    format!("{} ({})", answer.made.version, role_name(answer.made.role))
}

fn collect(
    archive: &mut Archive<'_>,
    model: &str,
    wanted: &EventId,
    into: &mut Vec<Answer>,
) -> Result<(), LogError> {
    let project = archive.project.name.clone();
    let definitions = archive.definitions.iter().chain([archive.project]);
    let mut digests: Vec<Digest> = definitions
        .filter_map(|project| project.models.get(model).map(digest_of))
        .collect();
    digests.dedup();
    let derived = wanted.kind() == Some(Kind::Derived);
    let text = wanted.to_string();
    let topic = topics::of(&project, "predictions", model);
    for index in 0..archive.project.partitions {
        let partition = Partition::new(&topic, index);
        archive.find(&partition, |catalog, record| {
            let value = record.value.unwrap_or_default();
            if !derived && value.get(ORIGIN) != Some(text.as_bytes()) {
                return None;
            }
            let Ok(Event::PredictionMade(made)) = Event::decode(catalog, value) else {
                return None;
            };
            let ids = || {
                digests
                    .iter()
                    .map(|d| prediction_id(&project, model, d, &made))
            };
            let id = match derived && made.origin != *wanted {
                true => ids().find(|id| id == wanted)?,
                false => ids().next_back()?,
            };
            into.push(Answer {
                at: Place::new(&partition, record.offset),
                model: model.into(),
                id,
                made,
            });
            // An id is of one prediction; an origin of as many as versions were deployed.
            None::<()>
        })?;
    }
    Ok(())
}

/// A role by its name.
#[must_use]
pub fn role_of(name: &str) -> Option<Role> {
    [Role::Champion, Role::Shadow, Role::Control, Role::Baseline]
        .into_iter()
        .find(|role| role_name(*role) == name)
}
