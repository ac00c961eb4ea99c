//! Which tasks a project implies: one per object and partition, with their inputs in rank order and their outputs.

use mainstem_kernel::task::{Input, Mode, Output, TaskId, TaskSpec};
use mainstem_kernel::{Partition, TopicSpec};
use mainstem_schemas::definition::{ForeignTopic, Model, Monitor, Project, View};
use mainstem_schemas::topics::{self, Partitions};

use Mode::{Held, Immediate};

/// Partitions of the control topics.
pub const CONTROL: u32 = 1;

/// Every topic that a project has.
#[must_use]
pub fn topics_of(project: &Project) -> Vec<TopicSpec> {
    let count = |partitions: Partitions| match partitions {
        Partitions::Broadcast => 1,
        Partitions::Control => CONTROL,
        Partitions::Data => project.partitions,
    };
    let name = &project.name;
    let fixed = topics::FIXED
        .iter()
        .map(|(room, _, n)| (topics::fixed(name, room), count(*n)));
    let chain = topics::CHAIN
        .iter()
        .map(|room| (topics::fixed(name, room), CONTROL));
    let per = |objects: Vec<&String>,
               rooms: &'static [(&'static str, topics::Class, Partitions)]| {
        let objects: Vec<String> = objects.into_iter().cloned().collect();
        objects.into_iter().flat_map(move |object| {
            rooms
                .iter()
                .map(move |(room, _, n)| (topics::of(name, room, &object), count(*n)))
                .collect::<Vec<_>>()
        })
    };
    // No door refuses what comes from a topic of others: that goes to quarantine. What is read in place is not copied.
    let absent: Vec<String> = project
        .sources
        .iter()
        .flat_map(|(source, of)| {
            let rejects = of.topic.as_ref().map(|_| "rejects");
            let rooms = [rejects, of.is_in_place().then_some("arrivals")];
            let rooms = rooms.into_iter().flatten();
            rooms.map(move |room| topics::of(name, room, source))
        })
        .collect();
    let absent = |topic: &String| absent.contains(topic);
    fixed
        .chain(chain)
        .chain(
            per(project.sources.keys().collect(), &topics::OF_SOURCE)
                .filter(|(name, _)| !absent(name)),
        )
        .chain(per(project.views.keys().collect(), &topics::OF_VIEW))
        .chain(per(project.models.keys().collect(), &topics::OF_MODEL))
        .map(|(name, partitions)| TopicSpec { name, partitions })
        .collect()
}

/// Every task that a project implies, in the order of their names.
#[must_use]
pub fn tasks_of(project: &Project) -> Vec<TaskSpec> {
    let mut tasks = Vec::new();
    for (name, topic) in copied(project) {
        tasks.extend((0..topic.partitions).map(|k| copy(project, name, topic, k)));
    }
    for (name, view) in &project.views {
        tasks.extend((0..project.partitions).map(|k| features(project, name, view, k)));
    }
    for (name, model) in &project.models {
        for k in 0..project.partitions {
            tasks.extend(of_partition(project, name, model, k));
        }
        tasks.extend(of_model(project, name));
    }
    for (name, monitor) in &project.monitors {
        tasks.extend((0..project.partitions).map(|k| profile_source(project, name, monitor, k)));
        tasks.push(self::monitor(project, name));
    }
    tasks.push(auditor(project));
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    tasks
}

/// The sources that are copied from topics of others.
fn copied(project: &Project) -> impl Iterator<Item = (&String, &ForeignTopic)> {
    let sources = project.sources.iter();
    let copied = sources.filter(|(_, source)| !source.is_in_place());
    copied.filter_map(|(name, source)| Some((name, source.topic.as_ref()?)))
}

/// Builds specs by the short names of topics.
struct Spec<'a> {
    project: &'a Project,
    id: String,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
}

