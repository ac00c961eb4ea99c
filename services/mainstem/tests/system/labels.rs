//! Labels that come twice, otherwise, or for no prediction.

use std::collections::BTreeSet;

use mainstem_schemas::Millis;
use mainstem_schemas::events::Event;

use crate::place::Place;
use crate::shop::{BEGIN, DAY, HEADER, orders, project};

#[test]
fn labels_that_repeat_change_or_meet_no_prediction_are_told_apart() {
    let initial = "retrain:\n      initial: {at: 2024-01-13}\n";
    let file = project("stream", 2)
        .replace("retrain:\n", initial)
        .replace("horizon: 1d}", "horizon: 1d, timeout: 6d}");
    let place = Place::applied(&file);
    let processor = place.start(&["run", "processor"]);
    let publish = |file: &str, from: &str| {
        let paced = [
            "publish",
            "orders",
            file,
            "--pace",
            "4d",
            "--pace-from",
            from,
        ];
        place.run(&paced).with(0);
    };
    place.write("first.csv", HEADER.to_owned() + &orders(4, 0..16));
    publish("first.csv", "2024-01-13");

    // After the step that ends with day 19 one customer's row of that day comes again, another's with another label, and
    // that of a customer of whom nothing was predicted.
    let day = |day: i64| orders(4, day..day + 1);
    let (at, last) = (BEGIN + 19 * DAY, day(19));
    let row = |customer: &str| {
        last.lines()
            .find(|line| line.starts_with(customer))
            .unwrap()
    };
    let corrected = match row("c1") {
        row if row.contains(",true,") => row.replace(",true,", ",false,"),
        row => row.replace(",false,", ",true,"),
    };
    let extra = format!("{}\n{corrected}\nlonely,1,true,{at}\n", row("c0"));
    let days: String = (16..19).map(day).collect();
    place.write(
        "next.csv",
        [HEADER, &days, &last, &day(20), &extra, &orders(4, 21..32)].concat(),
    );
    publish("next.csv", "2024-01-21");
    drop(processor);

    let (mut joined, mut orphaned, mut corrections) = (BTreeSet::new(), Vec::new(), Vec::new());
    for (_, event) in place.events("labelled.pays") {
        match event {
            Event::PredictionLabelled(label) => {
                let name = (
                    label.entity,
                    label.target_time,
                    label.version,
                    format!("{:?}", label.role),
                );
                assert!(joined.insert(name.clone()), "{name:?} was joined twice");
            }
            Event::LabelOrphaned(label) => orphaned.push((label.entity, label.target_time)),
            Event::LabelCorrected(label) => corrections.push((label.entity, label.target_time)),
            other => panic!("{other:?}"),
        }
    }
    let at = Millis(at);
    let of = |customer: &str, at: Millis| {
        joined
            .iter()
            .filter(|(e, t, ..)| e == customer && *t == at)
            .count()
    };
    assert!(
        of("c0", at) >= 3 && of("c1", at) >= 3,
        "by the champion, the control and the forecast"
    );
    assert_eq!(
        orphaned
            .iter()
            .filter(|(entity, _)| entity == "lonely")
            .count(),
        1
    );
    assert_eq!(orphaned.iter().filter(|(_, time)| *time == at).count(), 1);
    // Every prediction that met the label is corrected.
    assert_eq!(corrections.len(), of("c1", at));
    assert!(
        corrections
            .iter()
            .all(|corrected| *corrected == ("c1".to_owned(), at))
    );
    // As rows of the view they came too late, and are kept as such.
    assert_eq!(place.quarantined().len(), 2);
    place.verify();
}
