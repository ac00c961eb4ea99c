//! The partitions of a log beside what turns read and wrote of them.

use std::collections::BTreeSet;

use mainstem_kernel::Partition;
use mainstem_kernel::log::LogError;
use mainstem_schemas::topics::{self, Class};

use super::Audit;
use crate::auditor::report::Uncovered;

impl Audit<'_> {
    /// Notes the ends of all partitions, before the end of the turns: what a turn wrote is then below them.
    pub(super) fn survey(&mut self) -> Result<(), LogError> {
        let written: BTreeSet<&str> = self
            .specs
            .values()
            .flat_map(|spec| spec.outputs.iter().map(|output| output.topic.as_str()))
            .collect();
        for topic in self.parts.log.topics()? {
            let prefix = format!("{}.", self.parts.project.name);
            let Some(room) = topic.name.strip_prefix(&prefix) else {
                continue;
            };
            let class = match class_of(room) {
                _ if written.contains(topic.name.as_str()) => Class::Derived,
                class => class,
            };
            for index in 0..topic.partitions {
                let partition = Partition::new(&topic.name, index);
                match class {
                    Class::Derived => self.outputs.open(self.reader.as_mut(), &partition)?,
                    Class::Fact => {
                        let range = self.reader.range(&partition)?;
                        self.facts.push((partition, range));
                    }
                    Class::Chain => {}
                }
            }
        }
        Ok(())
    }

    /// Facts that are under the chain, and those that are not yet.
    pub(super) fn cover(&mut self) {
        for (partition, range) in &self.facts {
            let covered = self.inputs.covered(partition);
            self.found.report.facts += covered.count;
            let from = covered.next.max(range.start);
            if from < range.end {
                self.found.report.uncovered.push(Uncovered {
                    partition: partition.clone(),
                    from,
                    to: range.end,
                });
            }
        }
    }
}

/// What an audit does with a topic, by its name without the project.
fn class_of(room: &str) -> Class {
    let first = room.split('.').next().unwrap_or(room);
    if topics::CHAIN.contains(&room) {
        return Class::Chain;
    }
    let fixed = topics::FIXED.iter().filter(|(name, ..)| *name == room);
    let per = [&topics::OF_SOURCE[..], &topics::OF_VIEW, &topics::OF_MODEL];
    let per = per
        .into_iter()
        .flatten()
        .filter(|(name, ..)| *name == first);
    fixed
        .chain(per)
        .next()
        .map_or(Class::Fact, |(_, class, _)| *class)
}
