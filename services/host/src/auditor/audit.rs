//! The pass over the turns.

mod partitions;
mod snapshots;

use std::collections::BTreeMap;

use mainstem_kernel::cache::CachedReader;
use mainstem_kernel::log::{FetchLimit, LogError, Reader};
use mainstem_kernel::task::Mode;
use mainstem_kernel::turn::hash;
use mainstem_kernel::{Partition, TaskId, TaskSpec};
use mainstem_schemas::events::{Event, Turn};
use mainstem_schemas::topics;
use mainstem_schemas::{Batch, Catalog, RecordRef, Span};

use super::chain;
use super::ends::Chains;
use super::found::Found;
use super::holes::{self, Hole};
use super::inputs::{Foreign, Inputs};
use super::outputs::{Desk, Outputs, Segment};
use super::report::{Finding, Place, Report};
use super::stores::Named;
use super::task::{Audited, Fold};
use super::{Parts, Progress, beyond, definitions, schemas};
use crate::log_time::wall;
use snapshots::Snapshot;

/// What became of a turn's runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InputsRead {
    /// All are what they were.
    Whole,
    /// A topic of others does not hold all of them any more.
    Forgotten,
    /// The same, of a topic that is read in place.
    Beyond,
    /// Some are others.
    Damaged,
}

pub(super) struct Audit<'a> {
    parts: &'a Parts<'a>,
    specs: &'a BTreeMap<TaskId, TaskSpec>,
    reader: Box<dyn Reader>,
    catalog: Catalog,
    found: Found,
    tasks: BTreeMap<TaskId, Audited>,
    inputs: Inputs,
    outputs: Outputs,
    snapshots: BTreeMap<(String, i64), Vec<Snapshot>>,
    named: Named,
    batches: Vec<Batch>,
    /// Horizons of topics that are read in place.
    stated: BTreeMap<String, Span>,
    /// The partition that the turn at hand read of which nothing is left.
    gone: Option<Partition>,
    /// Partitions of facts, with their ends as the audit began.
    facts: Vec<(Partition, std::ops::Range<u64>)>,
}

impl<'a> Audit<'a> {
    pub(super) fn open(
        parts: &'a Parts<'a>,
        specs: &'a BTreeMap<TaskId, TaskSpec>,
    ) -> Result<Self, LogError> {
        let mut reader = Box::new(CachedReader::new(parts.log.reader()?));
        let mut found = Found::default();
        let catalog = schemas::read(reader.as_mut(), &parts.project.name, &mut found)?;
        let mut audit = Audit {
            parts,
            specs,
            reader,
            catalog,
            found,
            tasks: BTreeMap::new(),
            inputs: Inputs::default(),
            outputs: Outputs::default(),
            snapshots: BTreeMap::new(),
            named: Named::default(),
            batches: Vec::new(),
            stated: beyond::stated(&definitions(parts)?),
            gone: None,
            facts: Vec::new(),
        };
        audit.survey()?;
        Ok(audit)
    }

    /// Reads the whole chain.
    pub(super) fn run(mut self, progress: &mut dyn FnMut(&Progress)) -> Result<Report, LogError> {
        self.each("snapshots", &mut |audit, at, record, event, _| {
            audit.take_snapshot(at, record, event);
            Ok(())
        })?;
        let read = self.each("turns", &mut |audit, at, record, event, (done, total)| {
            let Event::Turn(turn) = event else {
                let why = format!("it holds {}, not a turn", event.name());
                audit.unreadable(&at, why);
                return Ok(());
            };
            audit.take_turn(&at, record, &turn)?;
            if audit.found.report.turns % 64 == 0 {
                progress(&Progress {
                    done,
                    total,
                    turns: audit.found.report.turns,
                    derived_events: audit.found.report.derived_events,
                });
            }
            Ok(())
        })?;
        self.compare_ends(read)?;
        self.finish()
    }

    fn compare_ends(&mut self, read: Place) -> Result<(), LogError> {
        let links = self.tasks.iter().map(|(id, task)| (id, &task.link));
        let links = links.collect();
        let chains = Chains { links, read };
        self.found.report.head = chains.head();
        let (log, reader) = (self.parts.log, self.reader.as_mut());
        chains.compare(log, reader, &self.catalog, self.specs, &mut self.found)
    }

