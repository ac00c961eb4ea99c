//! Finding the prediction that is asked about.

use mainstem_kernel::Partition;
use mainstem_kernel::log::LogError;
use mainstem_rooms::serving::prediction_id;
use mainstem_schemas::definition::digest_of;
use mainstem_schemas::events::{Event, PredictionMade, Role};
use mainstem_schemas::id::Kind;
use mainstem_schemas::{Digest, EventId, PredictionId, topics};

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
    let (id, route) = read_id(asked.id)?;
    let models: Vec<String> = archive.project.models.keys().cloned().collect();
    let (mut answers, mut newest) = (Vec::new(), None);
    for model in &models {
        newest = collect(archive, model, &id, route, &mut answers)?.or(newest);
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
                newest,
            },
            _ => ExplainError::NoSuchVersion { id, names },
        });
    }
    let first = answers.remove(0);
    Ok((first, answers))
}

/// An event's id, or a prediction's with the way to its partition.
fn read_id(given: &str) -> Result<(EventId, Option<u32>), ExplainError> {
    let named = given.parse::<PredictionId>();
    let named = named.map(|named| (named.event, Some(named.route)));
    named
        .or_else(|_| given.parse().map(|id| (id, None)))
        .map_err(|_| ExplainError::NotAnId {
            given: given.into(),
        })
}

/// Version and role.
pub(super) fn name_of(answer: &Answer) -> String {
    format!("{} ({})", answer.made.version, role_name(answer.made.role))
}

/// Collects what is wanted, and tells the origin of the newest prediction there is.
fn collect(
    archive: &mut Archive<'_>,
    model: &str,
    wanted: &EventId,
    route: Option<u32>,
    into: &mut Vec<Answer>,
) -> Result<Option<EventId>, LogError> {
    let project = archive.project.name.clone();
    let definitions = archive.definitions.iter().chain([archive.project]);
    let mut digests: Vec<Digest> = definitions
        .filter_map(|project| project.models.get(model).map(digest_of))
        .collect();
    digests.dedup();
    let derived = wanted.kind() == Some(Kind::Derived);
    let text = wanted.to_string();
    let topic = topics::of(&project, "predictions", model);
    let mut newest = [0; 32];
    let partitions = archive.project.partitions;
    let one = route.map(|route| route % partitions.max(1));
    for index in one.map_or(0..partitions, |one| one..one + 1) {
        let partition = Partition::new(&topic, index);
        archive.find(&partition, |catalog, record| {
            let value = record.value.unwrap_or_default();
            let origin = value.get(ORIGIN)?;
            newest.copy_from_slice(origin);
            if !derived && origin != text.as_bytes() {
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
    let newest = std::str::from_utf8(&newest).ok();
    Ok(newest.and_then(|text| text.parse().ok()))
}

/// A role by its name.
#[must_use]
pub fn role_of(name: &str) -> Option<Role> {
    [Role::Champion, Role::Shadow, Role::Control, Role::Baseline]
        .into_iter()
        .find(|role| role_name(*role) == name)
}