impl<'a> Spec<'a> {
    fn new(project: &'a Project, room: &str, object: &str, index: u32) -> Self {
        Spec {
            project,
            id: format!("{room}/{object}/{index}"),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn read(mut self, topic: &str, index: u32, mode: Mode) -> Self {
        let partition = Partition::new(&topics::fixed(&self.project.name, topic), index);
        self.inputs.push(Input { partition, mode });
        self
    }

    /// The records of a source: of the topic that others write where that is read in place, else its arrivals.
    fn arrivals(mut self, source: &str, index: u32) -> Self {
        let declared = self.project.sources.get(source);
        let topic = declared.and_then(|declared| declared.topic.as_ref());
        match topic.filter(|topic| topic.in_place.is_some()) {
            None => self.read(&format!("arrivals.{source}"), index, Immediate),
            Some(topic) => {
                self.inputs.push(Input {
                    partition: Partition::new(&topic.name, index),
                    mode: Mode::InPlace,
                });
                self
            }
        }
    }

    fn write(mut self, topic: &str, partitions: u32) -> Self {
        self.outputs.push(Output {
            topic: topics::fixed(&self.project.name, topic),
            partitions,
        });
        self
    }

    /// The lead is the last input read.
    fn build(self) -> TaskSpec {
        TaskSpec {
            id: TaskId(self.id),
            project: self.project.name.clone(),
            lead: self.inputs.last().map(|input| input.partition.clone()),
            inputs: self.inputs,
            outputs: self.outputs,
        }
    }
}

fn copy(project: &Project, name: &str, topic: &ForeignTopic, k: u32) -> TaskSpec {
    let mut spec = Spec::new(project, "copy", name, k);
    spec.inputs.push(Input {
        partition: Partition::new(&topic.name, k),
        mode: Mode::Foreign,
    });
    spec.write(&format!("arrivals.{name}"), project.partitions)
        .write("quarantine", CONTROL)
        .build()
}

fn features(project: &Project, name: &str, view: &View, k: u32) -> TaskSpec {
    Spec::new(project, "features", name, k)
        .arrivals(&view.source, k)
        .write(&format!("features.{name}"), project.partitions)
        .write("quarantine", CONTROL)
        .build()
}

fn of_partition(project: &Project, name: &str, model: &Model, k: u32) -> [TaskSpec; 5] {
    let (features, predictions) = (
        format!("features.{}", model.view),
        format!("predictions.{name}"),
    );
    let labelled = format!("labelled.{name}");
    let source = project
        .views
        .get(&model.view)
        .map_or("", |view| view.source.as_str());
    [
        Spec::new(project, "predict", name, k)
            .read("deployments", 0, Immediate)
            .read(&features, k, Immediate)
            .write(&predictions, project.partitions)
            .write("quarantine", CONTROL)
            .build(),
        Spec::new(project, "join", name, k)
            .arrivals(source, k)
            .read(&predictions, k, Immediate)
            .write(&labelled, project.partitions)
            .write("quarantine", CONTROL)
            .build(),
        Spec::new(project, "profile_features", name, k)
            .read("deployments", 0, Held)
            .read(&features, k, Immediate)
            .write("profiles", CONTROL)
            .build(),
        Spec::new(project, "profile_predictions", name, k)
            .read("deployments", 0, Held)
            .read(&predictions, k, Immediate)
            .write("profiles", CONTROL)
            .build(),
        Spec::new(project, "performance", name, k)
            .read("deployments", 0, Held)
            .read(&labelled, k, Held)
            .write("performance", CONTROL)
            .build(),
    ]
}

fn of_model(project: &Project, name: &str) -> [TaskSpec; 5] {
    [
        Spec::new(project, "drift", name, 0)
            .read("deployments", 0, Held)
            .read("profiles", 0, Held)
            .read("requests.drift", 0, Held)
            .write("drift", CONTROL)
            .build(),
        Spec::new(project, "trigger", name, 0)
            .read("deployments", 0, Held)
            .read("performance", 0, Held)
            .read("drift", 0, Held)
            .read("models", 0, Held)
            .read("runs", 0, Held)
            .read("requests.trigger", 0, Held)
            .write("triggers", CONTROL)
            .build(),
        Spec::new(project, "trainer", name, 0)
            .read("triggers", 0, Held)
            .read("outcomes", 0, Held)
            .read("requests.trainer", 0, Held)
            .write("runs", CONTROL)
            .build(),
        Spec::new(project, "registry", name, 0)
            .read("deployments", 0, Held)
            .read("runs", 0, Held)
            .read("outcomes", 0, Held)
            .read("requests.registry", 0, Held)
            .write("models", CONTROL)
            .build(),
        Spec::new(project, "rollout", name, 0)
            .read("models", 0, Held)
            .read("performance", 0, Held)
            .read("triggers", 0, Held)
            .read("requests.rollout", 0, Held)
            .write("deployments", 1)
            .build(),
    ]
}

fn profile_source(project: &Project, name: &str, monitor: &Monitor, k: u32) -> TaskSpec {
    Spec::new(project, "profile_source", name, k)
        .arrivals(&monitor.source, k)
        .write("profiles", CONTROL)
        .write("quarantine", CONTROL)
        .build()
}

fn monitor(project: &Project, name: &str) -> TaskSpec {
    Spec::new(project, "monitor", name, 0)
        .read("profiles", 0, Held)
        .read("requests.drift", 0, Held)
        .write("drift", CONTROL)
        .build()
}

fn auditor(project: &Project) -> TaskSpec {
    let mut spec = Spec::new(project, "auditor", &project.name, 0);
    for (room, class, _) in topics::FIXED
        .iter()
        .filter(|(room, ..)| !KERNEL.contains(room))
    {
        if *class == topics::Class::Fact {
            spec = spec.read(room, 0, Immediate);
        }
    }
    // What is copied is derived, and what is read in place is not ours: turns say what was read of their topics.
    let published = project.sources.iter();
    let published = published.filter(|(_, source)| source.topic.is_none());
    for (source, _) in published {
        for index in 0..CONTROL {
            spec = spec.read(&format!("rejects.{source}"), index, Immediate);
        }
        // One task that reads what many share out would be the limit of them all.
        let unread = if is_read(project, source) {
            0
        } else {
            project.partitions
        };
        for index in 0..unread {
            spec = spec.read(&format!("arrivals.{source}"), index, Immediate);
        }
    }
    spec.build()
}

/// Whether tasks of a view or a monitor read all arrivals of a source: they are in the chain by their turns.
fn is_read(project: &Project, source: &str) -> bool {
    let mut views = project.views.values().map(|view| &view.source);
    let mut monitors = project.monitors.values().map(|monitor| &monitor.source);
    views.any(|name| name == source) || monitors.any(|name| name == source)
}

/// Topics that every task reads by itself.
const KERNEL: [&str; 3] = ["clock", "definitions", "schemas"];
