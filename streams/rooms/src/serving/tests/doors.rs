//! Doors: questions from outside, answered in turns, asked again by an audit.

use mainstem_kernel::log::FetchLimit;
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::replay;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::Runner;
use mainstem_kernel::testkit::harness::MemoryBlobs;
use mainstem_kernel::turn::output_written;
use mainstem_kernel::{Answer, Log, Partition, Refused};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{ClockTicked, Event, PredictionMade, Role};
use mainstem_schemas::{Batch, Catalog, EventId, Millis};

use super::predictions::deployment;
use super::the_project;
use crate::harness::{Halves, events, preamble};
use crate::serving::{AskedRow, DoorMachine, NoInference, NotAnswered, Question};
use crate::topology::topics_of;

/// A log with a door's inputs.
struct World {
    log: MemoryLog,
    project: Project,
    catalog: Catalog,
}

fn at(topic: &str) -> Partition {
    Partition::new(&format!("p.{topic}"), 0)
}

impl World {
    fn new() -> Self {
        let (log, project) = (MemoryLog::new(), the_project());
        log.create_topics(&topics_of(&project)).unwrap();
        let (catalog, schemas, definitions) = preamble(&project);
        let world = World {
            log,
            project,
            catalog,
        };
        world.append("schemas", schemas);
        world.append("definitions", definitions);
        let time = Millis(5_000);
        world.tell("clock", ClockTicked { time, round: 1 }.into());
        world
    }

    fn append(&self, topic: &str, batch: Batch) {
        let mut writer = self.log.writer("test").unwrap();
        writer.append(&[(at(topic), batch)]).unwrap();
    }

    fn tell(&self, topic: &str, event: Event) {
        self.append(topic, events(&self.catalog, "m", [event]));
    }

    fn runner(&self) -> Runner {
        let spec = DoorMachine::spec(&self.project, "m", 0);
        Runner::new(
            spec.clone(),
            Box::new(Frame::new(DoorMachine::new("m"), spec)),
        )
    }

    /// A turn with a question, committed.
    fn ask(&self, runner: &mut Runner, question: &Question) -> Result<Vec<Answer>, Refused> {
        let (mut reader, mut told) = (self.log.reader().unwrap(), None);
        let commit = runner.turn_with(
            reader.as_mut(),
            &Halves,
            &MemoryBlobs::default(),
            FetchLimit::default(),
            &mut |task, known, out| told = Some(task.answer(known, &question.to_json(), out)),
        );
        let mut slot = self.log.slot(&runner.spec).unwrap();
        let commits: Vec<_> = commit.unwrap().into_iter().collect();
        slot.commit(&commits).unwrap();
        told.unwrap()
    }

    fn predictions(&self) -> Vec<PredictionMade> {
        let mut made = Vec::new();
        for index in 0..self.project.partitions {
            let partition = Partition::new("p.predictions.m", index);
            let mut reader = self.log.reader().unwrap();
            let take = |record: mainstem_schemas::RecordRef<'_>| {
                match Event::decode(&self.catalog, record.value.unwrap()).unwrap() {
                    Event::PredictionMade(event) => made.push(event),
                    other => panic!("{other:?}"),
                }
                Ok(())
            };
            mainstem_kernel::worker::for_each(reader.as_mut(), &partition, take).unwrap();
        }
        made
    }
}

fn row(number: u64, inputs: &[Option<f64>]) -> AskedRow {
    AskedRow {
        origin: EventId::row(9, 1, number),
        actor: Some("ada".into()),
        event_time: None,
        entity: format!("e{number}"),
        inputs: inputs.to_vec(),
    }
}

fn rows(rows: &[&[Option<f64>]]) -> Question {
    let rows = rows.iter().zip(0..).map(|(inputs, n)| row(n, inputs));
    Question {
        rows: rows.collect(),
    }
}

#[test]
fn a_door_answers_from_what_is_deployed_and_keeps_what_was_asked() {
    let world = World::new();
    let mut runner = world.runner();
    let one = rows(&[&[Some(1.0)]]);
    let refused = world.ask(&mut runner, &one).unwrap_err();
    let refused = refused.downcast_ref::<NotAnswered>().unwrap();
    assert_eq!(*refused, NotAnswered::Inference(NoInference::NoChampion));
    assert_eq!(runner.last().0, 1, "what it took is a turn all the same");

    world.tell(
        "deployments",
        deployment("1", Role::Champion, &["f"]).into(),
    );
    let answers = world
        .ask(&mut runner, &rows(&[&[Some(1.0)], &[Some(0.25)]]))
        .unwrap();
    let told: Vec<Event> = answers.into_iter().map(|answer| answer.event).collect();
    let mut made = world.predictions();
    made.sort_by_key(|made| made.origin);
    let events: Vec<Event> = made.iter().cloned().map(Event::from).collect();
    assert_eq!(events, told);
    let short = |made: &PredictionMade| (made.event_time.0, made.probability, made.inputs.clone());
    let want = [
        (5_000, 0.5, Some(vec![1.0])),
        (5_000, 0.125, Some(vec![0.25])),
    ];
    assert_eq!(made.iter().map(short).collect::<Vec<_>>(), want);

    // Nothing waits and nothing was answered: no turn.
    let before = runner.last();
    for (question, why) in [
        (
            rows(&[&[Some(1.0)], &[Some(1.0), Some(2.0)]]),
            "takes 1 inputs (f), not 2",
        ),
        (rows(&[&[Some(1.0)], &[None]]), "no number"),
    ] {
        let refused = world.ask(&mut runner, &question).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let mut far = one;
    far.rows[0].event_time = Some(Millis(5_000 + 86_400_001));
    let refused = world.ask(&mut runner, &far).unwrap_err().to_string();
    assert!(refused.contains("ahead"), "{refused}");
    assert_eq!((runner.last(), world.predictions().len()), (before, 2));
}

#[test]
fn a_door_is_rebuilt_without_its_questions_and_an_audit_asks_them_again() {
    let world = World::new();
    let mut runner = world.runner();
    let mut turns = Vec::new();
    for version in ["1", "2"] {
        world.tell(
            "deployments",
            deployment(version, Role::Champion, &["f", "g"]).into(),
        );
        world
            .ask(&mut runner, &rows(&[&[Some(1.0), Some(0.5)]]))
            .unwrap();
        let turn = world.log.last_turn(&runner.spec.id).unwrap().unwrap();
        assert_eq!(turn.outputs.len(), 1);
        turns.push(turn);
    }
    let mut again = world.runner();
    let mut reader = world.log.reader().unwrap();
    let made = world.predictions();
    assert_eq!(made.len(), 2);
    for (turn, made) in turns.iter().zip(&made) {
        let refolded = replay::refold_turn(&mut again, turn, reader.as_mut(), &Halves).unwrap();
        assert!(refolded.damage.is_empty() && refolded.outputs.is_empty());
        let question = Question::of(made).unwrap().to_json();
        let outputs = again.ask(&mut |task, known, out| {
            task.answer(known, &question, out).unwrap();
        });
        let written = outputs.unwrap();
        let written = written.iter().map(|(at, batch)| output_written(at, batch));
        assert_eq!(written.collect::<Vec<_>>(), turn.outputs);
    }
    assert_eq!(
        (again.last(), again.positions()),
        (runner.last(), runner.positions())
    );
    let stream = PredictionMade {
        inputs: None,
        actor: None,
        ..made[0].clone()
    };
    assert_eq!(Question::of(&stream), None);
}
