//! A worker: a member of every room's group, and one transactional producer.
//!
//! A task is owned by the worker that the group of its room gave its lead partition. Each commit sends the offset of
//! the lead with the membership *of that assignment*: once the group has moved on, the broker refuses the commit, and
//! the zombie learns that it is one. A task without a lead has a slot, a partition of the topic `<project>.slots`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;

use mainstem_kernel::log::{
    Assignment, Commit, CommitError, LogError, Partition, TopicSpec, Worker,
};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, topics};

use crate::cluster::Cluster;
use crate::producer::{Sent, Transactions};
use crate::room::{Hands, Hung, Lead, Room};
use crate::turns::Turns;
use crate::watch::Watch;

/// Slots of tasks without a lead: more than a project has doors, and few enough for a group to hand out at once.
const SLOTS: u32 = 16;

/// A worker.
pub(crate) struct KafkaWorker {
    name: String,
    cluster: Arc<Cluster>,
    watch: Arc<Watch>,
    turns: Arc<Turns>,
    /// Away with the thread that commits, while one does.
    transactions: Option<Transactions>,
    under_way: Option<UnderWay>,
    /// By the group's name.
    rooms: BTreeMap<String, Room>,
    owned: BTreeMap<TaskId, Place>,
    /// A commit was refused, or its end is unknown: what is still ours is taken up anew.
    fenced: bool,
}

/// A commit that a thread of its own brings to its end.
struct UnderWay {
    thread: JoinHandle<(Transactions, Result<(), CommitError>)>,
    leads: BTreeMap<Place, Lead>,
}

/// A lead partition in a group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    group: String,
    lead: Partition,
}

fn transactions(cluster: &Arc<Cluster>, name: &str) -> Result<Transactions, LogError> {
    let id = format!("{}-worker-{name}", cluster.options.project);
    Transactions::open(cluster.clone(), &id, format!("worker {name}"))
}

impl KafkaWorker {
    pub(crate) fn join(
        cluster: Arc<Cluster>,
        watch: Arc<Watch>,
        turns: Arc<Turns>,
        name: &str,
    ) -> Result<Self, LogError> {
        Ok(KafkaWorker {
            transactions: Some(transactions(&cluster, name)?),
            under_way: None,
            name: name.to_owned(),
            cluster,
            watch,
            turns,
            rooms: BTreeMap::new(),
            owned: BTreeMap::new(),
            fenced: false,
        })
    }

    /// A producer that writes nothing any more is replaced. Names are unique among live workers: what fenced it is a
    /// transaction that took too long, and whatever it left open is aborted. What the offsets say then decides.
    fn renew(&mut self) -> Result<(), LogError> {
        let usable = |transactions: &Transactions| !transactions.is_spent();
        if self.under_way.is_none() && !self.transactions.as_ref().is_some_and(usable) {
            self.transactions = Some(transactions(&self.cluster, &self.name)?);
            self.rooms.values_mut().for_each(Room::doubt);
        }
        Ok(())
    }

    /// The tasks by the group that shares them out: one a room.
    fn groups(&self, tasks: &[TaskSpec]) -> Result<BTreeMap<String, Vec<Hung>>, LogError> {
        let mut groups: BTreeMap<String, Vec<Hung>> = BTreeMap::new();
        for task in tasks {
            let room = task.id.0.split('/').next().unwrap_or_default();
            let lead = match &task.lead {
                Some(lead) => lead.clone(),
                None => self.slot(task)?,
            };
            let group = format!("{}.{room}", task.project);
            let (id, project) = (task.id.clone(), task.project.clone());
            groups
                .entry(group)
                .or_default()
                .push(Hung { id, project, lead });
        }
        Ok(groups)
    }

    fn slot(&self, task: &TaskSpec) -> Result<Partition, LogError> {
        let name = topics::fixed(&task.project, "slots");
        let count = match self.cluster.count(&name)? {
            Some(count) => count,
            None => {
                let slots = TopicSpec {
                    name: name.clone(),
                    partitions: SLOTS,
                };
                self.cluster.create(&[slots])?;
                SLOTS
            }
        };
        Ok(Partition::new(
            &name,
            partition_of(task.id.0.as_bytes(), count),
        ))
    }

    /// Checks a commit, and adds to `leads` what the offset of its lead will say.
    fn plan(&self, commit: &Commit, leads: &mut BTreeMap<Place, Lead>) -> Result<(), CommitError> {
        let fenced = || CommitError::Fenced(commit.task.to_string());
        let place = self
            .owned
            .get(&commit.task)
            .filter(|_| !self.fenced)
            .ok_or_else(fenced)?;
        let room = self.rooms.get(&place.group).ok_or_else(fenced)?;
        if room.membership().is_none() {
            let why = format!("the workers of group {} are changing", place.group);
            return Err(CommitError::Aborted(why));
        }
        let known = room.lead(&place.lead).ok_or_else(fenced)?;
        let lead = leads.entry(place.clone()).or_insert_with(|| known.clone());
        let Some(turn) = &commit.turn else {
            return Ok(());
        };
        let expected = lead.expected(&commit.task);
        if turn.number != expected {
            let (task, number) = (&commit.task, turn.number);
            let why = format!("{task} (turn {number} where {expected} is next)");
            return Err(CommitError::Fenced(why));
        }
        lead.take(&commit.task, turn, &place.lead);
        Ok(())
    }
}

