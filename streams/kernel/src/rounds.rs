//! The frame around every machine: schemas, definition, clock, and the records that wait for a tick.
//!
//! *Rounds.* An event emitted on tick n carries n. On tick n a machine is handed only the held records numbered below
//! n, in (event time, topic, key, id) order; so a consequence can never race with the tick that caused it, and two
//! paced runs release the same records in the same order on the same tick.

use std::collections::BTreeMap;

use mainstem_schemas::definition::{Clock, Project};
use mainstem_schemas::envelope::attribute;
use mainstem_schemas::events::Event;
use mainstem_schemas::registry::SchemaFact;
use mainstem_schemas::{Batch, Catalog, Digest, EventId, Millis, RecordRef};
use serde::{Deserialize, Serialize};

use crate::known::{Known, Need};
use crate::machine::{AHEAD, Answer, Context, Effect, Machine, Refused, Run, Stamp, Tick};
use crate::outbox::{Fault, Outbox};
use crate::task::{Mode, Task, TaskSpec, rank};

/// Bytes of held records beyond which a task takes no more data until a tick: a step or a second of wall clock of
/// control events is far below; 64 MiB keep a process of many tasks in memory.
const MAX_HELD: usize = 64 << 20;

/// A machine with its state.
pub struct Frame<M: Machine> {
    machine: M,
    spec: TaskSpec,
    state: State<M::State>,
}

#[derive(Serialize, Deserialize)]
struct State<S> {
    catalog: Catalog,
    #[serde(with = "as_json")]
    project: Option<Project>,
    digest: Digest,
    tick: Tick,
    opened: Millis,
    held: Held,
    room: S,
}

/// The definition as the canonical JSON that it is applied as: it leaves out what is not there, which bytes without names
/// cannot.
mod as_json {
    use mainstem_schemas::definition::Project;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(
        clippy::ref_option,
        reason = "serde's `with` hands the field by reference"
    )]
    pub fn serialize<S: Serializer>(project: &Option<Project>, to: S) -> Result<S::Ok, S::Error> {
        project.as_ref().map(Project::canonical).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Project>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let project = text.map(|text| serde_json::from_str(&text));
        project.transpose().map_err(D::Error::custom)
    }
}

/// Records that wait for a tick, in the order in which they came.
#[derive(Default, Serialize, Deserialize)]
struct Held {
    records: Batch,
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Mark {
    stamp: Stamp,
    input: u32,
    outcome: Option<(EventId, u32)>,
}

impl<M: Machine> Frame<M> {
    /// A machine at the beginning of its inputs.
    pub fn new(machine: M, spec: TaskSpec) -> Self {
        let state = State {
            catalog: Catalog::default(),
            project: None,
            digest: Digest::default(),
            tick: Tick::default(),
            opened: Millis::default(),
            held: Held::default(),
            room: M::State::default(),
        };
        Frame {
            machine,
            spec,
            state,
        }
    }

    fn take_schemas(&mut self, batch: &Batch, out: &mut Outbox) {
        for record in batch.iter() {
            match SchemaFact::read(record.value.unwrap_or_default()) {
                Ok(fact) => self.state.catalog.take(fact),
                Err(error) => out.fault(format!(
                    "offset {} of the topic `schemas`: {error}",
                    record.offset
                )),
            }
        }
    }

    fn take_definitions(&mut self, batch: &Batch, out: &mut Outbox) {
        for record in batch.iter() {
            let event = Event::decode(&self.state.catalog, record.value.unwrap_or_default());
            let Ok(Event::DefinitionApplied(applied)) = event else {
                out.fault(format!(
                    "offset {} of the topic `definitions` is no definition",
                    record.offset
                ));
                continue;
            };
            match serde_json::from_str::<Project>(&applied.definition) {
                Ok(project) => {
                    self.machine.define(&mut self.state.room, &project);
                    self.state.digest = applied.digest;
                    self.state.project = Some(project);
                }
                Err(error) => out.fault(format!(
                    "offset {} of the topic `definitions`: {error}",
                    record.offset
                )),
            }
        }
    }

