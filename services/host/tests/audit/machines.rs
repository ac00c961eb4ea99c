//! Every machine of the product in the crash harness: the tasks of a recorded life are fed again what their turns took,
//! in that order, and however their runs are cut, whatever is aborted and whenever the worker dies, they write the bytes
//! again that are in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use mainstem_kernel::replay::{read_run, refold_turn};
use mainstem_kernel::runner::Runner;
use mainstem_kernel::testkit::harness::{
    Case, DoorCase, Fed, Plan, Planted, door_history, history,
};
use mainstem_kernel::turn::output_root;
use mainstem_kernel::{Partition, Reader, Resolver, TaskSpec};
use mainstem_rooms::machines::{KINDS, machine};
use mainstem_rooms::serving::Question;
use mainstem_schemas::envelope::attribute;
use mainstem_schemas::events::{Event, Turn};
use mainstem_schemas::{Batch, Catalog, EventId};
use proptest::prelude::*;

use crate::life::{Keeping, Life, life};

/// Records by partition, as frames.
type Written = BTreeMap<Partition, Vec<Vec<u8>>>;

/// A task of the life, to be lived again.
struct Again {
    spec: TaskSpec,
    case: Either,
    /// What it wrote.
    written: Written,
}

/// What a task is fed.
enum Either {
    Task(Case),
    Door(DoorCase),
}

/// The tasks of the life, each to be lived again.
fn all() -> &'static [Again] {
    static ALL: LazyLock<Vec<Again>> = LazyLock::new(|| {
        let life = life();
        let record = Record {
            life,
            catalog: life.store.catalog("shop").unwrap(),
            resolver: Arc::new(Keeping::new(life)),
            turns: life.turns(),
        };
        let mut written = record.written();
        let again = |spec: &TaskSpec| Again {
            spec: spec.clone(),
            case: record.case(spec),
            written: written.remove(&spec.id.0).unwrap_or_default(),
        };
        life.tasks.iter().map(again).collect()
    });
    &ALL
}

/// What is known of the life.
struct Record {
    life: &'static Life,
    catalog: Catalog,
    resolver: Arc<dyn Resolver>,
    turns: Vec<Turn>,
}

impl Record {
    fn turns_of<'a>(&'a self, spec: &'a TaskSpec) -> impl Iterator<Item = &'a Turn> {
        self.turns.iter().filter(|turn| turn.task == spec.id.0)
    }

    /// What each task wrote: turns stand in the order of their commits, and so do the records of every partition.
    fn written(&self) -> BTreeMap<String, Written> {
        let mut reader = self.life.store.log.reader().unwrap();
        let mut places: BTreeMap<Partition, u64> = BTreeMap::new();
        let mut written: BTreeMap<String, Written> = BTreeMap::new();
        for turn in &self.turns {
            for output in &turn.outputs {
                let partition = Partition::new(&output.topic, output.partition as u32);
                let place = places.entry(partition.clone()).or_default();
                let count = output.count as usize;
                let batch = self.life.read(reader.as_mut(), &partition, *place, count);
                assert_eq!(
                    output_root(&batch),
                    output.root,
                    "turn {} of {}",
                    turn.number,
                    turn.task
                );
                *place += batch.len() as u64;
                let mine = written.entry(turn.task.clone()).or_default();
                mine.entry(partition).or_default().extend(frames(&batch));
            }
        }
        for (partition, next) in places {
            assert_eq!(reader.range(&partition).unwrap().end, next, "{partition}");
        }
        written
    }

