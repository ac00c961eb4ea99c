//! What a run that ended well leaves behind: parameters, figures, tags.

use std::collections::BTreeMap;

use mainstem_kernel::decider::Decision;
use mainstem_schemas::EventId;
use mainstem_schemas::events::{
    DatasetBuilt, Event, MetricLogged, ParamLogged, Parameter, RunFinished, TagSet,
    TrainingCompleted,
};

/// Tag of a run beside which the baseline was given up: why.
pub(super) const BASELINE_FAILED: &str = "baseline_failed";

/// Parameters that are logged at most: an outcome comes from outside.
const MAX_PARAMETERS: usize = 256;

/// The events that end a run well, in their order.
pub(super) fn of(
    model: &str,
    run: EventId,
    built: &DatasetBuilt,
    completed: &TrainingCompleted,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let mut say = |event: Event, discriminator: String| {
        let decision = Decision::new(event, run, discriminator);
        decisions.push(decision.because_of(Some(completed.effect)));
    };
    for (name, value) in parameters(completed) {
        let discriminator = format!("param/{name}");
        let logged = ParamLogged {
            model: model.into(),
            run,
            parameter: Parameter { name, value },
        };
        say(logged.into(), discriminator);
    }
    for (name, value) in figures(built, completed) {
        let logged = MetricLogged {
            model: model.into(),
            run,
            name: name.into(),
            value,
        };
        say(logged.into(), format!("metric/{name}"));
    }
    let tag = TagSet {
        model: model.into(),
        run,
        name: "trainer".into(),
        value: completed.trainer.clone(),
    };
    say(tag.into(), "tag/trainer".into());
    let finished = RunFinished {
        model: model.into(),
        run,
        onnx: completed.onnx,
        profile: built.profile,
        prediction_profile: completed.prediction_profile,
        content: built.content,
        validation_rows: completed.validation_rows,
        validation_correct: completed.validation_correct,
        majority_correct: completed.majority_correct,
    };
    say(finished.into(), "run_finished".into());
    decisions
}

/// By name; of equal names the last.
fn parameters(completed: &TrainingCompleted) -> BTreeMap<String, f64> {
    let all = completed.parameters.iter().take(MAX_PARAMETERS);
    all.map(|parameter| (parameter.name.clone(), parameter.value))
        .collect()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of rows are far below 2^53"
)]
fn figures(built: &DatasetBuilt, completed: &TrainingCompleted) -> Vec<(&'static str, f64)> {
    let rows = completed.validation_rows as f64;
    let mut figures = vec![("rows", built.rows as f64), ("validation_rows", rows)];
    if completed.validation_rows > 0 {
        let accuracy = completed.validation_correct as f64 / rows;
        let majority = completed.majority_correct as f64 / rows;
        figures.push(("validation_accuracy", accuracy));
        figures.push(("majority_accuracy", majority));
    }
    figures
}
