//! The kernel's crash harness on the data plane: cuts, aborts, unknown commits and crashes give the same history.

use std::sync::Arc;

use mainstem_kernel::rounds::Frame;
use mainstem_kernel::task::Task;
use mainstem_kernel::testkit::harness::{Case, Plan, Planted, history};
use mainstem_kernel::{Partition, TaskSpec};
use mainstem_schemas::events::{ClockTicked, Event, Role};
use mainstem_schemas::{Batch, Catalog, Millis};
use proptest::prelude::*;

use super::predictions::{deployment, rows};
use super::{joins, made, the_project};
use crate::features::FeatureMachine;
use crate::harness::{Halves, events, preamble, spec};
use crate::serving::{JoinMachine, PredictMachine};

fn case(id: &str, feed: impl Fn(&Catalog) -> Vec<(&'static str, Batch)>) -> Case {
    let project = the_project();
    let (catalog, schemas, definitions) = preamble(&project);
    let before = [
        ("schemas", schemas),
        ("definitions", definitions),
        ("clock", tick(&catalog, 0, 1)),
    ];
    let all = before.into_iter().chain(feed(&catalog));
    Case {
        spec: spec(&project, id),
        factory: Arc::new(machine),
        resolver: Arc::new(Halves),
        feed: all
            .map(|(topic, batch)| (Partition::new(&format!("p.{topic}"), 0), batch))
            .collect(),
        react: Arc::new(|_| Vec::new()),
    }
}

fn machine(spec: &TaskSpec) -> Option<Box<dyn Task>> {
    let room = spec.id.0.split('/').next()?;
    Some(match room {
        "features" => Box::new(Frame::new(FeatureMachine::new("p", "v"), spec.clone())),
        "predict" => Box::new(Frame::new(PredictMachine::new("p", "m"), spec.clone())),
        _ => Box::new(Frame::new(JoinMachine::new("p", "m"), spec.clone())),
    })
}

fn tick(catalog: &Catalog, second: i64, round: i64) -> Batch {
    events(
        catalog,
        "",
        [ClockTicked {
            time: Millis(1000 * second),
            round,
        }
        .into()],
    )
}

fn arrivals(catalog: &Catalog) -> Batch {
    let schema = catalog.id_of("s").unwrap();
    let mut batch = Batch::new();
    for row in 0..30u64 {
        let second = if row % 7 == 6 { 1 } else { row as i64 };
        let one = joins::label(
            schema,
            (row % 2) as u8,
            second,
            row,
            Some((row % 3 % 2) as f64),
        );
        batch.push_record(&one.get(0).unwrap());
    }
    batch.stamp(0, 0);
    batch
}

fn features() -> Case {
    case("features/v/0", |catalog| {
        vec![("arrivals.s", arrivals(catalog))]
    })
}

fn predict() -> Case {
    case("predict/m/0", |catalog| {
        let deploy = |version, role| {
            let event = Event::from(deployment(version, role, &["f"]));
            ("deployments", events(catalog, "m", [event]))
        };
        let batch = || {
            let values: Vec<_> = (0..20)
                .map(|row| (Some(f64::from(row)).filter(|_| row % 5 != 4), None))
                .collect();
            (
                "features.v",
                rows(catalog.id_of("features.v").unwrap(), &values),
            )
        };
        vec![
            deploy("1", Role::Champion),
            batch(),
            deploy("2", Role::Shadow),
            batch(),
        ]
    })
}

fn join() -> Case {
    case("join/m/0", |catalog| {
        let predictions = (0..20).map(|row| made((row % 2) as u8, row as i64, row).into());
        let predictions = events(catalog, "e", predictions);
        vec![
            ("arrivals.s", arrivals(catalog)),
            ("predictions.m", predictions.clone()),
            ("clock", tick(catalog, 12, 2)),
            ("arrivals.s", arrivals(catalog)),
            ("predictions.m", predictions),
            ("clock", tick(catalog, 1000, 3)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_crash_shows_in_the_history(choices in prop::collection::vec(any::<u8>(), 1..40)) {
        for case in [features(), predict(), join()] {
            let plain = history(&case, &Plan::new(vec![]), Planted::Nothing).unwrap();
            let crashed = history(&case, &Plan::new(choices.clone()), Planted::Nothing).unwrap();
            let out: usize = case.spec.outputs.iter().map(|o| plain[&Partition::new(&o.topic, 0)].len()).sum();
            prop_assert!(out > 0, "{} wrote nothing", case.spec.id);
            prop_assert_eq!(plain, crashed);
        }
    }
}
