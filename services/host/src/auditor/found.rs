//! What was found so far: the same damage, met by several tasks, is told once.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_kernel::Partition;

use super::beyond::Newest;
use super::holes::Hole;
use super::report::{Finding, Place, Report};

/// Places that are remembered: beyond them damage is everywhere, and telling it once or twice is the same.
const REMEMBERED: usize = 10_000;

/// The report in the making.
#[derive(Default)]
pub(super) struct Found {
    pub report: Report,
    /// How young what is gone was.
    pub newest: Newest,
    /// Unreadable records by partition and the offset after them.
    holes: BTreeMap<(Partition, u64), Hole>,
    /// Damaged blocks by partition and first offset: the offset after them, and how it shows.
    inputs: BTreeMap<(Partition, u64), (u64, String)>,
    /// Derived records that differ.
    outputs: BTreeSet<Place>,
}

impl Found {
    pub(super) fn find(&mut self, finding: Finding) {
        let place = match &finding {
            Finding::OutputDiffers { at, .. }
            | Finding::OutputMissing { at, .. }
            | Finding::OutputExtra { at, .. } => Some(at),
            _ => None,
        };
        if let Some(at) = place.filter(|_| self.outputs.len() < REMEMBERED) {
            self.outputs.insert(at.clone());
        }
        self.report.find(finding);
    }

    /// Records that cannot be read: the longest of the holes that end at one place.
    pub(super) fn hole(&mut self, partition: &Partition, hole: Hole) {
        if self.holes.len() >= REMEMBERED {
            return;
        }
        let known = self
            .holes
            .entry((partition.clone(), hole.next))
            .or_insert_with(|| hole.clone());
        if hole.from < known.from {
            *known = hole;
        }
    }

    /// A block of input that is not what a turn read.
    pub(super) fn input(&mut self, partition: &Partition, offset: u64, next: u64, why: String) {
        if self.inputs.len() < REMEMBERED {
            let place = (partition.clone(), offset);
            self.inputs.entry(place).or_insert((next, why));
        }
    }

    /// The report. Damage to a derived record that was placed to its field is not told again by its readers.
    pub(super) fn finish(mut self) -> Report {
        for ((partition, next), hole) in std::mem::take(&mut self.holes) {
            self.report.find(Finding::Unreadable {
                at: Place::new(&partition, hole.from),
                next,
                why: hole.why,
            });
        }
        for ((partition, offset), (next, why)) in std::mem::take(&mut self.inputs) {
            let block = Place::new(&partition, offset)..Place::new(&partition, next);
            if self.outputs.range(block).next().is_none() {
                self.report.find(Finding::InputDamaged {
                    partition,
                    offset,
                    next,
                    why,
                });
            }
        }
        self.report
    }
}
