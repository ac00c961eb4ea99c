//! The adapter alone, with the smallest decider: every retrain asked for is requested once; an empty note is refused.

use std::collections::BTreeMap;

use mainstem_schemas::events::{Event, RetrainAsked, RetrainReason, RetrainRequested};
use mainstem_schemas::{EventId, Millis};

use super::testing::{Order, Scene, example_project};
use super::{Decider, Decision, Moment, Taken};
use crate::task::{Output, TaskId, TaskSpec};

struct Echo {
    settles: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} says nothing")]
struct Empty(EventId);

impl Decider for Echo {
    const VERSION: u32 = 1;
    type State = BTreeMap<EventId, String>;
    type Refusal = Empty;

    fn model(&self) -> &str {
        "m"
    }

    fn take(&self, state: &mut Self::State, _: &Moment<'_>, input: &Taken) {
        if let Event::RetrainAsked(asked) = &input.event {
            state.insert(input.id(), asked.note.clone());
        }
    }

    fn decide(&self, state: &Self::State, at: &Moment<'_>) -> Result<Vec<Decision>, Empty> {
        let Some((id, note)) = state.first_key_value() else {
            return Ok(Vec::new());
        };
        if note.is_empty() {
            return Err(Empty(*id));
        }
        let event = RetrainRequested {
            model: "m".into(),
            reason: RetrainReason::OnDemand,
            detail: note.clone(),
            evidence: vec![*id],
            as_of: at.now(),
        };
        Ok(vec![Decision::new(event, *id, "requested")])
    }

    fn evolve(&self, state: &mut Self::State, _: &Moment<'_>, _: EventId, event: &Event) {
        if let (Event::RetrainRequested(requested), true) = (event, self.settles) {
            state.retain(|id, _| !requested.evidence.contains(id));
        }
    }

    fn refuse(&self, state: &mut Self::State, refusal: &Empty) {
        state.remove(&refusal.0);
    }
}

fn scene(settles: bool) -> Scene<Echo> {
    let spec = TaskSpec {
        id: TaskId("echo/m/0".into()),
        project: "p".into(),
        lead: None,
        inputs: Vec::new(),
        outputs: vec![Output {
            topic: "p.triggers".into(),
            partitions: 1,
        }],
    };
    Scene::new(Echo { settles }, example_project(), spec)
}

fn asked(model: &str, note: &str) -> RetrainAsked {
    RetrainAsked {
        model: model.into(),
        note: note.into(),
    }
}

#[test]
fn decisions_follow_from_the_state_and_not_from_the_order_of_a_tick() {
    let run = |order| {
        let mut scene = scene(true).in_order(order);
        let first = scene.given(0, asked("m", "one"));
        scene.given(0, asked("m", ""));
        scene.given(0, asked("other", "not ours"));
        scene.given_bytes(0, b"no event");
        scene.given(0, asked("m", "two"));
        let emitted = scene.tick(Millis(7));
        assert!(scene.state().is_empty());
        let of_first = emitted
            .iter()
            .find(|e| e.envelope.causation == Some(first))
            .unwrap();
        assert_eq!(of_first.envelope.correlation, Some(first));
        assert_eq!(of_first.envelope.round, Some(1));
        assert_eq!(of_first.envelope.time, Millis(7));
        emitted
    };
    assert_eq!(run(Order::Given).len(), 2);
    assert_eq!(run(Order::Given), run(Order::Reversed));
}

#[test]
#[should_panic(expected = "did not settle")]
fn a_decision_that_settles_nothing_stops_the_task() {
    let mut scene = scene(false);
    scene.given(0, asked("m", "for ever"));
    scene.tick(Millis(7));
}
