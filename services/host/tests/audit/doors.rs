//! A front door's answers are recomputed from the inputs that they carry.

use std::sync::Arc;

use mainstem_host::Store;
use mainstem_host::auditor::{Asked, Finding, Parts, explain, verify};
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::known::Resolved;
use mainstem_kernel::log::{Commit, FetchLimit};
use mainstem_kernel::runner::Runner;
use mainstem_kernel::task::TaskSpec;
use mainstem_kernel::turn::{hash, output_written};
use mainstem_kernel::{Need, Partition, Resolver};
use mainstem_rooms::machines::machine;
use mainstem_rooms::serving::{DoorMachine, Inference, inference};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{Event, PredictionMade, Turn};
use mainstem_schemas::{Batch, Catalog, Digest, Envelope, EventId, Millis};

use crate::whole::live;

const MODEL: &str = "price_up";
const DOOR: &str = "door/price_up/0";

/// A door that has taken its leading turn, and what its answers follow from.
struct Door<'a> {
    store: &'a Store,
    spec: TaskSpec,
    catalog: Catalog,
    last: Turn,
}

impl<'a> Door<'a> {
    fn open(store: &'a Store, resolver: &StoreResolver) -> Self {
        let spec = DoorMachine::spec(&store.project().unwrap(), MODEL, 0);
        let door = machine(&spec).unwrap();
        let mut runner = Runner::new(spec.clone(), door);
        let mut reader = store.log.reader().unwrap();
        let blobs = store.blobs.as_ref();
        let limit = FetchLimit::default();
        let commit = runner
            .turn(reader.as_mut(), resolver, blobs, limit)
            .unwrap()
            .unwrap();
        let last = commit.turn.clone().unwrap();
        let catalog = store.catalog("electricity").unwrap();
        let door = Door {
            store,
            spec,
            catalog,
            last,
        };
        door.commit(commit);
        door
    }

    fn commit(&self, commit: Commit) {
        let mut worker = self.store.log.worker("door").unwrap();
        worker.assign(std::slice::from_ref(&self.spec)).unwrap();
        worker.commit(&[commit]).unwrap();
    }

    /// One turn without any run, that writes an answer.
    fn answer(&mut self, made: PredictionMade) {
        let key = made.entity.clone();
        let mut value = Vec::new();
        Event::from(made).encode(&self.catalog, &mut value).unwrap();
        let mut batch = Batch::new();
        batch.push(Some(key.as_bytes()), Some(&value), []);
        let partition = Partition::new(&self.spec.outputs[0].topic, 0);
        let mut turn = Turn {
            number: self.last.number + 1,
            runs: Vec::new(),
            outputs: vec![output_written(&partition, &batch)],
            previous: self.last.hash,
            hash: Digest::default(),
            ..self.last.clone()
        };
        turn.hash = hash(&turn);
        let outputs = vec![(partition, batch), self.record(&turn)];
        let task = self.spec.id.clone();
        self.last = turn.clone();
        self.commit(Commit {
            task,
            turn: Some(turn),
            outputs,
        });
    }

    fn record(&self, turn: &Turn) -> (Partition, Batch) {
        let topic = "electricity.turns";
        let number = turn.number.to_le_bytes();
        let nothing = Digest::default();
        let envelope = Envelope {
            id: EventId::derived("electricity", topic, &nothing, DOOR.as_bytes(), &number),
            kind: "Turn".into(),
            source: DOOR.into(),
            ..Envelope::default()
        };
        let mut value = Vec::new();
        Event::from(turn.clone())
            .encode(&self.catalog, &mut value)
            .unwrap();
        let mut batch = Batch::new();
        envelope.push(&mut batch, Some(DOOR.as_bytes()), &value);
        (Partition::new(topic, 0), batch)
    }
}

#[test]
fn a_doors_answers_are_recomputed_from_their_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    live(&store, 5_200);
    let project = store.project().unwrap();
    let resolver = StoreResolver::new(store.blobs.clone());
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project: &project,
    };
    let mut deployed = Deployed::default();
    let mut reader = store.log.reader().unwrap();
    let catalog = store.catalog("electricity").unwrap();
    let topic = "electricity.deployments";
    mainstem_kernel::worker::read_events(reader.as_mut(), &catalog, topic, |event| {
        deployed.take(MODEL, &event);
    })
    .unwrap();
    let champion = deployed.champion().unwrap();
    let need = Need::Model {
        onnx: champion.onnx,
        inputs: champion.features.len(),
    };
    let Ok(Resolved::Model(model)) = resolver.resolve(&need) else {
        panic!("no model")
    };
    let asked = |n: u8| {
        let inputs = (0..champion.features.len())
            .map(|at| at as f64 / f64::from(n))
            .collect();
        let request = Inference {
            origin: EventId::named("http", &[n]),
            event_time: Millis(900_000_000_000),
            entity: "nsw".into(),
            inputs,
            actor: Some("ada".into()),
        };
        inference(
            &deployed,
            Arc::clone(&model).as_ref(),
            &project.models[MODEL],
            request,
        )
        .unwrap()
    };
    let before = verify(&parts, &mut |_| {}).unwrap();
    let mut door = Door::open(&store, &resolver);
    (1..=3).for_each(|n| door.answer(asked(n)));
    let report = verify(&parts, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.derived_events, before.derived_events + 3);
    assert_eq!((report.sealed_events, report.turns), (0, before.turns + 4));

    let id = EventId::named("http", &[2]).to_string();
    let explanation = explain(
        &parts,
        &Asked {
            id: &id,
            version: None,
            role: None,
        },
    )
    .unwrap();
    assert_eq!(explanation.steps[1].what, "inputs");
    assert_eq!(explanation.steps[1].fields.len(), champion.features.len());

    // The chain is whole and the answer is none that the model gives.
    let mut wrong = asked(4);
    let right = std::mem::replace(&mut wrong.probability, 0.999);
    door.answer(wrong);
    let report = verify(&parts, &mut |_| {}).unwrap();
    match &report.findings[..] {
        [
            Finding::OutputDiffers {
                field,
                expected,
                found,
                ..
            },
        ] => {
            let expected: f64 = expected.parse().unwrap();
            assert_eq!(
                (field.as_str(), expected, found.as_str()),
                ("probability", right, "0.999")
            );
        }
        _ => panic!("{report}"),
    }
}
