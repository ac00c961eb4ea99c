//! Prediction doors: tasks that have no data input. What they were asked is no record of the log, but an answer carries
//! its inputs: so each is recomputed from the deployments that its turn stood on and from its own inputs, by the function
//! that the door uses ([`inference()`]). Its turns are folded again as any task's.

use std::rc::Rc;
use std::sync::Arc;

use mainstem_kernel::known::Resolved;
use mainstem_kernel::{Model, Need, Resolver, TaskSpec};
use mainstem_rooms::serving::{DoorMachine, Inference, inference};
use mainstem_schemas::definition::{self, Project};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{Event, RunTaken};
use mainstem_schemas::registry::SchemaFact;
use mainstem_schemas::{Batch, Catalog, Digest, RecordRef};

/// What a door knows: it reads schemas, definitions and deployments.
pub(super) struct Door {
    model: String,
    catalog: Catalog,
    definition: Option<definition::Model>,
    deployed: Deployed,
    answers: Option<Rc<Answers>>,
}

/// What a door's answers of a turn follow from.
pub(super) struct Answers {
    catalog: Catalog,
    definition: Option<definition::Model>,
    deployed: Deployed,
    compiled: Result<Arc<dyn Model>, String>,
}

impl Door {
    /// The door of a task's name, if it is one, and what its machine reads and writes.
    pub(super) fn of(task: &str, project: &Project) -> Option<(Self, TaskSpec)> {
        let mut parts = task.split('/');
        let model = (parts.next()? == "door").then(|| parts.next())??;
        let slot = parts.next()?.parse().ok()?;
        let door = Door {
            model: model.into(),
            catalog: Catalog::default(),
            definition: None,
            deployed: Deployed::default(),
            answers: None,
        };
        Some((door, DoorMachine::spec(project, model, slot)))
    }

    /// Takes a run of one of its inputs. What cannot be read changes nothing; its damage is found by its digest.
    pub(super) fn take(&mut self, taken: &RunTaken, batch: &Batch) {
        self.answers = None;
        let room = taken.topic.rsplit('.').next();
        for record in batch.iter() {
            let value = record.value.unwrap_or_default();
            if room == Some("schemas") {
                if let Ok(fact) = SchemaFact::read(value) {
                    self.catalog.take(fact);
                }
                continue;
            }
            match Event::decode(&self.catalog, value) {
                Ok(Event::DefinitionApplied(applied)) => {
                    let project = serde_json::from_str::<Project>(&applied.definition);
                    self.definition = project.ok().and_then(|mut p| p.models.remove(&self.model));
                }
                Ok(event) => {
                    self.deployed.take(&self.model, &event);
                }
                Err(_) => {}
            }
        }
    }

    /// What answers given now follow from.
    pub(super) fn answers(&mut self, resolver: &dyn Resolver) -> Rc<Answers> {
        let answers = self.answers.take().unwrap_or_else(|| {
            Rc::new(Answers {
                catalog: self.catalog.clone(),
                definition: self.definition.clone(),
                deployed: self.deployed.clone(),
                compiled: compiled(&self.deployed, resolver),
            })
        });
        self.answers = Some(Rc::clone(&answers));
        answers
    }
}

fn compiled(deployed: &Deployed, resolver: &dyn Resolver) -> Result<Arc<dyn Model>, String> {
    let champion = deployed.champion().ok_or("nothing was deployed")?;
    let (onnx, inputs): (Digest, usize) = (champion.onnx, champion.features.len());
    match resolver.resolve(&Need::Model { onnx, inputs })? {
        Resolved::Model(model) => Ok(model),
        Resolved::Blob(_) => Err(format!("{onnx} is no model")),
    }
}

impl Answers {
    /// The record that the door should have written, from the inputs of the one that it wrote.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn recompute(&self, record: &RecordRef<'_>) -> Result<Batch, String> {
        let event = Event::decode(&self.catalog, record.value.unwrap_or_default())
            .map_err(|error| error.to_string())?;
        let Event::PredictionMade(made) = event else {
            return Err(format!("a door writes predictions, not {}", event.name()));
        };
        let inputs = made.inputs.ok_or("it carries no inputs")?;
        let model = self.definition.as_ref();
        let model = model.ok_or("the definition of its time has no such model")?;
        let compiled = self.compiled.as_ref().map_err(Clone::clone)?;
        let request = Inference {
            origin: made.origin,
            actor: made.actor,
            event_time: made.event_time,
            entity: made.entity,
            inputs,
        };
        let made = inference(&self.deployed, compiled.as_ref(), model, request)
            .map_err(|error| error.to_string())?;
        let (key, mut value) = (made.entity.clone(), Vec::new());
        Event::from(made)
            .encode(&self.catalog, &mut value)
            .map_err(|error| error.to_string())?;
        let mut batch = Batch::new();
        batch.push(Some(key.as_bytes()), Some(&value), []);
        Ok(batch)
    }
}
