//! The life cycle whole: trigger, trainer, registry and rollout at work on one log, with monitors and a trainer that are
//! made up. However runs are cut and whenever the worker is killed, the same happens, and in the same order.

mod world;

use mainstem_kernel::decider::testing::example_project;
use mainstem_schemas::Millis;
use mainstem_schemas::events::{Event, RetrainReason};
use proptest::prelude::*;

use world::{DAY, Story, World};

fn day_of(time: Millis) -> i64 {
    time.0 / DAY
}

#[test]
fn a_model_lives() {
    let mut world = World::new(&example_project(), Vec::new());
    world.live();
    let mut told = [Vec::new(), Vec::new()];
    for event in world.events("triggers") {
        match event {
            Event::RetrainRequested(e) => {
                told[0].push(format!("{} {:?}", day_of(e.as_of), e.reason));
            }
            Event::RetrainClosed(e) => told[0].push(format!("{:?}", e.outcome)),
            _ => {}
        }
    }
    for event in world.events("deployments") {
        told[1].push(match event {
            Event::DeploymentStarted(e) => {
                format!("{} {:?} {}", day_of(e.since), e.role, e.version)
            }
            Event::DeploymentEnded(e) => format!("{} end {}", day_of(e.since), e.version),
            Event::Promoted(e) => format!("{} promoted {}", day_of(e.since), e.version),
            Event::RolledBack(e) => format!("{} back to {}", day_of(e.since), e.version),
            other => panic!("{other:?}"),
        });
    }
    let retrains = [
        "1 Initial",
        "Promoted",
        "13 Performance",
        "Promoted",
        "32 Performance",
        "Rejected",
        "39 Performance",
        "Rejected",
    ];
    let deployments = [
        "1 Baseline baseline",
        "1 Champion v1",
        "1 promoted v1",
        "1 Control v1",
        "13 Shadow v2",
        "20 promoted v2",
        "32 Shadow v3",
        "39 end v3",
        "39 Shadow v4",
        "45 Champion v1",
        "45 back to v1",
        "46 end v4",
    ];
    assert_eq!(told[0], retrains);
    assert_eq!(told[1], deployments);
    let asked = |event: &Event| matches!(event, Event::RetrainSuppressed(e) if e.reason == RetrainReason::OnDemand);
    assert!(
        world.events("triggers").iter().any(asked),
        "a retrain was open on day 34"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_runs_are_cut_and_whenever_the_worker_dies_the_same_happens(
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        static UNDISTURBED: std::sync::OnceLock<Story> = std::sync::OnceLock::new();
        let undisturbed =
            UNDISTURBED.get_or_init(|| World::new(&example_project(), Vec::new()).live());
        let story = World::new(&example_project(), choices).live();
        prop_assert!(&story == undisturbed);
    }
}
