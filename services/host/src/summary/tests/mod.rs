//! A scripted history is read back from a local log and told in all three ways.

mod history;
mod page;

use mainstem_schemas::events::*;
use mainstem_schemas::{EventId, Span};

use self::history::{History, MODEL, id, row};
use super::{Audit, Forecast, Gate, Summary};

const NOTES: [&str; 1] = ["Prices below 0 were <cut> & \"filled\" before these data came."];

fn read(history: &mut History) -> Summary {
    history.write();
    Summary::read(&history.store, &history.project, MODEL).unwrap()
}

/// Five days of hours: a first model after a day, which is right two times in three; from row 72 on a better one.
fn scripted() -> History {
    let mut history = History::new();
    for at in 0..121 {
        history.bytes("arrivals.prices", row(at));
    }
    history
        .bytes("rejects.prices", row(3))
        .bytes("turns", row(24));
    for at in 24..120 {
        let label = i32::from(at % 5 < 2);
        let wrong = 1 - label;
        let first = if at % 3 == 0 { wrong } else { label };
        let champion = if at < 72 {
            ("v1", first)
        } else {
            ("v4", if at % 8 == 0 { wrong } else { label })
        };
        history.forecast(at, (champion.0, Role::Champion), champion.1, label);
        history.forecast(at, ("v1", Role::Control), first, label);
        history.forecast(
            at,
            ("baseline", Role::Baseline),
            i32::from((at + 4) % 5 < 2),
            label,
        );
        if (48..60).contains(&at) {
            history.forecast(at, ("v2", Role::Shadow), wrong, label);
        }
    }
    life_cycle(&mut history);
    for (window, statistic) in (0i32..).zip([0.05, 0.3, 0.4, 0.02]) {
        let end = 36 + 12 * i64::from(window);
        history.drift("price", DriftMethod::Psi, end, statistic);
        history.drift("price", DriftMethod::Ks, end, statistic / 2.0);
        history.drift(
            "class",
            DriftMethod::Ks,
            end + if window > 1 { 12 } else { 0 },
            0.01,
        );
    }
    history.detected("alarm", "price", DriftMethod::Psi, 60);
    history.detected("again", "price", DriftMethod::Psi, 96);
    history
}

fn life_cycle(history: &mut History) {
    history.requested("first", 24, RetrainReason::Initial, &[]);
    history.registered("v1", "first", 24);
    history.approved("v1", 24);
    history.promoted("v1", None, "first", 24);
    history.closed("first", 24, RetrainOutcome::Promoted);
    history.requested("second", 48, RetrainReason::Performance, &["behind"]);
    history.registered("v2", "second", 48);
    history.approved("v2", 48);
    history.shadow("v2", 48);
    history.ended(
        "v2",
        "second",
        60,
        "v2 had 0 of 12 labelled rows right, the champion v1 8",
    );
    history.rejected(
        "v2",
        "second",
        60,
        "v2 had 0 of 12 labelled rows right, the champion v1 8",
    );
    history.closed("second", 60, RetrainOutcome::Rejected);
    let suppressed = RetrainSuppressed {
        model: MODEL.into(),
        reason: RetrainReason::Drift,
        because: "a retrain is open".into(),
        evidence: Vec::new(),
    };
    history.put("triggers", "", row(48), suppressed);
    history.requested("third", 60, RetrainReason::Drift, &["alarm", "gone"]);
    history.registered("v3", "third", 60);
    history.rejected(
        "v3",
        "third",
        60,
        "40 of 80 validation rows right, the majority class 50",
    );
    history.closed("third", 60, RetrainOutcome::Rejected);
    history.requested("fourth", 61, RetrainReason::Drift, &["alarm"]);
    history.registered("v4", "fourth", 61);
    history.approved("v4", 61);
    history.shadow("v4", 61);
    history.promoted("v4", Some("v1"), "fourth", 72);
    history.requested("fifth", 80, RetrainReason::OnDemand, &[]);
    let failed = RunFailed {
        model: MODEL.into(),
        run: id("fifth"),
        reason: "too few rows".into(),
    };
    history.put("runs", "", row(80), failed);
    history.requested("sixth", 90, RetrainReason::Drift, &[]);
    history.closed("sixth", 110, RetrainOutcome::Expired);
    history.requested("seventh", 118, RetrainReason::Drift, &[]);
    let measured = PerformanceMeasured {
        model: MODEL.into(),
        version: "v1".into(),
        role: Role::Champion,
        partition: 0,
        window_start: row(36),
        window_end: row(48),
        revision: 0,
        rows: 12,
        true_positives: 4,
        false_positives: 2,
        true_negatives: 4,
        false_negatives: 2,
        accuracy: Some(8.0 / 12.0),
        precision: None,
        recall: None,
        f1: None,
        paired: Vec::new(),
        uncounted: 0,
    };
    history.put("performance", "behind", row(48), measured);
}