    fn take_clock(&mut self, known: &Known, batch: &Batch, out: &mut Outbox) {
        for record in batch.iter() {
            match Event::decode(&self.state.catalog, record.value.unwrap_or_default()) {
                Ok(Event::ClockTicked(tick)) => {
                    self.state.tick = Tick {
                        time: tick.time,
                        round: u64::try_from(tick.round).unwrap_or(0),
                    };
                    self.on_tick(known, out);
                }
                Ok(Event::StepOpened(step)) => {
                    self.state.opened = self.state.opened.max(step.until)
                }
                Ok(other) => out.fault(format!("the topic `clock` holds {}", other.name())),
                Err(error) => out.fault(format!(
                    "offset {} of the topic `clock`: {error}",
                    record.offset
                )),
            }
        }
    }

    fn on_tick(&mut self, known: &Known, out: &mut Outbox) {
        let State {
            catalog,
            project: Some(project),
            tick,
            opened,
            held,
            room,
            ..
        } = &mut self.state
        else {
            return;
        };
        let cx = context(known, catalog, project, &self.spec, *tick, *opened, true);
        let (records, order) = held.release(tick.round, &self.spec);
        for (row, input) in order {
            if let Some(record) = records.get(row) {
                self.machine
                    .release(room, &cx, input as usize, &record, out);
            }
        }
        self.machine.tick(room, &cx, out);
    }

    fn take_run(&mut self, known: &Known, run: &Run<'_>, out: &mut Outbox) {
        let State {
            catalog,
            project,
            tick,
            opened,
            held,
            room,
            ..
        } = &mut self.state;
        let Some(project) = project else {
            return out.fault("data came before the definition; apply the definition first");
        };
        let cx = context(known, catalog, project, &self.spec, *tick, *opened, false);
        match self.spec.inputs.get(run.input).map(|input| input.mode) {
            Some(Mode::Immediate | Mode::Foreign | Mode::InPlace) => {
                self.machine.fold(room, &cx, run, out)
            }
            Some(Mode::Held) => {
                for record in run.batch.iter() {
                    held.put(
                        &record,
                        run.input,
                        self.machine.stamp(&cx, run.input, &record),
                    );
                }
            }
            None => out.fault(format!(
                "a run of input {}, which the task does not have",
                run.input
            )),
        }
    }
}

fn context<'a>(
    known: &'a Known,
    catalog: &'a Catalog,
    project: &'a Project,
    spec: &'a TaskSpec,
    tick: Tick,
    opened: Millis,
    on_tick: bool,
) -> Context<'a> {
    Context {
        known,
        catalog,
        project,
        spec,
        tick,
        on_tick,
        horizon: tick.time.max(opened).plus(AHEAD),
    }
}

impl Held {
    fn put(&mut self, record: &RecordRef<'_>, input: usize, stamp: Stamp) {
        let outcome = attribute(record, "ce_causationid").zip(attribute(record, "ce_attempt"));
        self.records.push_record(record);
        self.marks.push(Mark {
            stamp,
            input: input as u32,
            outcome,
        });
    }

    /// What a tick of that number releases: rows of the batch with their inputs, in order. The rest stays held.
    fn release(&mut self, round: u64, spec: &TaskSpec) -> (Batch, Vec<(usize, u32)>) {
        let (records, marks) = (
            std::mem::take(&mut self.records),
            std::mem::take(&mut self.marks),
        );
        let mut due: Vec<usize> = Vec::with_capacity(marks.len());
        for (row, mark) in marks.iter().enumerate() {
            if mark.stamp.round < round {
                due.push(row);
            } else if let Some(record) = records.get(row) {
                self.records.push_record(&record);
                self.marks.push(*mark);
            }
        }
        let topic = |row: usize| {
            spec.inputs
                .get(marks[row].input as usize)
                .map(|input| &input.partition.topic)
        };
        let key = |row: usize| records.get(row).and_then(|record| record.key);
        due.sort_by(|&a, &b| {
            let time = marks[a].stamp.time.cmp(&marks[b].stamp.time);
            time.then_with(|| topic(a).cmp(&topic(b)))
                .then_with(|| key(a).cmp(&key(b)))
                .then_with(|| marks[a].stamp.id.cmp(&marks[b].stamp.id))
        });
        let order = due.into_iter().map(|row| (row, marks[row].input)).collect();
        (records, order)
    }