    /// Hands every event of a topic of the chain over, and says up to where; damage is found and passed by.
    #[allow(clippy::type_complexity, reason = "one closure of one use")]
    fn each(
        &mut self,
        room: &str,
        take: &mut dyn FnMut(
            &mut Self,
            Place,
            &RecordRef<'_>,
            Event,
            (u64, u64),
        ) -> Result<(), LogError>,
    ) -> Result<Place, LogError> {
        let partition = Partition::new(&topics::fixed(&self.parts.project.name, room), 0);
        let range = match self.reader.range(&partition) {
            Ok(range) => range,
            Err(LogError::UnknownTopic(_)) => return Ok(Place::new(&partition, 0)),
            Err(error) => return Err(error),
        };
        let (mut batch, mut from) = (Batch::new(), 0);
        while from < range.end {
            batch.clear();
            let limit = FetchLimit::default();
            let reader = self.reader.as_mut();
            if let Some(hole) =
                holes::fetch(reader, &partition, from, range.end, limit, &mut batch)?
            {
                from = hole.next;
                self.found.hole(&partition, hole);
                continue;
            }
            let Some(last) = batch.offsets().last() else {
                break;
            };
            from = last + 1;
            for record in batch.iter().filter(|record| record.offset < range.end) {
                let at = Place::new(&partition, record.offset);
                match Event::decode(&self.catalog, record.value.unwrap_or_default()) {
                    Ok(event) => {
                        take(self, at, &record, event, (record.offset + 1, range.end))?;
                    }
                    Err(error) => self.unreadable(&at, error.to_string()),
                }
            }
        }
        Ok(Place::new(&partition, range.end))
    }

    fn unreadable(&mut self, at: &Place, why: String) {
        let (from, next) = (at.offset, at.offset + 1);
        self.found.hole(&at.partition, Hole { from, next, why });
    }

    fn take_turn(
        &mut self,
        at: &Place,
        record: &RecordRef<'_>,
        turn: &Turn,
    ) -> Result<(), LogError> {
        self.found.report.turns += 1;
        let id = TaskId(turn.task.clone());
        let computed = hash(turn);
        let sound = computed == turn.hash;
        let damaged = |why: String| Finding::TurnDamaged {
            task: turn.task.clone(),
            number: turn.number,
            at: at.clone(),
            why,
        };
        if !sound {
            let why = format!("its hash is {}, but its body has {computed}", turn.hash);
            self.found.find(damaged(why));
            if !self.tasks.contains_key(&id) && !self.specs.contains_key(&id) {
                // The name itself may be what is damaged.
                return Ok(());
            }
        } else if let Some(why) = chain::unlike(
            &self.parts.project.name,
            "turns",
            &turn.task,
            turn.number,
            &Event::Turn(turn.clone()),
            record,
        ) {
            self.found.find(damaged(why));
        }
        let mut task = self.tasks.remove(&id).unwrap_or_else(|| {
            Audited::new(
                &id.0,
                self.specs.get(&id),
                self.parts.project,
                self.parts.factory,
            )
        });
        let judged = self.judge(&id, &mut task, at, turn, sound);
        task.link.follow(turn, computed);
        if judged.is_ok() {
            self.snapshots_of(&mut task, turn, sound);
        }
        self.tasks.insert(id, task);
        judged
    }

    fn judge(
        &mut self,
        id: &TaskId,
        task: &mut Audited,
        at: &Place,
        turn: &Turn,
        sound: bool,
    ) -> Result<(), LogError> {
        let mut gap = false;
        if let Some((why, between)) = task.link.breaks(turn) {
            gap = between;
            self.found.find(Finding::ChainBroken {
                task: id.0.clone(),
                at: at.clone(),
                why,
            });
        }
        if gap {
            self.lose(id, task);
        } else if let Some(why) = task.link.contradicts(turn) {
            if sound {
                self.found.find(Finding::TurnDamaged {
                    task: id.0.clone(),
                    number: turn.number,
                    at: at.clone(),
                    why,
                });
            }
            self.lose(id, task);
            task.skipped(turn, false);
            return Ok(());
        }
        let read = self.read_inputs(task, turn, gap, sound)?;
        self.recompute(id, task, at, turn, sound, read)
    }