#[test]
fn json_and_terminal() {
    let mut summary = read(&mut scripted());
    summary.set_audit(Audit {
        turns: 40,
        derived_events: 600,
        mismatches: 0,
    });
    summary.set_seconds(12.34);
    insta::assert_snapshot!(
        "json",
        serde_json::to_string_pretty(&summary.to_json()).unwrap()
    );
    insta::assert_snapshot!("terminal", summary.terminal(&NOTES));
    let widest = summary
        .terminal(&NOTES)
        .lines()
        .map(|line| line.chars().count())
        .max();
    assert!(widest.unwrap() <= 100, "{widest:?}");
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_beside_it() {
    let mut summary = read(&mut scripted());
    summary.set_audit(Audit {
        turns: 40,
        derived_events: 600,
        mismatches: 2,
    });
    let html = summary.html(&NOTES);
    assert_eq!(page::mistake(&html), None);
    for fetched in [
        "http:", "https:", "src=", "href=", "url(", "@import", "<script",
    ] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    for forecast in ["mainstem", "first", "none"] {
        assert_eq!(
            html.matches(&format!("<path class=\"curve {forecast}\""))
                .count(),
            2,
            "{forecast}"
        );
    }
    // One stretch of each test of the price, two of the class, which missed a window.
    assert_eq!(html.matches("<path class=\"curve statistic\"").count(), 4);
    assert_eq!(html.matches("<path class=\"detected\"").count(), 2);
    // Each has one in the legend; the marks of the life cycle stand under both plots.
    assert_eq!(html.matches("<path class=\"requested\"").count(), 2 * 7 + 1);
    assert_eq!(html.matches("<path class=\"promoted\"").count(), 2 * 2 + 1);
    assert_eq!(html.matches("<path class=\"rejected\"").count(), 2 * 4 + 1);
    assert!(html.contains("&lt;cut&gt; &amp; &quot;filled&quot;") && !html.contains("<cut>"));
    assert!(html.contains("2 mismatches found"));
}

#[test]
fn a_log_without_predictions() {
    let mut summary = read(&mut History::new());
    let html = summary.html(&[]);
    assert_eq!(page::mistake(&html), None);
    assert!(html.contains("Nothing was predicted yet."), "{html}");
    assert!(summary.terminal(&[]).contains("nothing was predicted yet"));
    assert_eq!(
        summary.to_json()["accuracy"]["mainstem"],
        serde_json::Value::Null
    );
    summary.set_audit(Audit::default());
    assert!(
        summary
            .terminal(&[])
            .ends_with("Audit: 0 turns and 0 derived events recomputed, every one as it was\n")
    );
}

#[test]
fn predictions_without_labels() {
    let mut history = History::new();
    let made = PredictionMade {
        origin: EventId::row(0, 1, 24),
        event_time: row(24),
        entity: "all".into(),
        target_time: row(25),
        version: "v1".into(),
        role: Role::Champion,
        probability: 1.0,
        class: 1,
        inputs: None,
        actor: None,
        runtime: "test".into(),
    };
    history.put("predictions.up", "", row(24), made);
    let summary = read(&mut history);
    assert_eq!(
        (summary.counts.predictions, summary.accuracy.labels_joined),
        (1, 0)
    );
    assert!(
        summary
            .terminal(&[])
            .contains("no prediction has met its label yet")
    );
    assert_eq!(page::mistake(&summary.html(&[])), None);
}

#[test]
fn only_rows_of_all_three_forecasts_count_and_the_last_label_does() {
    let mut history = History::new();
    for at in 24..28 {
        history.forecast(at, ("v1", Role::Champion), 1, 1);
        history.forecast(at, ("v1", Role::Control), 1, 1);
        if at < 27 {
            history.forecast(at, ("baseline", Role::Baseline), 0, 1);
        }
    }
    // The label of row 24 is corrected after all were counted, that of row 27 while one was missing.
    for (at, role, class) in [
        (24, Role::Champion, 1),
        (24, Role::Baseline, 0),
        (27, Role::Champion, 1),
    ] {
        let corrected = LabelCorrected {
            origin: EventId::row(0, 1, at),
            label_origin: EventId::row(0, 1, at + 1),
            entity: "all".into(),
            target_time: row(at as i64 + 1),
            version: "v1".into(),
            role,
            probability: 1.0,
            class,
            was: 1,
            label: 0,
            revision: 1,
            round: 40,
        };
        history.put("labelled.up", "", row(40), corrected);
    }
    let summary = read(&mut history);
    let total = summary.accuracy.total();
    assert_eq!(
        (
            total.rows,
            summary.accuracy.labels_joined,
            summary.accuracy.corrected
        ),
        (3, 4, 2)
    );
    assert_eq!(
        Forecast::ALL.map(|forecast| total.right(forecast)),
        [1, 3, 2]
    );
}

#[test]
fn the_row_until_which_the_first_model_leads_is_counted() {
    let summary = read(&mut scripted());
    // v4 serves from row 72 on; the window of its first labels has it ahead already.
    let until = summary.accuracy.first_model_leads_until().unwrap();
    assert_eq!((until.end.row, until.end.time), (72, row(72)));
    assert!(
        summary
            .first_model_remark()
            .unwrap()
            .contains("until row 72 (1996-05-10)")
    );
    assert_eq!(summary.window, Span(12 * 3_600_000));
}

#[test]
fn gates_tell_how_a_retrain_ended() {
    let summary = read(&mut scripted());
    let gates: Vec<&str> = summary
        .retrains
        .iter()
        .map(|retrain| retrain.gate.short())
        .collect();
    let told = [
        "passed",
        "rejected in the shadow",
        "rejected on validation",
        "passed",
        "failed",
        "expired",
    ];
    assert_eq!(gates, [&told[..], &["open: in training"]].concat());
    assert_eq!(
        summary.retrains[4].gate,
        Gate::Failed("too few rows".into())
    );
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let mut history = History::new();
    history.write();
    let error = Summary::read(&history.store, &history.project, "down").unwrap_err();
    assert_eq!(
        error.to_string(),
        "project market has no model down; it has: up"
    );
}
