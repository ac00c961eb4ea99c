//! The Open Inference Protocol's JSON: one tensor of rows in, two tensors of answers out.

mod data;

use mainstem_schemas::Millis;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::problem::Problem;
use data::Data;

/// Rows of a request: each is an event, and all of them are one commit.
const MAX_ROWS: u64 = 1_000;

/// Characters of an entity: it is the key of the event.
const MAX_ENTITY: usize = 1_024;

/// What a client sends.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    /// The client's own name for the request.
    pub id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(default)]
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Wanted>,
}

/// The parameters that are known, unread: whatever else a client sends costs nothing.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    entity: Option<Box<RawValue>>,
    event_time: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    #[serde(default)]
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    name: String,
}

/// The names of the answers.
pub(super) const OUTPUTS: [&str; 2] = ["probability", "label"];

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// 400, with what is wrong.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let told = |error| {
            let remedy = "send {\"inputs\": [{\"name\": \"features\", \"shape\": [rows, features], \"datatype\": \"FP64\", \"data\": […]}]}";
            Problem::bad(format!(
                "the body is no inference request: {error}; {remedy}"
            ))
        };
        let request: Request = serde_json::from_slice(body).map_err(told)?;
        if let Some(other) = request
            .outputs
            .iter()
            .find(|wanted| !OUTPUTS.contains(&wanted.name.as_str()))
        {
            return Err(Problem::bad(format!(
                "there is no output {:?}; ask for {}, or leave `outputs` out for both",
                other.name,
                OUTPUTS.join(" or ")
            )));
        }
        Ok(request)
    }

    /// Whether an output is asked for.
    pub fn wants(&self, output: &str) -> bool {
        self.outputs.is_empty() || self.outputs.iter().any(|wanted| wanted.name == output)
    }

    /// The parameter `entity`.
    ///
    /// # Errors
    /// 400 where it is none.
    pub fn entity(&self) -> Result<Option<String>, Problem> {
        let Some(given) = &self.parameters.entity else {
            return Ok(None);
        };
        let entity = serde_json::from_str::<String>(given.get()).ok();
        let entity = entity.filter(|entity| (1..=MAX_ENTITY).contains(&entity.len()));
        entity.map(Some).ok_or_else(|| {
            Problem::bad(format!(
                "the parameter `entity` is a text of 1 to {MAX_ENTITY} bytes"
            ))
        })
    }

    /// The parameter `event_time`.
    ///
    /// # Errors
    /// 400 where it is none.
    pub fn event_time(&self) -> Result<Option<Millis>, Problem> {
        let refused = || {
            Problem::bad(
                "the parameter `event_time` is a text such as 1996-08-19T04:00:00Z, or milliseconds since 1970",
            )
        };
        let Some(given) = &self.parameters.event_time else {
            return Ok(None);
        };
        let text = serde_json::from_str::<String>(given.get());
        let moment = match text {
            Ok(text) => text.parse().ok(),
            Err(_) => given.get().parse().ok().map(Millis),
        };
        moment.map(Some).ok_or_else(refused)
    }

    /// The rows of the one tensor; null is a missing value.
    ///
    /// # Errors
    /// 400 where it is none of that shape, 413 where it is too long.
    pub fn rows(&self) -> Result<Vec<Vec<Option<f64>>>, Problem> {
        let [tensor] = self.inputs.as_slice() else {
            return Err(Problem::bad(format!(
                "{} input tensors were sent, and one is taken: FP64 of shape [rows, features], the features in the model's order (GET /v2/models/<model> names it)",
                self.inputs.len()
            )));
        };
        let name = &tensor.name;
        if !["FP64", "FP32"].contains(&tensor.datatype.as_str()) {
            return Err(Problem::bad(format!(
                "tensor {name:?} is {}; send FP64 or FP32",
                tensor.datatype
            )));
        }
        let [rows, width] = *tensor.shape.as_slice() else {
            let shape = &tensor.shape;
            return Err(Problem::bad(format!(
                "tensor {name:?} has the shape {shape:?}; send [rows, features], [1, features] for one row"
            )));
        };
        if rows == 0 || width == 0 {
            return Err(Problem::bad(format!(
                "tensor {name:?} has the shape [{rows}, {width}] and so no values; send at least one row"
            )));
        }
        if rows > MAX_ROWS {
            return Err(Problem::too_large(format!(
                "{rows} rows are more than the {MAX_ROWS} of one request; send them in several"
            )));
        }
        let values = &tensor.data.values;
        if !tensor.data.fills(rows, width) {
            return Err(Problem::bad(format!(
                "tensor {name:?} has {} values, which do not fill its shape [{rows}, {width}]",
                values.len()
            )));
        }
        Ok(values.chunks(width as usize).map(<[_]>::to_vec).collect())
    }
}

/// The answer's tensors.
pub(super) fn outputs(request: &Request, answers: &[(f64, i32)]) -> Vec<Value> {
    let rows = answers.len();
    let probability = || {
        answers
            .iter()
            .map(|(probability, _)| *probability)
            .collect::<Vec<_>>()
    };
    let label = || answers.iter().map(|(_, label)| *label).collect::<Vec<_>>();
    let all = [
        json!({"name": OUTPUTS[0], "datatype": "FP64", "shape": [rows], "data": probability()}),
        json!({"name": OUTPUTS[1], "datatype": "INT64", "shape": [rows], "data": label()}),
    ];
    all.into_iter()
        .zip(OUTPUTS)
        .filter(|(_, name)| request.wants(name))
        .map(|(tensor, _)| tensor)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(tensor: Value) -> Result<Vec<Vec<Option<f64>>>, Problem> {
        Request::read(json!({"inputs": [tensor]}).to_string().as_bytes())
            .and_then(|request| request.rows())
    }

    #[test]
    fn flat_and_nested_rows_are_the_same() {
        let want = vec![vec![Some(1.0), None], vec![Some(-0.5), Some(4.0)]];
        let tensor =
            |data: Value| json!({"name": "x", "shape": [2, 2], "datatype": "FP64", "data": data});
        assert_eq!(rows(tensor(json!([1, null, -0.5, 4]))).unwrap(), want);
        assert_eq!(rows(tensor(json!([[1, null], [-0.5, 4]]))).unwrap(), want);
        for data in [
            json!([1, 2, 3]),
            json!([[1, 2, 3], [4]]),
            json!([[1, 2]]),
            json!([[[1, 2]], [[3, 4]]]),
            json!(["1", 2, 3, 4]),
            json!([1e300, 2, 3, 4]),
            json!([[1, 2], 3, 4]),
            json!({}),
            Value::Null,
            json!([[1, 2], [3, 4], []]),
        ] {
            assert!(rows(tensor(data.clone())).is_err(), "{data}");
        }
        let body = format!(
            r#"{{"inputs": [{{"name": "x", "datatype": "FP64", "data": [{}1]}}]}}"#,
            "1,".repeat(500_000)
        );
        assert!(Request::read(body.as_bytes()).is_err());
    }
}