impl Worker for KafkaWorker {
    fn assign(&mut self, tasks: &[TaskSpec]) -> Result<Assignment, LogError> {
        self.renew()?;
        let groups = self.groups(tasks)?;
        self.rooms.retain(|group, _| groups.contains_key(group));
        let mut now = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for (group, tasks) in groups {
            if !self.rooms.contains_key(&group) {
                let room = Room::join(&self.cluster, &group, &self.name)?;
                self.rooms.insert(group.clone(), room);
            }
            let Some(room) = self.rooms.get_mut(&group) else {
                continue;
            };
            let hands = room.poll(&self.turns, &tasks)?;
            let places: BTreeMap<TaskId, Place> = tasks
                .into_iter()
                .map(|task| {
                    let (group, lead) = (group.clone(), task.lead);
                    (task.id, Place { group, lead })
                })
                .collect();
            let ours: Vec<(TaskId, bool)> = match hands {
                Hands::Joining => places.keys().map(|id| (id.clone(), true)).collect(),
                Hands::Ours(ours) => ours,
            };
            let joining = self
                .rooms
                .get(&group)
                .is_none_or(|room| room.membership().is_none());
            for (id, same) in ours {
                let Some(place) = places.get(&id) else {
                    continue;
                };
                let had = self.owned.get(&id) == Some(place);
                if joining && (!had || self.fenced) {
                    continue;
                }
                if had && same && !self.fenced {
                    kept.insert(id.clone());
                }
                now.insert(id, place.clone());
            }
        }
        let changed = |tasks: &BTreeMap<TaskId, Place>| {
            tasks
                .keys()
                .filter(|id| !kept.contains(id))
                .cloned()
                .collect()
        };
        let assignment = Assignment {
            gained: changed(&now),
            lost: changed(&self.owned),
        };
        (self.owned, self.fenced) = (now, false);
        Ok(assignment)
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        let (leads, sent) = self.prepare(commits)?;
        let mut transactions = self.transactions.take().ok_or_else(lost)?;
        let committed = transactions.commit(&records(commits), &sent);
        self.transactions = Some(transactions);
        self.ended(committed, leads)
    }

    fn begin(&mut self, commits: &Arc<Vec<Commit>>) -> Option<Result<(), CommitError>> {
        let (leads, sent) = match self.prepare(commits) {
            Ok(prepared) => prepared,
            Err(refused) => return Some(Err(refused)),
        };
        let Some(mut transactions) = self.transactions.take() else {
            return Some(Err(lost()));
        };
        let commits = Arc::clone(commits);
        let thread = std::thread::Builder::new().name("commit".into());
        let thread = thread.spawn(move || {
            let committed = transactions.commit(&records(&commits), &sent);
            (transactions, committed)
        });
        match thread {
            Ok(thread) => self.under_way = Some(UnderWay { thread, leads }),
            // The producer went with the thread that could not be had.
            Err(_) => return Some(self.ended(Err(lost()), leads)),
        }
        None
    }

    fn has_ended(&self) -> bool {
        let under_way = self.under_way.as_ref();
        under_way.is_none_or(|under_way| under_way.thread.is_finished())
    }

    fn end(&mut self) -> Result<(), CommitError> {
        let Some(UnderWay { thread, leads }) = self.under_way.take() else {
            return Ok(());
        };
        let committed = match thread.join() {
            Ok((transactions, committed)) => {
                self.transactions = Some(transactions);
                committed
            }
            Err(_) => Err(lost()),
        };
        self.ended(committed, leads)
    }
}

impl KafkaWorker {
    /// What a commit makes of the leads, and what is sent of it.
    fn prepare(
        &self,
        commits: &[Commit],
    ) -> Result<(BTreeMap<Place, Lead>, Vec<Sent>), CommitError> {
        let mut leads: BTreeMap<Place, Lead> = BTreeMap::new();
        for commit in commits {
            self.plan(commit, &mut leads)?;
        }
        let mut sent = Vec::new();
        for (group, room) in &self.rooms {
            let here = leads.iter().filter(|(place, _)| place.group == *group);
            sent.extend(room.sent(here.map(|(place, lead)| (&place.lead, lead)))?);
        }
        Ok((leads, sent))
    }

    /// Takes notice of how a commit ended.
    fn ended(
        &mut self,
        committed: Result<(), CommitError>,
        leads: BTreeMap<Place, Lead>,
    ) -> Result<(), CommitError> {
        match &committed {
            Ok(()) => {
                for (place, lead) in leads {
                    if let Some(room) = self.rooms.get_mut(&place.group) {
                        room.set_lead(place.lead, lead);
                    }
                }
                self.watch.ring();
            }
            Err(CommitError::Fenced(_) | CommitError::Unknown(_)) => {
                self.rooms.values_mut().for_each(Room::doubt);
                self.fenced = true;
            }
            Err(_) => {}
        }
        committed
    }
}

fn records(commits: &[Commit]) -> Vec<&(Partition, Batch)> {
    commits.iter().flat_map(|commit| &commit.outputs).collect()
}

/// The producer went down with the thread that had it.
fn lost() -> CommitError {
    CommitError::Unknown("the thread that committed has ended".into())
}
