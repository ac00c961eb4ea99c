//! The trainer's parameters: named numbers in a definition and in events, typed in between.

use std::collections::BTreeMap;

use mainstem_models::TrainParams;
use mainstem_schemas::events::Parameter;

use super::failure::Failure;

/// The largest whole number below which every whole number is a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The parameters of those names; the others keep their defaults.
pub(super) fn typed(given: &BTreeMap<String, f64>) -> Result<TrainParams, Failure> {
    let mut params = TrainParams::default();
    for (name, value) in given {
        let value = *value;
        match name.as_str() {
            "iterations" => params.iterations = whole(name, value)? as usize,
            "learning_rate" => params.learning_rate = value as f32,
            "max_depth" => params.max_depth = whole(name, value)? as usize,
            "max_leaves" => params.max_leaves = whole(name, value)? as usize,
            "l2" => params.l2 = value as f32,
            "gamma" => params.gamma = value as f32,
            "min_leaf_weight" => params.min_leaf_weight = value as f32,
            "nbins" => params.nbins = u16::try_from(whole(name, value)?).unwrap_or(u16::MAX),
            "subsample" => params.subsample = value as f32,
            "seed" => params.seed = whole(name, value)?,
            _ => {
                let known: Vec<String> =
                    named(&params).into_iter().map(|known| known.name).collect();
                let known = known.join(", ");
                return Err(Failure::lasting(format!(
                    "parameter {name} is unknown; the trainer takes {known}"
                )));
            }
        }
    }
    params
        .validate()
        .map_err(|error| Failure::lasting(error.to_string()))?;
    Ok(params)
}

fn whole(name: &str, value: f64) -> Result<u64, Failure> {
    if value.fract() == 0.0 && (0.0..=EXACT).contains(&value) {
        return Ok(value as u64);
    }
    Err(Failure::lasting(format!(
        "parameter {name} is {value}; a whole number of at least 0 is needed"
    )))
}

/// All parameters with the values that were used, defaults among them: a default may change with a version.
pub(super) fn named(params: &TrainParams) -> Vec<Parameter> {
    let named = |name: &str, value: f64| Parameter {
        name: name.into(),
        value,
    };
    // As people write it: 0.1, where the nearest 32-bit float is 0.100000001490116.
    let short = |name: &str, value: f32| {
        named(
            name,
            value.to_string().parse().unwrap_or_else(|_| value.into()),
        )
    };
    vec![
        named("iterations", params.iterations as f64),
        short("learning_rate", params.learning_rate),
        named("max_depth", params.max_depth as f64),
        named("max_leaves", params.max_leaves as f64),
        short("l2", params.l2),
        short("gamma", params.gamma),
        short("min_leaf_weight", params.min_leaf_weight),
        named("nbins", params.nbins.into()),
        short("subsample", params.subsample),
        named("seed", params.seed as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: f64) -> BTreeMap<String, f64> {
        BTreeMap::from([(name.to_owned(), value)])
    }

    #[test]
    fn named_numbers_come_back_and_the_others_are_defaults() {
        let params = typed(&given("learning_rate", 0.05)).unwrap();
        assert_eq!(
            params,
            TrainParams {
                learning_rate: 0.05,
                ..TrainParams::default()
            }
        );
        let all: BTreeMap<String, f64> = named(&params)
            .into_iter()
            .map(|p| (p.name, p.value))
            .collect();
        assert_eq!((all.len(), all["learning_rate"]), (10, 0.05));
        assert_eq!(typed(&all).unwrap(), params);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_limits() {
        let cases = [
            (
                "iteration",
                5.0,
                "parameter iteration is unknown; the trainer takes iterations, learning_rate",
            ),
            (
                "iterations",
                1.5,
                "parameter iterations is 1.5; a whole number",
            ),
            ("seed", -1.0, "parameter seed is -1; a whole number"),
            ("max_depth", 17.0, "parameter max_depth is 17; 1 to 16"),
            ("nbins", 1e6, "parameter nbins is 65535; 2 to 4096"),
            ("l2", f64::NAN, "parameter l2 is NaN"),
            ("learning_rate", 1e300, "parameter learning_rate is inf"),
        ];
        for (name, value, reason) in cases {
            let failure = typed(&given(name, value)).unwrap_err();
            assert!(
                failure.reason.contains(reason) && !failure.retriable,
                "{failure:?}"
            );
        }
    }
}
