//! Whether the gateway lives, whether it is ready and why not, and what its models take.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstem_schemas::events::Role;
use serde_json::{Value, json};

use super::Gateway;
use super::ask::check_model;
use super::models;
use super::problem::{Problem, answer};
use super::routes::blocking;
use super::standing::Standing;

type Gate = State<Arc<Gateway>>;

pub(super) async fn healthz() -> Response {
    answer(StatusCode::OK, &json!({"status": "alive"}))
}

pub(super) async fn live() -> Response {
    answer(StatusCode::OK, &json!({"live": true}))
}

pub(super) async fn readyz(gate: Gate) -> Result<Response, Problem> {
    let project = project(gate).await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"status": "ready", "project": project}),
    ))
}

pub(super) async fn ready(gate: Gate) -> Result<Response, Problem> {
    project(gate).await?;
    Ok(answer(StatusCode::OK, &json!({"ready": true})))
}

/// Ready is who can read the log and finds a project in it.
async fn project(State(gateway): Gate) -> Result<String, Problem> {
    blocking(move || Ok(gateway.projects.current(&gateway.store)?.name.clone())).await
}

pub(super) async fn server() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    answer(
        StatusCode::OK,
        &json!({"name": "mainstem", "version": version, "extensions": []}),
    )
}

pub(super) async fn model(gate: Gate, Path(name): Path<String>) -> Result<Response, Problem> {
    let (features, standing) = look(gate, name.clone()).await?;
    let mut versions: Vec<&String> = standing
        .deployed
        .active()
        .iter()
        .map(|deployed| &deployed.version)
        .collect();
    versions.sort();
    versions.dedup();
    let champion = standing.deployed.champion();
    // Before a version serves, what the definition says that versions will take.
    let features = champion.map_or(&features, |champion| &champion.features);
    let role = |role: Role| {
        standing
            .deployed
            .active()
            .iter()
            .filter(|d| d.role == role)
            .map(|d| &d.version)
            .collect::<Vec<_>>()
    };
    Ok(answer(
        StatusCode::OK,
        &json!({
            "name": name,
            "versions": versions,
            "platform": "mainstem_onnx",
            "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, features.len()]}],
            "outputs": [
                {"name": super::tensor::OUTPUTS[0], "datatype": "FP64", "shape": [-1]},
                {"name": super::tensor::OUTPUTS[1], "datatype": "INT64", "shape": [-1]},
            ],
            "parameters": {
                "features": features,
                "champion": champion.map(|champion| &champion.version),
                "shadows": role(Role::Shadow),
            },
        }),
    ))
}

pub(super) async fn model_ready(gate: Gate, Path(name): Path<String>) -> Result<Response, Problem> {
    let (_, standing) = look(gate, name.clone()).await?;
    if standing.deployed.champion().is_some() {
        return Ok(answer(
            StatusCode::OK,
            &json!({"name": name, "ready": true}),
        ));
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let detail = "no version is deployed yet; train and promote one first";
    Err(
        Problem::new(status, "nothing-deployed", "No version serves yet", detail)
            .with("ready", Value::Bool(false)),
    )
}

/// The features that a model's versions take, and how it stands.
async fn look(State(gateway): Gate, name: String) -> Result<(Vec<String>, Standing), Problem> {
    blocking(move || {
        let project = gateway.projects.current(&gateway.store)?;
        check_model(&project, &name).map_err(models::problem)?;
        let features = project
            .models
            .get(&name)
            .map(|model| model.features.clone());
        let unreadable =
            |error: String| Problem::unavailable(format!("the log cannot be read: {error}"));
        let catalog = gateway
            .store
            .catalog(&project.name)
            .map_err(|error| unreadable(error.to_string()))?;
        let standing = Standing::read(&gateway.store, &catalog, &project, &name);
        Ok((
            features.unwrap_or_default(),
            standing.map_err(|error| unreadable(error.to_string()))?,
        ))
    })
    .await
}
