//! The pass over the topics. Those of the life cycle come first, for their requests say which events are evidence; the
//! arrivals come last, for by then it is known which times' rows are asked for.

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::definition::{Model, Project};
use mainstem_schemas::envelope::attribute;
use mainstem_schemas::events::{Event, Role};
use mainstem_schemas::{Batch, Catalog, EventId, Millis, RecordRef, topics};

use super::accuracy::Scores;
use super::drift::Measured;
use super::evidence::Texts;
use super::lifecycle::LifeCycle;
use super::rows::Rows;
use super::{At, Counts, Summary};
use crate::store::{Store, StoreError, each_event};

impl Summary {
    /// Reads the history of a model from the log, up to where the log is now.
    ///
    /// # Errors
    /// The log's; and where the project has no such model.
    pub fn read(store: &Store, project: &Project, model: &str) -> Result<Summary, StoreError> {
        let name = model;
        let (model, source) = find(project, name)?;
        let mut pass = Pass::new(store, project)?;
        let (mut life, mut texts) = (LifeCycle::default(), Texts::default());
        for room in ["triggers", "runs", "models", "deployments"] {
            pass.events(room, |record, event| life.take(name, head(record), event))?;
        }
        texts.want(&life.evidence());
        let mut measured = Measured::default();
        pass.events("drift", |record, event| {
            texts.take(head(record).0, &event);
            measured.take(name, &event);
        })?;
        for room in ["performance", "requests.trigger"] {
            pass.events(room, |record, event| texts.take(head(record).0, &event))?;
        }
        let mut scores = Scores::new(model);
        pass.events(&format!("labelled.{name}"), |_, event| scores.take(&event))?;
        let mut champions = 0;
        pass.events(&format!("predictions.{name}"), |_, event| {
            champions += u64::from(
                matches!(event, Event::PredictionMade(made) if made.role == Role::Champion),
            );
        })?;
        let mut summary = Summary {
            project: project.name.clone(),
            source: source.into(),
            model: name.into(),
            definition: project.digest(),
            window: model.windows.length,
            counts: Counts {
                predictions: champions,
                ..Counts::default()
            },
            accuracy: scores.finish(),
            retrains: life.retrains(&texts),
            suppressed: life.suppressed,
            changes: life.changes,
            drift: measured.finish(model),
            audit: None,
            seconds: None,
        };
        summary.place(&mut pass)?;
        summary.count(pass)?;
        Ok(summary)
    }

    /// Gives every time its row.
    fn place(&mut self, pass: &mut Pass<'_>) -> Result<(), StoreError> {
        let mut times = Vec::new();
        self.each_time(&mut |at| times.push(at.time));
        let mut rows = Rows::new(times);
        pass.records(&format!("arrivals.{}", self.source), |record| {
            if let Some(time) = attribute::<Millis>(record, "ce_time") {
                rows.take(time);
            }
        })?;
        self.each_time(&mut |at| at.row = rows.before(at.time));
        Ok(())
    }

    fn each_time(&mut self, take: &mut dyn FnMut(&mut At)) {
        for window in &mut self.accuracy.windows {
            take(&mut window.start);
            take(&mut window.end);
        }
        for retrain in &mut self.retrains {
            take(&mut retrain.requested);
            retrain.ended.iter_mut().for_each(&mut *take);
            retrain.promoted.iter_mut().for_each(&mut *take);
        }
        self.changes
            .iter_mut()
            .for_each(|change| take(&mut change.at));
        let points = self
            .drift
            .series
            .iter_mut()
            .flat_map(|series| &mut series.points);
        points.for_each(|point| take(&mut point.end));
        self.drift
            .detections
            .iter_mut()
            .for_each(|detection| take(&mut detection.at));
    }

