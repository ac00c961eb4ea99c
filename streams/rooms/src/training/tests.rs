use mainstem_kernel::decider::testing::{Scene, example_project};
use mainstem_schemas::events::{
    BaselineBuilt, DatasetBuilt, EffectFailed, Parameter, RetrainClosed, RetrainReason,
    TrainingCompleted,
};
use mainstem_schemas::{Digest, Millis};

use super::*;
use crate::harness::{inputs_of, spec};

const DAY: i64 = 86_400_000;
const HOUR: i64 = DAY / 24;

fn scene() -> Scene<TrainerMachine> {
    let mut project = example_project();
    project.models.get_mut("m").unwrap().baseline = None;
    scene_of(project)
}

fn scene_of(project: mainstem_schemas::definition::Project) -> Scene<TrainerMachine> {
    let spec = spec(&project, "trainer/m/0");
    Scene::new(TrainerMachine::new("m"), project, spec)
}

fn requested() -> RetrainRequested {
    RetrainRequested {
        model: "m".into(),
        reason: RetrainReason::Initial,
        detail: String::new(),
        evidence: Vec::new(),
        as_of: Millis(DAY),
    }
}

fn expired(retrain: EventId) -> RetrainClosed {
    RetrainClosed {
        model: "m".into(),
        retrain,
        outcome: RetrainOutcome::Expired,
    }
}

fn built(effect: EventId, attempt: i32, rows: i64) -> DatasetBuilt {
    DatasetBuilt {
        effect,
        attempt,
        model: "m".into(),
        view: Digest::of(b"view"),
        features: ["x", "y"].map(str::to_owned).to_vec(),
        from: Millis(0),
        to: Millis(DAY),
        rows,
        content: Digest::of(b"content"),
        parquet: Digest::of(b"parquet"),
        profile: Digest::of(b"profile"),
        observed_positions: Vec::new(),
    }
}

fn completed(effect: EventId, attempt: i32) -> TrainingCompleted {
    let parameter = |name: &str, value| Parameter {
        name: name.into(),
        value,
    };
    TrainingCompleted {
        effect,
        attempt,
        model: "m".into(),
        onnx: Digest::of(b"onnx"),
        prediction_profile: Digest::of(b"predictions"),
        validation_rows: 200,
        validation_correct: 150,
        majority_correct: 110,
        parameters: vec![
            parameter("trees", 10.0),
            parameter("depth", 4.0),
            parameter("trees", 20.0),
        ],
        trainer: "forust 0.4".into(),
        observed_seconds: 1.5,
    }
}