    /// The task's state and its outputs up to here are not known any more.
    fn lose(&mut self, id: &TaskId, task: &mut Audited) {
        task.stop();
        let outputs = task.spec.iter().flat_map(|spec| &spec.outputs);
        let topics: Vec<String> = outputs.map(|output| output.topic.clone()).collect();
        self.outputs.gap(id, &topics);
    }

    /// Reads a turn's runs again.
    fn read_inputs(
        &mut self,
        task: &mut Audited,
        turn: &Turn,
        gap: bool,
        sound: bool,
    ) -> Result<InputsRead, LogError> {
        let (mut whole, mut forgotten, mut beyond) = (true, false, None);
        self.gone = None;
        self.batches
            .resize_with(turn.runs.len().max(self.batches.len()), Batch::new);
        for (taken, batch) in turn.runs.iter().zip(&mut self.batches) {
            let (topic, index, first) = (&taken.topic, taken.partition, taken.first);
            let stood = task.link.position(topic, index, first);
            let from = if gap { taken.first } else { stood };
            let from = u64::try_from(from).unwrap_or(0);
            let reader = self.reader.as_mut();
            if let Some(mode) = task.foreign(topic, index) {
                let (found, in_place) = (&mut self.found, mode == Mode::InPlace);
                match self
                    .inputs
                    .read_foreign(reader, taken, (sound, in_place), batch, found)?
                {
                    Foreign::Whole => {}
                    Foreign::Damaged => whole = false,
                    Foreign::Forgotten(kept) => {
                        let of = Partition::new(topic, index as u32);
                        let stated = self.stated.get(topic).copied().filter(|_| in_place);
                        found.report.forgotten(&turn.task, &of, kept, stated);
                        forgotten = true;
                        if in_place {
                            let all = kept.is_none_or(|kept| taken.next as u64 <= kept);
                            self.gone = Some(of.clone()).filter(|_| all);
                            beyond = Some(of);
                        }
                    }
                }
                continue;
            }
            let read = self
                .inputs
                .read(reader, taken, from, sound, batch, &mut self.found);
            whole &= match read {
                Err(LogError::UnknownTopic(partition)) => {
                    let why = "the turn read it, and there is no such partition".to_owned();
                    let (first, next) = (taken.first as u64, taken.next as u64);
                    self.found.input(&partition, first, next, why);
                    false
                }
                read => read?,
            };
        }
        Ok(match (whole, beyond) {
            (false, _) => {
                task.stop();
                InputsRead::Damaged
            }
            (true, Some(of)) => {
                task.stop_beyond(of);
                InputsRead::Beyond
            }
            (true, None) if forgotten => InputsRead::Forgotten,
            (true, None) => InputsRead::Whole,
        })
    }

    fn recompute(
        &mut self,
        id: &TaskId,
        task: &mut Audited,
        at: &Place,
        turn: &Turn,
        sound: bool,
        read: InputsRead,
    ) -> Result<(), LogError> {
        let resolver = self.parts.resolver;
        let version = task.version();
        if let Some(door) = &mut task.door {
            for (taken, batch) in turn.runs.iter().zip(&self.batches) {
                door.take(taken, batch);
            }
        }
        let refolded = match &mut task.fold {
            Fold::Running(runner) => Audited::refold(runner, turn, &self.batches, resolver),
            Fold::Stopped => {
                let unknown = task.spec.as_ref().and_then(self.parts.factory).is_none();
                match &task.beyond {
                    None => task.skipped(turn, unknown),
                    // It was counted as its runs were read.
                    Some(_) if read == InputsRead::Beyond => {}
                    Some(of) => self.found.report.followed(&id.0, of),
                }
                return self.seal(id, turn, sound, || None);
            }
        };
        let refolded = match refolded {
            Ok(refolded) => refolded,
            Err(why) => {
                self.found.find(Finding::Stopped {
                    task: id.0.clone(),
                    turn: turn.number,
                    why,
                });
                task.stop();
                task.skipped(turn, false);
                return self.seal(id, turn, sound, || None);
            }
        };
        if sound && version.is_some_and(|version| version as i32 != turn.machine_version) {
            task.skipped(turn, true);
            return self.seal(id, turn, sound, || None);
        }
        let forgotten = read == InputsRead::Forgotten;
        match refolded.differs(turn, at, task.door.is_none() && !forgotten) {
            Some(_) if !sound => {
                // The damage lies in what it says of its runs or its outputs: nothing follows from it.
                self.lose(id, task);
                task.skipped(turn, false);
                return Ok(());
            }
            finding => finding
                .into_iter()
                .for_each(|finding| self.found.find(finding)),
        }
        if forgotten {
            return self.seal(id, turn, sound, || None);
        }
        if let Some(door) = &mut task.door {
            let answers = door.answers(resolver);
            return self.seal(id, turn, sound, || Some(std::rc::Rc::clone(&answers)));
        }
        let mut desk = Desk {
            reader: self.reader.as_mut(),
            catalog: &self.catalog,
            found: &mut self.found,
        };
        for (partition, batch) in refolded.outputs {
            let segment = Segment::Records { batch, row: 0 };
            self.outputs.expect(&mut desk, id, &partition, segment)?;
        }
        Ok(())
    }

