//! What no definition may change. All that were ever applied count: what was taken out and comes back has records and
//! turns from its first life.

use std::collections::BTreeMap;

use mainstem_schemas::definition::{Project, Source};

use super::ApplyError;

/// Looks for something immutable that `project` changes.
///
/// # Errors
/// [`ApplyError::Fixed`].
pub(super) fn check(
    history: &[Project],
    current: &Project,
    project: &Project,
) -> Result<(), ApplyError> {
    if current.name != project.name {
        return fixed(
            format!("the project's name ({} to {})", current.name, project.name),
            "it is the prefix of every topic",
            "use another --dir for another project",
        );
    }
    if current.partitions != project.partitions {
        let (before, after) = (current.partitions, project.partitions);
        return fixed(
            format!("the number of partitions ({before} to {after})"),
            "a key belongs to one partition for life",
            "start a new project: with another --dir, or on Kafka under another name",
        );
    }
    let views = last(history, |project| &project.views);
    if let Some(name) = changed(&views, &project.views, |one, other| one == other) {
        return fixed(
            format!("the view {name}"),
            "views are immutable: models were trained on what they were",
            "give the changed view a new name, such as one with _v2",
        );
    }
    let models = last(history, |project| &project.models);
    if let Some(name) = changed(&models, &project.models, |one, other| {
        one.view == other.view
    }) {
        return fixed(
            format!("the view of the model {name}"),
            "its versions were trained on that view, and its tasks have read it",
            "add a new model on the other view under another name",
        );
    }
    let monitors = last(history, |project| &project.monitors);
    if let Some(name) = changed(&monitors, &project.monitors, |one, other| {
        one.source == other.source
    }) {
        return fixed(
            format!("the source of the monitor {name}"),
            "its tasks have read that source",
            "add a new monitor of the other source under another name",
        );
    }
    let sources = last(history, |project| &project.sources);
    let same = |one: &Source, other: &Source| one.entity == other.entity && one.time == other.time;
    if let Some(name) = changed(&sources, &project.sources, same) {
        return fixed(
            format!("entity or time of the source {name}"),
            "its records are keyed and timed by it",
            "add a new source under another name",
        );
    }
    topics(&sources, project)
}

/// A record is known by its place in its topic, so a source has one topic for life, or none.
fn topics(before: &BTreeMap<&String, &Source>, project: &Project) -> Result<(), ApplyError> {
    let name = |source: &Source| source.topic.as_ref().map(|topic| topic.name.clone());
    let same = |one: &Source, other: &Source| name(one) == name(other);
    if let Some(name) = changed(before, &project.sources, same) {
        return fixed(
            format!("the topic of the source {name}"),
            "its records are known by their places in it, and have one kind of writer",
            "add a new source under another name",
        );
    }
    let way = |one: &Source, other: &Source| one.is_in_place() == other.is_in_place();
    if let Some(name) = changed(before, &project.sources, way) {
        return fixed(
            format!("how the topic of the source {name} is read"),
            "its copies and what it reads in place are two histories",
            "add a new source of that topic under another name",
        );
    }
    let partitions = |source: &Source| source.topic.as_ref().map_or(0, |topic| topic.partitions);
    let grown = |one: &Source, other: &Source| partitions(one) <= partitions(other);
    if let Some(name) = changed(before, &project.sources, grown) {
        return fixed(
            format!("the topic of the source {name}"),
            "it has fewer partitions than before, so it was deleted and created anew, and its places mean other records",
            "add a new source under another name",
        );
    }
    Ok(())
}

fn fixed(what: String, why: &str, remedy: &str) -> Result<(), ApplyError> {
    Err(ApplyError::Fixed {
        what,
        why: why.into(),
        remedy: remedy.into(),
    })
}

/// Every object that there ever was, as the last definition that has it says.
fn last<'a, T>(
    history: &'a [Project],
    objects: impl Fn(&'a Project) -> &'a BTreeMap<String, T>,
) -> BTreeMap<&'a String, &'a T> {
    history.iter().flat_map(objects).collect()
}

/// The first object that is not the same as it was.
fn changed<'a, T>(
    before: &BTreeMap<&String, &T>,
    after: &'a BTreeMap<String, T>,
    same: impl Fn(&T, &T) -> bool,
) -> Option<&'a String> {
    let differs = |(name, object): &(&String, &T)| {
        let known = before.get(name);
        known.is_some_and(|known| !same(known, object))
    };
    after.iter().find(differs).map(|(name, _)| name)
}