fn failed(effect: EventId, attempt: i32, retriable: bool) -> EffectFailed {
    EffectFailed {
        effect,
        attempt,
        model: "m".into(),
        reason: "the store is full".into(),
        retriable,
    }
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

fn request(effect: &Effect) -> Request {
    serde_json::from_str(&effect.request).unwrap()
}

/// The one effect that is outstanding.
fn only(scene: &Scene<TrainerMachine>) -> Effect {
    let effects = scene.outstanding();
    assert_eq!(effects.len(), 1, "{effects:?}");
    effects[0].clone()
}

fn reason(events: &[Event]) -> &str {
    match events {
        [Event::RunFailed(failed)] => &failed.reason,
        other => panic!("{other:?}"),
    }
}

/// A run that waits for its data set.
fn begun(scene: &mut Scene<TrainerMachine>) -> (EventId, Effect) {
    let run = scene.given(input::TRIGGERS, requested());
    assert_eq!(names(&scene.events(Millis(DAY))), ["RunStarted"]);
    (run, only(scene))
}

#[test]
fn the_inputs_are_those_of_the_topology() {
    let topics = inputs_of(&example_project(), "trainer/m/0");
    assert_eq!(topics[input::TRIGGERS], "p.triggers");
    assert_eq!(topics[input::OUTCOMES], "p.outcomes");
}

#[test]
fn a_request_becomes_a_data_set_and_a_model() {
    let mut scene = scene();
    let (run, dataset) = begun(&mut scene);
    assert_eq!(dataset.attempt, 1);
    let Request::BuildDataset {
        as_of,
        rows,
        view,
        source,
        features,
        view_digest,
        ..
    } = request(&dataset)
    else {
        panic!("{dataset:?}")
    };
    assert_eq!((as_of, rows), (Millis(DAY), 1_000));
    assert_eq!((view.as_str(), source.as_str()), ("v", "s"));
    assert_eq!(features, ["x", "y"]);
    let view = &scene.project.views["v"];
    assert_eq!(view_digest, mainstem_schemas::definition::digest_of(view));

    scene.given(input::OUTCOMES, built(dataset.id, 1, 500));
    let events = scene.events(Millis(DAY));
    assert_eq!(names(&events), ["DatasetBound", "TrainingStarted"]);
    assert!(matches!(&events[0], Event::DatasetBound(b) if b.run == run && b.as_of == Millis(DAY)));
    let train = only(&scene);
    assert!(matches!(&events[1], Event::TrainingStarted(s) if s.effect == train.id));
    assert_ne!(train.id, dataset.id);
    let Request::Train {
        parquet,
        profile,
        validation,
        parameters,
        threshold,
        ..
    } = request(&train)
    else {
        panic!("{train:?}")
    };
    assert_eq!(
        (parquet, profile),
        (Digest::of(b"parquet"), Digest::of(b"profile"))
    );
    assert_eq!(
        (validation, threshold, parameters["depth"]),
        (0.2, 0.5, 4.0)
    );

    scene.given(input::OUTCOMES, completed(train.id, 1));
    let emitted = scene.tick(Millis(DAY));
    assert!(scene.outstanding().is_empty());
    for one in &emitted {
        assert_eq!(one.envelope.correlation, Some(run));
        assert_eq!(one.envelope.causation, Some(train.id));
    }
    let figures: Vec<(&str, f64)> = emitted
        .iter()
        .filter_map(|one| match &one.event {
            Event::ParamLogged(p) => Some((p.parameter.name.as_str(), p.parameter.value)),
            Event::MetricLogged(m) => Some((m.name.as_str(), m.value)),
            _ => None,
        })
        .collect();
    let wanted = [
        ("depth", 4.0),
        ("trees", 20.0),
        ("rows", 500.0),
        ("validation_rows", 200.0),
        ("validation_accuracy", 0.75),
        ("majority_accuracy", 0.55),
    ];
    assert_eq!(figures, wanted);
    let Event::RunFinished(finished) = &emitted.last().unwrap().event else {
        panic!("{emitted:?}")
    };
    assert_eq!((finished.run, finished.onnx), (run, Digest::of(b"onnx")));
    assert_eq!(finished.content, Digest::of(b"content"));
}

#[test]
fn repeated_outcomes_and_those_of_other_attempts_change_nothing() {
    let mut scene = scene();
    let (_, dataset) = begun(&mut scene);
    scene.given(input::OUTCOMES, failed(dataset.id, 1, true));
    scene.given(input::OUTCOMES, failed(dataset.id, 1, true));
    assert!(scene.events(Millis(DAY)).is_empty());
    assert_eq!(only(&scene).attempt, 2);
    for stale in [1, 3, -1] {
        scene.given(input::OUTCOMES, built(dataset.id, stale, 500));
        scene.given(input::OUTCOMES, failed(dataset.id, stale, false));
    }
    scene.given(input::OUTCOMES, completed(dataset.id, 2));
    assert!(scene.events(Millis(DAY)).is_empty());
    assert_eq!(only(&scene).attempt, 2);
    scene.given(input::OUTCOMES, built(dataset.id, 2, 500));
    scene.given(input::OUTCOMES, built(dataset.id, 2, 700));
    let events = scene.events(Millis(DAY));
    assert!(matches!(&events[0], Event::DatasetBound(bound) if bound.rows == 500));
    scene.given(input::OUTCOMES, built(dataset.id, 2, 700));
    assert!(scene.events(Millis(DAY)).is_empty());
    assert_eq!(only(&scene).attempt, 1);
}

#[test]
fn a_failure_that_may_pass_is_tried_as_often_as_the_definition_says() {
    let mut scene = scene();
    let (_, dataset) = begun(&mut scene);
    for attempt in [1, 2] {
        scene.given(input::OUTCOMES, failed(dataset.id, attempt, true));
        assert!(scene.events(Millis(DAY)).is_empty());
    }
    scene.given(input::OUTCOMES, failed(dataset.id, 3, true));
    let events = scene.events(Millis(DAY));
    assert_eq!(reason(&events), "the store is full (attempt 3 of 3)");
    assert!(scene.outstanding().is_empty());
}

#[test]
fn a_failure_that_will_not_pass_ends_the_run() {
    let mut scene = scene();
    let (_, dataset) = begun(&mut scene);
    scene.given(input::OUTCOMES, failed(dataset.id, 1, false));
    assert_eq!(reason(&scene.events(Millis(DAY))), "the store is full");
}

#[test]
fn an_effect_without_an_outcome_is_tried_again_after_its_time() {
    let mut scene = scene();
    let (_, dataset) = begun(&mut scene);
    scene.tick(Millis(DAY + HOUR - 1));
    assert_eq!(only(&scene).attempt, 1);
    scene.tick(Millis(DAY + HOUR));
    assert_eq!(only(&scene).attempt, 2);
    // A tick at the same time does not count again.
    scene.tick(Millis(DAY + HOUR));
    assert_eq!(only(&scene).attempt, 2);
    // An outcome on the tick of the expiry is in time.
    scene.given(input::OUTCOMES, built(dataset.id, 2, 500));
    let events = scene.events(Millis(DAY + 2 * HOUR));
    assert_eq!(names(&events), ["DatasetBound", "TrainingStarted"]);
    assert_eq!(only(&scene).attempt, 1);
    for hour in [3, 4] {
        assert!(scene.events(Millis(DAY + hour * HOUR)).is_empty());
    }
    let events = scene.events(Millis(DAY + 5 * HOUR));
    assert_eq!(
        reason(&events),
        "no outcome within 1h of log time (attempt 3 of 3)"
    );
}

#[test]
fn too_few_rows_end_the_run() {
    let mut scene = scene();
    let (_, dataset) = begun(&mut scene);
    scene.given(input::OUTCOMES, built(dataset.id, 1, 99));
    let events = scene.events(Millis(DAY));
    assert!(
        reason(&events).starts_with("99 labelled rows"),
        "{events:?}"
    );
    assert!(reason(&events).contains("training.min_rows is 100"));
}

#[test]
fn an_expired_retrain_abandons_its_run() {
    let mut scene = scene();
    let (run, dataset) = begun(&mut scene);
    // The outcome of the same tick comes too late.
    scene.given(input::OUTCOMES, built(dataset.id, 1, 500));
    scene.given(input::TRIGGERS, expired(run));
    assert_eq!(reason(&scene.events(Millis(DAY))), "its retrain expired");
    assert!(scene.outstanding().is_empty());
    scene.given(input::OUTCOMES, built(dataset.id, 1, 500));
    assert!(scene.events(Millis(DAY)).is_empty());
}

#[test]
fn a_retrain_that_expires_with_its_request_never_begins_in_either_order() {
    for first in [true, false] {
        let mut scene = scene();
        let id = EventId::row(1, 1, 1);
        if first {
            scene.given_as(input::TRIGGERS, id, requested());
        }
        scene.given(input::TRIGGERS, expired(id));
        if !first {
            scene.given_as(input::TRIGGERS, id, requested());
        }
        assert!(scene.events(Millis(DAY)).is_empty());
        assert!(scene.outstanding().is_empty());
    }
}

#[test]
fn a_new_retrain_begins_on_the_tick_on_which_the_old_one_expires() {
    let mut scene = scene();
    let (old, _) = begun(&mut scene);
    let new = scene.given(input::TRIGGERS, requested());
    scene.given(input::TRIGGERS, expired(old));
    assert_eq!(
        names(&scene.events(Millis(2 * DAY))),
        ["RunFailed", "RunStarted"]
    );
    assert!(matches!(request(&only(&scene)), Request::BuildDataset { run, .. } if run == new));
}

#[test]
fn the_definition_at_the_begin_of_a_run_holds_to_its_end() {
    let mut scene = scene();
    let (_, dataset) = begun(&mut scene);
    let model = scene.project.models.get_mut("m").unwrap();
    model.features = vec!["y".into()];
    scene.given(input::OUTCOMES, built(dataset.id, 1, 500));
    scene.tick(Millis(DAY));
    let Request::Train { features, .. } = request(&only(&scene)) else {
        panic!()
    };
    assert_eq!(features, ["x", "y"]);
}

#[test]
fn a_model_without_its_view_cannot_be_trained() {
    let mut scene = scene();
    scene.project.views.clear();
    scene.given(input::TRIGGERS, requested());
    let events = scene.events(Millis(DAY));
    assert_eq!(names(&events), ["RunStarted", "RunFailed"]);
    assert!(scene.outstanding().is_empty());
}

#[test]
fn the_baseline_is_built_once_beside_the_first_run() {
    let mut scene = scene_of(example_project());
    let run = scene.given(input::TRIGGERS, requested());
    scene.tick(Millis(DAY));
    let [baseline, dataset] = &scene.outstanding()[..] else {
        panic!()
    };
    assert!(matches!(request(baseline), Request::BuildBaseline { .. }));
    let outcome = |attempt| BaselineBuilt {
        effect: baseline.id,
        attempt,
        model: "m".into(),
        features: ["x", "y"].map(str::to_owned).to_vec(),
        onnx: Digest::of(b"baseline"),
    };
    scene.given(input::OUTCOMES, outcome(2));
    scene.tick(Millis(DAY));
    assert_eq!(scene.outstanding().len(), 2);
    scene.given(input::OUTCOMES, outcome(1));
    assert!(scene.events(Millis(DAY)).is_empty());
    assert_eq!(only(&scene).id, dataset.id);
    scene.given(input::TRIGGERS, expired(run));
    scene.given(input::TRIGGERS, requested());
    scene.tick(Millis(DAY));
    assert!(matches!(
        request(&only(&scene)),
        Request::BuildDataset { .. }
    ));
}

#[test]
fn a_baseline_that_fails_is_told_and_tried_beside_the_next_run() {
    let mut scene = scene_of(example_project());
    let run = scene.given(input::TRIGGERS, requested());
    scene.tick(Millis(DAY));
    let baseline = scene.outstanding()[0].clone();
    scene.given(input::OUTCOMES, failed(baseline.id, 1, false));
    let events = scene.events(Millis(DAY));
    assert!(
        matches!(&events[..], [Event::TagSet(tag)] if tag.run == run && tag.name == "baseline_failed"),
        "{events:?}"
    );
    assert_eq!(scene.outstanding().len(), 1);
    scene.given(input::TRIGGERS, expired(run));
    scene.given(input::TRIGGERS, requested());
    scene.tick(Millis(2 * DAY));
    let again = &scene.outstanding()[0];
    assert_eq!((again.id, again.attempt), (baseline.id, 2));
}
