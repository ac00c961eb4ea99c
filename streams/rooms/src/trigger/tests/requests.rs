//! Retrains that are asked for, and how each comes to its end.

use super::*;

#[test]
fn the_first_training_is_requested_once_when_its_time_has_come() {
    let mut scene = scene_of(example_project());
    assert!(scene.events(Millis(DAY - 1)).is_empty());
    let emitted = scene.tick(Millis(DAY + 5));
    let [first] = emitted.as_slice() else {
        panic!("{emitted:?}")
    };
    let Event::RetrainRequested(requested) = &first.event else {
        panic!("{first:?}")
    };
    assert_eq!(requested.reason, RetrainReason::Initial);
    assert_eq!(requested.as_of, Millis(DAY + 5));
    assert_eq!(first.envelope.correlation, Some(first.envelope.id));
    assert!(scene.events(day(2)).is_empty());
    let failed = RunFailed {
        model: "m".into(),
        run: first.envelope.id,
        reason: "too few rows".into(),
    };
    scene.given(input::RUNS, failed);
    assert_eq!(
        closed(&scene.events(day(2))).outcome,
        RetrainOutcome::Failed
    );
    assert!(scene.events(day(20)).is_empty());
}

#[test]
fn a_request_is_not_held_back_by_the_cool_down_but_by_an_open_retrain() {
    let mut scene = serving();
    let first = scene.given(input::REQUESTS, asked());
    let second = scene.given(input::REQUESTS, asked());
    let events = scene.events(day(2));
    let [
        Event::RetrainRequested(requested),
        Event::RetrainSuppressed(suppressed),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(requested.evidence, [first]);
    assert_eq!(suppressed.evidence, [second]);
    assert_eq!(suppressed.reason, RetrainReason::OnDemand);
    assert!(suppressed.because.contains("is open"), "{suppressed:?}");
    assert!(scene.events(day(3)).is_empty());
}

#[test]
fn a_retrain_that_ends_on_the_tick_of_a_request_gives_way_to_it_in_either_order() {
    let run = |order| {
        let mut scene = scene().in_order(order);
        scene.given(input::REQUESTS, asked());
        let retrain = scene.tick(day(1))[0].envelope.id;
        scene.given(input::DEPLOYMENTS, promoted("v1", Some(retrain), day(2)));
        scene.given(input::REQUESTS, asked());
        let names: Vec<&str> = scene.events(day(2)).iter().map(Event::name).collect();
        assert_eq!(names, ["RetrainClosed", "RetrainRequested"]);
    };
    run(Order::Given);
    run(Order::Reversed);
}

#[test]
fn every_end_of_a_retrain_closes_it_and_those_of_others_do_not() {
    type End = (usize, fn(EventId) -> Event, RetrainOutcome);
    let ends: [End; 4] = [
        (
            input::DEPLOYMENTS,
            |id| promoted("v1", Some(id), day(2)).into(),
            RetrainOutcome::Promoted,
        ),
        (
            input::DEPLOYMENTS,
            |id| {
                DeploymentEnded {
                    model: "m".into(),
                    version: "v2".into(),
                    role: Role::Shadow,
                    retrain: Some(id),
                    reason: String::new(),
                    since: day(2),
                }
                .into()
            },
            RetrainOutcome::Rejected,
        ),
        (
            input::MODELS,
            |id| {
                ModelRejected {
                    model: "m".into(),
                    version: "v2".into(),
                    retrain: id,
                    detail: String::new(),
                }
                .into()
            },
            RetrainOutcome::Rejected,
        ),
        (
            input::RUNS,
            |id| {
                RunFailed {
                    model: "m".into(),
                    run: id,
                    reason: String::new(),
                }
                .into()
            },
            RetrainOutcome::Failed,
        ),
    ];
    for (input, end, outcome) in ends {
        let mut scene = scene();
        scene.given(input::REQUESTS, asked());
        let retrain = scene.tick(day(1))[0].envelope.id;
        scene.given(input, end(EventId::row(1, 1, 1)));
        assert!(scene.events(day(2)).is_empty());
        scene.given(input, end(retrain));
        scene.given(input, end(retrain));
        let events = scene.events(day(2));
        assert_eq!(
            (closed(&events).retrain, closed(&events).outcome),
            (retrain, outcome)
        );
        scene.given(input, end(retrain));
        assert!(scene.events(day(3)).is_empty());
    }
}

#[test]
fn an_old_open_retrain_expires() {
    let mut scene = scene();
    scene.given(input::REQUESTS, asked());
    let retrain = scene.tick(day(1))[0].envelope.id;
    assert!(scene.events(Millis(31 * DAY - 1)).is_empty());
    let events = scene.events(day(31));
    assert_eq!(closed(&events).retrain, retrain);
    assert_eq!(closed(&events).outcome, RetrainOutcome::Expired);
}

/// A client that sets no headers: each request is known by its bytes, and the same bytes are the same request.
#[test]
fn requests_without_ids_are_told_apart_and_each_is_answered_once() {
    let mut catalog = mainstem_schemas::Catalog::default();
    catalog.register_contracts().unwrap();
    let mut scene = scene();
    let mut answers = Vec::new();
    for (at, note) in [(1, "tariff"), (2, "tariff"), (3, "meter")] {
        let asked = RetrainAsked {
            model: "m".into(),
            note: note.into(),
        };
        let mut value = Vec::new();
        Event::from(asked).encode(&catalog, &mut value).unwrap();
        scene.given_bytes(input::REQUESTS, &value);
        for answer in scene.tick(day(at)) {
            let id = answer.envelope.id;
            let rejected = RunFailed {
                model: "m".into(),
                run: id,
                reason: String::new(),
            };
            scene.given(input::RUNS, rejected);
            assert_eq!(scene.events(day(at)).len(), 1, "it is closed");
            answers.push((at, id));
        }
    }
    assert_eq!([answers[0].0, answers[1].0], [1, 3]);
    assert_ne!(answers[0].1, answers[1].1);
    assert_eq!(answers.len(), 2);
}
