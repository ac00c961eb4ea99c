//! What people ask for.

use super::*;

#[test]
fn a_shadow_is_promoted_before_its_time_when_asked() {
    let mut scene = challenged();
    let asked = scene.given(input::REQUESTS, promotion("v2"));
    let emitted = scene.tick(day(3));
    let [one] = &emitted[..] else {
        panic!("{emitted:?}")
    };
    assert_eq!(one.envelope.causation, Some(asked));
    let Event::Promoted(promoted) = &one.event else {
        panic!("{one:?}")
    };
    assert_eq!(promoted.previous.as_deref(), Some("v1"));
    assert_eq!(promoted.retrain, Some(run(2)), "its retrain ends with it");
    assert_eq!(promoted.detail, "asked for: it looks good");
    assert!(scene.events(day(9)).is_empty());
}

#[test]
fn a_version_that_is_not_deployed_is_started_when_asked() {
    let mut scene = challenged();
    scene.given(input::REQUESTS, promotion("v2"));
    scene.tick(day(3));
    scene.given(input::REQUESTS, promotion("v1"));
    let events = scene.events(day(4));
    assert_eq!(
        told(&events),
        ["Champion v1", "promoted v1 over Some(\"v2\")"]
    );
    assert!(matches!(&events[1], Event::Promoted(p) if p.retrain.is_none()));
}

#[test]
fn a_promotion_asked_on_the_tick_of_the_registration_finds_it_in_either_order() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = scene().in_order(order);
        scene.given(input::REQUESTS, promotion("v1"));
        approve(&mut scene, 1);
        let events = scene.events(day(1));
        let wanted = ["Champion v1", "promoted v1 over None", "Control v1"];
        assert_eq!(told(&events), wanted, "{order:?}");
        assert!(scene.events(day(2)).is_empty());
    }
}

#[test]
fn what_is_asked_and_cannot_be_is_refused_by_name_and_the_next_is_answered() {
    let mut scene = challenged();
    approve(&mut scene, 3);
    scene.given(input::MODELS, rejected(3));
    for version in ["baseline", "v3", "v1"] {
        scene.given(input::REQUESTS, promotion(version));
    }
    scene.given(input::REQUESTS, rollback());
    scene.given(input::REQUESTS, promotion("v2"));
    let events = scene.events(day(3));
    assert_eq!(told(&events), ["promoted v2 over Some(\"v1\")"]);
    assert!(scene.state().asked.is_empty());
}

#[test]
fn a_version_that_is_not_known_yet_is_waited_for_a_minute() {
    let mut scene = challenged();
    scene.given(input::REQUESTS, promotion("v3"));
    scene.given(input::REQUESTS, promotion("v4"));
    assert!(scene.events(day(3)).is_empty());
    scene.given(input::MODELS, registered(3));
    let events = scene.events(Millis(3 * DAY + 59_000));
    assert_eq!(
        told(&events),
        ["Champion v3", "promoted v3 over Some(\"v1\")"]
    );
    assert_eq!(scene.state().asked.len(), 1);
    scene.tick(Millis(3 * DAY + 60_000));
    assert!(scene.state().asked.is_empty());
}

#[test]
fn a_roll_back_brings_the_champion_before_and_then_the_one_before_it() {
    let mut scene = challenged();
    for (n, at) in [(2, 3), (3, 4)] {
        scene.given(input::MODELS, registered(n));
        scene.given(input::REQUESTS, promotion(&format!("v{n}")));
        scene.tick(day(at));
    }
    let asked = scene.given(input::REQUESTS, rollback());
    let emitted = scene.tick(day(5));
    assert!(emitted.iter().all(|e| e.envelope.causation == Some(asked)));
    let events: Vec<Event> = emitted.into_iter().map(|e| e.event).collect();
    assert_eq!(told(&events), ["Champion v2", "back to v2 from v3"]);
    scene.given(input::REQUESTS, rollback());
    let events = scene.events(day(6));
    assert_eq!(told(&events), ["Champion v1", "back to v1 from v2"]);
    scene.given(input::REQUESTS, rollback());
    assert!(scene.events(day(7)).is_empty(), "nothing before v1");
    assert_eq!(scene.state().deployed.champion().unwrap().version, "v1");
}

#[test]
fn the_champion_changes_once_at_a_time() {
    let mut scene = challenged();
    scene.given(input::MODELS, registered(3));
    scene.given(input::REQUESTS, promotion("v3"));
    scene.given(input::REQUESTS, rollback());
    assert_eq!(scene.events(day(3)).len(), 2);
    assert!(
        scene.events(day(3)).is_empty(),
        "another round of the same time"
    );
    let events = scene.events(Millis(3 * DAY + 1));
    assert_eq!(told(&events), ["Champion v1", "back to v1 from v3"]);
}

#[test]
fn refusals_say_what_to_do() {
    let refusal = Refusal::UnknownVersion {
        asked: run(1),
        version: "v9".into(),
    };
    assert_eq!(refusal.asked(), run(1));
    assert_eq!(
        refusal.to_string(),
        "there is no version v9; ask for one that is registered"
    );
}
