//! One room's group, as a worker sees it: the lead partitions that are its own, and the heads of the chains on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstem_kernel::TaskId;
use mainstem_kernel::log::{LogError, Partition};
use mainstem_schemas::events::Turn;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::Cluster;
use crate::error::Act;
use crate::heads::{Head, Heads};
use crate::membership::{Member, Share};
use crate::producer::Sent;
use crate::turns::Turns;

/// A task and where it hangs.
#[derive(Clone)]
pub(crate) struct Hung {
    pub(crate) id: TaskId,
    pub(crate) project: String,
    pub(crate) lead: Partition,
}

/// A room's group.
pub(crate) struct Room {
    group: String,
    cluster: Arc<Cluster>,
    member: Member,
    share: Share,
    /// The assignment that `leads` were read under.
    read: u64,
    leads: BTreeMap<Partition, Lead>,
}

/// What the group's committed offset of a lead partition says, or will say.
#[derive(Clone, Default)]
pub(crate) struct Lead {
    pub(crate) offset: i64,
    heads: Heads,
    /// Whether the heads list every task; else the chain is asked.
    listed: bool,
}

/// What became of the tasks of a room.
pub(crate) enum Hands {
    /// The group rebalances: nothing changes hands yet; commits are held back, not lost.
    Joining,
    /// Ours, and whether the task was ours all the time, nobody else having committed.
    Ours(Vec<(TaskId, bool)>),
}

impl Room {
    pub(crate) fn join(
        cluster: &Arc<Cluster>,
        group: &str,
        worker: &str,
    ) -> Result<Self, LogError> {
        Ok(Room {
            group: group.to_owned(),
            cluster: cluster.clone(),
            member: Member::join(cluster, group, worker)?,
            share: Share::default(),
            read: 0,
            leads: BTreeMap::new(),
        })
    }

    /// Keeps the membership alive, and says which of the room's tasks are ours.
    pub(crate) fn poll(&mut self, turns: &Turns, tasks: &[Hung]) -> Result<Hands, LogError> {
        let topics = tasks
            .iter()
            .map(|task| task.lead.topic.to_string())
            .collect();
        self.share = self.member.poll(&topics)?;
        if self.share.metadata.is_none() {
            return Ok(Hands::Joining);
        }
        let before = self.leads.clone();
        if self.read != self.share.epoch {
            self.leads.clear();
        }
        self.read_leads(turns, tasks)?;
        self.read = self.share.epoch;
        let head = |leads: &BTreeMap<Partition, Lead>, task: &Hung| {
            leads
                .get(&task.lead)
                .map(|lead| lead.heads.get(&task.id).cloned())
        };
        let ours = tasks
            .iter()
            .filter(|task| self.share.partitions.contains(&task.lead));
        let kept = |task: &Hung| {
            let was = head(&before, task);
            (
                task.id.clone(),
                was.is_some() && was == head(&self.leads, task),
            )
        };
        Ok(Hands::Ours(ours.map(kept).collect()))
    }

    /// Reads what the committed offsets say of our partitions, where that is not known yet.
    fn read_leads(&mut self, turns: &Turns, tasks: &[Hung]) -> Result<(), LogError> {
        let ours = |lead: &Partition| {
            self.share.partitions.contains(lead) && !self.leads.contains_key(lead)
        };
        let unknown: BTreeSet<Partition> = tasks
            .iter()
            .map(|task| &task.lead)
            .filter(|lead| ours(lead))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            for (partition, offset, metadata) in self.member.committed(&unknown)? {
                let heads = offset.and_then(|_| Heads::decode(&metadata));
                let lead = Lead {
                    offset: offset.unwrap_or(0),
                    listed: heads.is_some(),
                    heads: heads.unwrap_or_default(),
                };
                self.leads.insert(partition, lead);
            }
        }
        // Offsets expire when a group is empty for a week, and lists have an end: then the chain itself is asked.
        for task in tasks {
            if let Some(lead) = self.leads.get_mut(&task.lead)
                && !lead.listed
                && lead.heads.get(&task.id).is_none()
                && let Some(turn) = turns.last(&task.project, &task.id)?
            {
                lead.heads.set(&task.id, Head::of(&turn));
            }
        }
        Ok(())
    }

    /// Reads the offsets again on the next poll: what they say decides.
    pub(crate) fn doubt(&mut self) {
        self.read = 0;
    }

    /// The membership that may commit; nothing while the group rebalances.
    pub(crate) fn membership(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        self.share.metadata.clone()
    }

    pub(crate) fn lead(&self, lead: &Partition) -> Option<&Lead> {
        self.leads.get(lead)
    }

    pub(crate) fn set_lead(&mut self, partition: Partition, lead: Lead) {
        self.leads.insert(partition, lead);
    }

    /// The offsets of some leads with their heads, as this member sends them.
    pub(crate) fn sent<'a>(
        &self,
        leads: impl Iterator<Item = (&'a Partition, &'a Lead)>,
    ) -> Result<Option<Sent>, LogError> {
        let mut offsets = TopicPartitionList::new();
        for (partition, lead) in leads {
            let mut element = offsets.add_partition(&partition.topic, partition.index as i32);
            element
                .set_offset(Offset::Offset(lead.offset))
                .map_err(|why| self.cluster.explain(Act::join(&self.group), &why))?;
            element.set_metadata(lead.heads.encode());
        }
        let member = self.membership().filter(|_| offsets.count() > 0);
        let group = self.group.clone();
        Ok(member.map(|member| Sent {
            group,
            offsets,
            member,
        }))
    }
}

impl Lead {
    /// Number of the turn that follows.
    pub(crate) fn expected(&self, task: &TaskId) -> i64 {
        self.heads.get(task).map_or(1, |head| head.number + 1)
    }

    /// Takes a turn: its head, and how far it has read the lead.
    pub(crate) fn take(&mut self, task: &TaskId, turn: &Turn, lead: &Partition) {
        self.heads.set(task, Head::of(turn));
        let here = turn
            .positions
            .iter()
            .find(|at| at.topic == *lead.topic && at.partition == lead.index as i32);
        if let Some(at) = here {
            self.offset = at.next;
        }
    }
}