    fn case(&self, spec: &TaskSpec) -> Either {
        let mut reader = self.life.store.log.reader().unwrap();
        if spec.lead.is_none() {
            return Either::Door(self.door(spec, reader.as_mut()));
        }
        let asked = self.asked(spec, reader.as_mut());
        let (mut feed, mut outcomes) = (Vec::new(), BTreeMap::new());
        for run in self.turns_of(spec).flat_map(|turn| &turn.runs) {
            let partition = Partition::new(&run.topic, run.partition as u32);
            let batch = read_run(reader.as_mut(), &partition, run).unwrap();
            let (mut others, mut outcome) = (Batch::new(), Batch::new());
            for record in batch.iter() {
                let (effect, attempt) = ("ce_causationid", "ce_attempt");
                let effect = attribute(&record, effect).zip(attribute(&record, attempt));
                // The outcomes of its own effects come by themselves.
                let Some(effect) = effect.filter(|effect| asked.contains(effect)) else {
                    others.push_record(&record);
                    continue;
                };
                outcome.clear();
                outcome.push_record(&record);
                outcomes.insert(effect, (partition.clone(), outcome.clone()));
            }
            if !others.is_empty() {
                feed.push((partition, others));
            }
        }
        assert_eq!(
            asked.len(),
            outcomes.len(),
            "{}: every effect came about",
            spec.id
        );
        Either::Task(Case {
            spec: spec.clone(),
            factory: Arc::new(machine),
            resolver: Arc::clone(&self.resolver),
            feed,
            react: Arc::new(move |effect| {
                let outcome = outcomes.get(&(effect.id, effect.attempt));
                outcome.cloned().into_iter().collect()
            }),
        })
    }

    /// Effects that a task asked for in its life.
    fn asked(&self, spec: &TaskSpec, reader: &mut dyn Reader) -> BTreeSet<(EventId, u32)> {
        let mut runner = Runner::new(spec.clone(), machine(spec).unwrap());
        let mut asked = BTreeSet::new();
        for turn in self.turns_of(spec) {
            refold_turn(&mut runner, turn, reader, self.resolver.as_ref()).unwrap();
            let effects = runner.task().outstanding();
            asked.extend(effects.iter().map(|effect| (effect.id, effect.attempt)));
        }
        asked
    }

    /// A door's answers say what it was asked.
    fn door(&self, spec: &TaskSpec, reader: &mut dyn Reader) -> DoorCase {
        let (mut feed, mut places) = (Vec::new(), BTreeMap::new());
        for turn in self.turns_of(spec) {
            for run in &turn.runs {
                let partition = Partition::new(&run.topic, run.partition as u32);
                let batch = read_run(reader, &partition, run).unwrap();
                feed.push(Fed::Records(partition, batch));
            }
            let questions = turn.outputs.iter().flat_map(|output| {
                let at = (output.topic.clone(), output.partition);
                let place = places.entry(at).or_insert(0);
                let answers = self.answers(spec, output.partition, *place, output.count as usize);
                *place += answers.len();
                answers
            });
            let questions: Vec<String> = questions.collect();
            if !questions.is_empty() {
                feed.push(Fed::Questions(questions));
            }
        }
        DoorCase {
            spec: spec.clone(),
            factory: Arc::new(machine),
            resolver: Arc::clone(&self.resolver),
            feed,
        }
    }

    /// Some of the questions that the predictions of a partition answer, in order.
    fn answers(&self, spec: &TaskSpec, index: i32, skip: usize, count: usize) -> Vec<String> {
        let partition = Partition::new(&spec.outputs[0].topic, index as u32);
        let mut reader = self.life.store.log.reader().unwrap();
        let end = reader.range(&partition).unwrap().end as usize;
        let batch = self.life.read(reader.as_mut(), &partition, 0, end);
        let question = |record: mainstem_schemas::RecordRef<'_>| match Event::decode(
            &self.catalog,
            record.value.unwrap(),
        )
        .unwrap()
        {
            Event::PredictionMade(made) => Question::of(&made),
            other => panic!("{other:?}"),
        };
        let questions = batch.iter().filter_map(question);
        let questions = questions.skip(skip).take(count);
        questions.map(|question| question.to_json()).collect()
    }
}

fn frames(batch: &Batch) -> impl Iterator<Item = Vec<u8>> {
    (0..batch.len()).map(|row| batch.frames(row..row + 1).to_vec())
}

impl Again {
    fn kind(&self) -> &str {
        self.spec.id.0.split('/').next().unwrap()
    }

    /// What it writes under a plan.
    fn writes(&self, choices: Vec<u8>, planted: Planted) -> Result<Written, String> {
        let plan = Plan::new(choices);
        let mut history = match &self.case {
            Either::Task(case) => history(case, &plan, planted),
            Either::Door(case) => door_history(case, &plan, planted),
        }?;
        let outputs = &self.spec.outputs;
        history.retain(|partition, frames| {
            let mine = outputs
                .iter()
                .any(|output| output.topic == *partition.topic);
            mine && !frames.is_empty()
        });
        Ok(history)
    }