    /// Expects a turn's outputs by the digests that it holds.
    fn seal(
        &mut self,
        id: &TaskId,
        turn: &Turn,
        sound: bool,
        answers: impl Fn() -> Option<std::rc::Rc<super::door::Answers>>,
    ) -> Result<(), LogError> {
        for written in &turn.outputs {
            let partition = Partition::new(&written.topic, written.partition as u32);
            if !sound {
                self.outputs.gap(id, std::slice::from_ref(&written.topic));
                continue;
            }
            let mut desk = Desk {
                reader: self.reader.as_mut(),
                catalog: &self.catalog,
                found: &mut self.found,
            };
            let written = written.clone();
            let signed = self.specs.get(id).is_some_and(|spec| {
                let shared = || {
                    topics::FIXED
                        .iter()
                        .map(|(room, ..)| topics::fixed(&spec.project, room))
                };
                reads(spec, Mode::Foreign)
                    || reads(spec, Mode::InPlace) && shared().any(|topic| topic == written.topic)
            });
            let segment = match signed {
                true => Segment::Signed {
                    met: Batch::new(),
                    written: written.clone(),
                },
                false => Segment::Sealed {
                    answers: answers(),
                    gone: self.gone.clone(),
                    written: written.clone(),
                },
            };
            match self.outputs.expect(&mut desk, id, &partition, segment) {
                Err(LogError::UnknownTopic(_)) => self.found.find(Finding::OutputMissing {
                    at: Place::new(&partition, 0),
                    task: id.0.clone(),
                    what: format!("a run of {} records", written.count),
                }),
                done => done?,
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Report, LogError> {
        let mut desk = Desk {
            reader: self.reader.as_mut(),
            catalog: &self.catalog,
            found: &mut self.found,
        };
        self.outputs.finish(&mut desk)?;
        self.look_for_the_young();
        self.snapshots_of_no_turn();
        self.cover();
        let mut partitions: Vec<Partition> = self.outputs.partitions().cloned().collect();
        partitions.extend(self.facts.iter().map(|(partition, _)| partition.clone()));
        let project = &self.parts.project.name;
        let reader = self.reader.as_mut();
        self.named
            .read(reader, &self.catalog, project, &partitions)?;
        self.named.check(self.parts.blobs, &mut self.found);
        self.found.report.tasks = self.tasks.len() as u64;
        for (id, task) in self.tasks {
            let (findings, unfolded) = task.finish(&id.0, self.parts.factory);
            findings
                .into_iter()
                .for_each(|finding| self.found.find(finding));
            self.found.report.unfolded.extend(unfolded);
        }
        Ok(self.found.finish())
    }

    /// What topics that are read in place have forgotten too soon. They forget by the wall clock, also while the log
    /// rests.
    fn look_for_the_young(&mut self) {
        let found = &mut self.found;
        let young = found.newest.too_soon(&self.stated, wall(), &found.report);
        young.into_iter().for_each(|finding| found.find(finding));
    }
}

/// Whether a task reads a topic of others in that way. What it copies says so, and what it writes to topics that many
/// tasks write to.
fn reads(spec: &TaskSpec, mode: Mode) -> bool {
    spec.inputs.iter().any(|input| input.mode == mode)
}