    /// Counts the topics that nothing was read from, too.
    fn count(&mut self, mut pass: Pass<'_>) -> Result<(), StoreError> {
        for room in pass.uncounted() {
            pass.records(&room, |_| {})?;
        }
        let topics = pass.counts;
        let of = |room: &str| topics.get(room).copied().unwrap_or(0);
        self.counts.rows = of(&format!("arrivals.{}", self.source));
        self.counts.predictions_of_all = of(&format!("predictions.{}", self.model));
        self.counts.rejects = of(&format!("rejects.{}", self.source));
        (self.counts.quarantined, self.counts.turns) = (of("quarantine"), of("turns"));
        self.counts.topics = topics;
        Ok(())
    }
}

/// A model and its source.
fn find<'a>(project: &'a Project, model: &str) -> Result<(&'a Model, &'a str), LogError> {
    let Some(found) = project.models.get(model) else {
        let names: Vec<&str> = project.models.keys().map(String::as_str).collect();
        let why = format!(
            "project {} has no model {model}; it has: {}",
            project.name,
            names.join(", ")
        );
        return Err(LogError::Other(why));
    };
    let view = project.views.get(&found.view);
    Ok((found, view.map_or("", |view| view.source.as_str())))
}

/// Id and time of a record.
fn head(record: &RecordRef<'_>) -> (EventId, Millis) {
    (
        attribute(record, "ce_id").unwrap_or_default(),
        attribute(record, "ce_time").unwrap_or_default(),
    )
}

/// Reads topics, each once, and counts their records.
struct Pass<'a> {
    project: &'a str,
    reader: Box<dyn Reader>,
    catalog: Catalog,
    /// Topics of the project and their partitions.
    topics: Vec<(String, u32)>,
    counts: std::collections::BTreeMap<String, u64>,
}

impl<'a> Pass<'a> {
    fn new(store: &Store, project: &'a Project) -> Result<Self, StoreError> {
        let prefix = format!("{}.", project.name);
        let ours = |topic: mainstem_kernel::TopicSpec| {
            Some((
                topic.name.strip_prefix(&prefix)?.to_owned(),
                topic.partitions,
            ))
        };
        Ok(Pass {
            project: &project.name,
            reader: store.log.reader()?,
            catalog: store.catalog(&project.name)?,
            topics: store.log.topics()?.into_iter().filter_map(ours).collect(),
            counts: Default::default(),
        })
    }

    /// Partitions of a topic; one that is missing is asked for all the same, so that the log names it.
    fn partitions(&self, room: &str) -> Vec<Partition> {
        let count = self
            .topics
            .iter()
            .find(|(name, _)| name == room)
            .map_or(1, |(_, count)| *count);
        let topic = topics::fixed(self.project, room);
        (0..count)
            .map(|index| Partition::new(&topic, index))
            .collect()
    }

    fn events(
        &mut self,
        room: &str,
        mut take: impl FnMut(&RecordRef<'_>, Event),
    ) -> Result<(), LogError> {
        let mut count = 0;
        for partition in self.partitions(room) {
            each_event(
                self.reader.as_mut(),
                &self.catalog,
                &partition,
                |record, event| {
                    count += 1;
                    take(record, event);
                },
            )?;
        }
        self.counts.insert(room.into(), count);
        Ok(())
    }

    fn records(
        &mut self,
        room: &str,
        mut take: impl FnMut(&RecordRef<'_>),
    ) -> Result<(), LogError> {
        let (mut count, mut batch) = (0, Batch::new());
        for partition in self.partitions(room) {
            let mut from = self.reader.range(&partition)?.start;
            loop {
                batch.clear();
                self.reader
                    .fetch(&partition, from, FetchLimit::default(), &mut batch)?;
                let Some(last) = batch.offsets().last() else {
                    break;
                };
                from = last + 1;
                count += batch.len() as u64;
                batch.iter().for_each(|record| take(&record));
            }
        }
        self.counts.insert(room.into(), count);
        Ok(())
    }

    fn uncounted(&self) -> Vec<String> {
        let names = self.topics.iter().map(|(name, _)| name);
        names
            .filter(|name| !self.counts.contains_key(*name))
            .cloned()
            .collect()
    }
}