    /// The held records of each input that has any.
    fn by_input(&self) -> BTreeMap<usize, Batch> {
        let mut inputs: BTreeMap<usize, Batch> = BTreeMap::new();
        for (mark, record) in self.marks.iter().zip(self.records.iter()) {
            inputs
                .entry(mark.input as usize)
                .or_default()
                .push_record(&record);
        }
        inputs
    }

    fn settles(&self, effect: &Effect) -> bool {
        self.marks
            .iter()
            .any(|mark| mark.outcome == Some((effect.id, effect.attempt)))
    }
}

impl<M: Machine> Task for Frame<M> {
    fn version(&self) -> u32 {
        M::VERSION
    }

    fn definition(&self) -> Digest {
        self.state.digest
    }

    fn needs(&self, known: &Known, run: Option<&Run<'_>>) -> Vec<Need> {
        let State {
            catalog,
            project: Some(project),
            tick,
            opened,
            held,
            room,
            ..
        } = &self.state
        else {
            return Vec::new();
        };
        let cx = context(known, catalog, project, &self.spec, *tick, *opened, false);
        match run {
            Some(run) if run.input < rank::FIRST => Vec::new(),
            Some(run) => {
                let input = run.input - rank::FIRST;
                let own = run.ranked(input);
                self.machine.needs(room, &cx, Some(&own))
            }
            // What is held will be folded on a tick: it is needed as what is folded already.
            None => {
                let mut needs = self.machine.needs(room, &cx, None);
                for (input, batch) in held.by_input() {
                    let own = Run::new(input, &batch);
                    needs.extend(self.machine.needs(room, &cx, Some(&own)));
                }
                needs
            }
        }
    }

    fn fold(&mut self, known: &Known, run: &Run<'_>, out: &mut Outbox) {
        match run.input {
            rank::SCHEMAS => self.take_schemas(run.batch, out),
            rank::DEFINITIONS => self.take_definitions(run.batch, out),
            rank::CLOCK => self.take_clock(known, run.batch, out),
            input => self.take_run(known, &run.ranked(input - rank::FIRST), out),
        }
    }

    fn answer(
        &self,
        known: &Known,
        question: &str,
        out: &mut Outbox,
    ) -> Result<Vec<Answer>, Refused> {
        let State {
            catalog,
            project: Some(project),
            tick,
            opened,
            room,
            ..
        } = &self.state
        else {
            return Err("no definition was applied yet; run `mainstem apply`".into());
        };
        let cx = context(known, catalog, project, &self.spec, *tick, *opened, false);
        let answers = self.machine.answer(room, &cx, question)?;
        for answer in &answers {
            out.put_event(&cx, answer.output, &answer.key, &answer.event);
        }
        Ok(answers)
    }

    fn is_full(&self) -> bool {
        self.state.held.records.bytes() > MAX_HELD
    }

    fn is_paced(&self) -> bool {
        let clock = self.state.project.as_ref().map(|project| project.clock);
        clock == Some(Clock::Stream)
    }

    fn outstanding(&self) -> Vec<Effect> {
        let mut effects = self.machine.outstanding(&self.state.room);
        effects.retain(|effect| !self.state.held.settles(effect));
        effects
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) -> Result<(), Fault> {
        event
            .encode(&self.state.catalog, out)
            .map_err(|error| Fault(error.to_string()))
    }

    fn snapshot(&self) -> Result<Vec<u8>, Fault> {
        postcard::to_stdvec(&self.state)
            .map_err(|error| Fault(format!("the state cannot be written: {error}")))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.state = postcard::from_bytes(bytes)
            .map_err(|error| Fault(format!("these bytes are no state: {error}")))?;
        Ok(())
    }
}
