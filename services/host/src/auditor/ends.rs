//! The ends of the chains. A chain whose last turns were taken away, with all that they wrote, is whole in itself; but the
//! log remembers every task's last turn by itself, beside the topic `turns`, and both must say the same.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_kernel::log::{FetchLimit, Log, LogError, Reader};
use mainstem_kernel::{Partition, TaskId, TaskSpec};
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Catalog, Digest};

use super::chain::Link;
use super::found::Found;
use super::holes;
use super::report::{Finding, Place};

/// Slots of a model's doors, whose names no definition says.
const DOORS: u32 = 16;

/// Context of the head's digest.
const HEAD: &str = "mainstem v1 audit head";

const REMEDY: &str = "restore the log from a copy that has all of its turns";

/// The chains as they were read.
pub(super) struct Chains<'a> {
    pub links: BTreeMap<&'a TaskId, &'a Link>,
    /// The topic `turns`, and up to where it was read.
    pub read: Place,
}

impl Chains<'_> {
    /// One digest over all chains' ends: number and hash of each task's last turn, in the order of the tasks' names.
    pub(super) fn head(&self) -> Digest {
        let mut bytes = Vec::new();
        for (task, link) in &self.links {
            let (number, [_, computed]) = link.end();
            bytes.extend((task.0.len() as u64).to_le_bytes());
            bytes.extend(task.0.as_bytes());
            bytes.extend(number.to_le_bytes());
            bytes.extend(computed.0);
        }
        Digest::derive(HEAD, &bytes)
    }

    /// Compares each chain's end with the last turn that the log remembers.
    pub(super) fn compare(
        &self,
        log: &dyn Log,
        reader: &mut dyn Reader,
        catalog: &Catalog,
        specs: &BTreeMap<TaskId, TaskSpec>,
        found: &mut Found,
    ) -> Result<(), LogError> {
        let mut last = Vec::new();
        for task in self.tasks(specs) {
            match log.last_turn(&task) {
                Ok(turn) => last.push((task, turn)),
                Err(LogError::Damaged(why)) => {
                    self.broken(found, &task, format!("damaged bytes in {why}"));
                }
                Err(error) => return Err(error),
            }
        }
        // What was committed since the topic was read is in it by now, for a turn is committed with its record.
        let late = self.late(reader, catalog)?;
        for (task, turn) in last {
            let (number, hashes) = self
                .links
                .get(&task)
                .map_or_else(Default::default, |l| l.end());
            let (last, hash) = turn.map_or_else(Default::default, |turn| (turn.number, turn.hash));
            let same = match last == number {
                true => number == 0 || hashes.contains(&hash),
                false => last > number && late.get(&(task.clone(), last)) == Some(&hash),
            };
            if !same {
                let chain = match number {
                    0 => "there is no turn of it".to_owned(),
                    _ => format!("its chain ends with turn {number} of hash {}", hashes[0]),
                };
                let log = match last {
                    0 => "the log remembers none".to_owned(),
                    _ => format!("the log remembers turn {last} of hash {hash} as its last"),
                };
                self.broken(found, &task, format!("{chain}, but {log}"));
            }
        }
        Ok(())
    }

    /// Every task that can have turns.
    fn tasks(&self, specs: &BTreeMap<TaskId, TaskSpec>) -> BTreeSet<TaskId> {
        let models = specs.keys().filter_map(|id| id.0.strip_prefix("registry/"));
        let models = models.filter_map(|rest| rest.split('/').next());
        let doors = models
            .flat_map(|model| (0..DOORS).map(move |slot| TaskId(format!("door/{model}/{slot}"))));
        let known = self.links.keys().copied().chain(specs.keys());
        doors.chain(known.cloned()).collect()
    }

    fn broken(&self, found: &mut Found, task: &TaskId, why: String) {
        found.find(Finding::ChainBroken {
            task: task.0.clone(),
            at: self.read.clone(),
            why: format!("{why}; {REMEDY}"),
        });
    }

    /// Turns that were written while the audit ran: the hash of each by task and number.
    fn late(
        &self,
        reader: &mut dyn Reader,
        catalog: &Catalog,
    ) -> Result<BTreeMap<(TaskId, i64), Digest>, LogError> {
        let mut late = BTreeMap::new();
        let partition: &Partition = &self.read.partition;
        let end = match reader.range(partition) {
            Ok(range) => range.end,
            Err(LogError::UnknownTopic(_)) => 0,
            Err(error) => return Err(error),
        };
        let (mut batch, mut from) = (Batch::new(), self.read.offset);
        while from < end {
            batch.clear();
            let limit = FetchLimit::default();
            let hole = holes::fetch(reader, partition, from, end, limit, &mut batch)?;
            let last = batch.offsets().last().map(|last| last + 1);
            let Some(next) = hole.map(|hole| hole.next).or(last) else {
                break;
            };
            from = next;
            for record in batch.iter() {
                let event = Event::decode(catalog, record.value.unwrap_or_default());
                if let Ok(Event::Turn(turn)) = event {
                    late.insert((TaskId(turn.task), turn.number), turn.hash);
                }
            }
        }
        Ok(late)
    }
}