    /// Whether it writes what it wrote in its life.
    fn is_the_same(&self, choices: Vec<u8>, planted: Planted) -> Result<(), String> {
        let written = self.writes(choices, planted);
        let written = written.map_err(|why| format!("{}: {why}", self.spec.id))?;
        for (partition, mine) in &self.written {
            let again = written.get(partition).map_or(&[][..], Vec::as_slice);
            if again != mine {
                let at = mine.iter().zip(again).take_while(|(a, b)| a == b).count();
                let (was, is) = (mine.len(), again.len());
                return Err(format!(
                    "{}: {partition} differs at {at}, {is} for {was} records",
                    self.spec.id
                ));
            }
        }
        let more = written
            .keys()
            .find(|partition| !self.written.contains_key(partition));
        more.map_or(Ok(()), |more| {
            Err(format!("{}: {more} was not written to", self.spec.id))
        })
    }
}

/// Asks something of all tasks at once, and gathers what is wrong.
fn of_all(ask: impl Fn(usize, &Again) -> Result<(), String> + Sync) -> Vec<String> {
    std::thread::scope(|scope| {
        let ask = &ask;
        let asked = all().iter().enumerate();
        let asked: Vec<_> = asked
            .map(|(n, again)| scope.spawn(move || ask(n, again)))
            .collect();
        let told = asked.into_iter().map(|asked| asked.join().unwrap());
        told.filter_map(Result::err).collect()
    })
}

#[test]
fn every_kind_of_machine_lives_again() {
    let lived: BTreeSet<&str> = all().iter().map(Again::kind).collect();
    let kinds: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(lived, kinds, "a new kind needs a part in the life");
    // The auditor has no outputs: that it takes its turns is all that there is.
    let silent = all().iter().filter(|again| again.written.is_empty());
    assert_eq!(silent.map(Again::kind).collect::<Vec<_>>(), ["auditor"]);
    assert_eq!(
        of_all(|_, again| again.is_the_same(vec![], Planted::Nothing)),
        [""; 0]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_crash_shows_in_what_any_machine_writes(choices in prop::collection::vec(any::<u8>(), 8..60)) {
        let wrong = of_all(|n, again| {
            // Each has troubles of its own.
            let choices = choices.iter().map(|choice| choice.wrapping_mul(2 * n as u8 + 1)).collect();
            again.is_the_same(choices, Planted::Nothing)
        });
        prop_assert_eq!(wrong, [""; 0]);
    }
}

/// The kinds of machines in which a plan shows a defect of the shell.
fn found_in(planted: Planted, plans: &[Vec<u8>]) -> BTreeSet<&'static str> {
    let mut kinds = BTreeMap::new();
    all()
        .iter()
        .for_each(|again| _ = kinds.insert(again.kind(), again));
    let shows = |again: &Again| {
        let mut plans = plans.iter();
        plans.any(|plan| again.is_the_same(plan.clone(), planted).is_err())
    };
    std::thread::scope(|scope| {
        let shows = &shows;
        let asked = kinds
            .into_iter()
            .map(|(kind, again)| (kind, scope.spawn(move || shows(again))));
        let asked: Vec<_> = asked.collect();
        let found = asked
            .into_iter()
            .filter_map(|(kind, shown)| shown.join().unwrap().then_some(kind));
        found.collect()
    })
}

#[test]
fn a_planted_defect_is_found_in_every_kind_that_it_can_hurt() {
    // A room that writes a dozen events has few commits that can go wrong.
    let plan = |seed: u8| {
        let choice = |n: u8| seed.wrapping_mul(31) ^ n.wrapping_mul(235);
        (1..40 + seed).map(choice).collect::<Vec<u8>>()
    };
    let plans: Vec<Vec<u8>> = (1..=16).map(plan).collect();
    let mut every: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(found_in(Planted::AdvanceOnAbort, &plans), every);
    // What writes nothing publishes nothing too early.
    every.remove("auditor");
    assert_eq!(found_in(Planted::PublishBeforeCommit, &plans), every);
    // The others gather until a tick: between two ticks their results hardly depend on the order.
    let found = found_in(Planted::RunOutOfOrder, &[vec![]]);
    assert!(
        found.is_superset(&BTreeSet::from(["copy", "door", "features", "predict"])),
        "{found:?}"
    );
}
