//! `POST /v2/models/{model}/infer`: predictions for whoever asks, by the Open Inference Protocol. Each row becomes a
//! `PredictionMade` with its inputs, and the answer is given once these are in the log.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstem_rooms::serving::{AskedRow, NoInference, NotAnswered, Question, prediction_id};
use mainstem_schemas::definition::{Clock, Entity, Project, digest_of};
use mainstem_schemas::events::PredictionMade;
use mainstem_schemas::{EventId, PredictionId};
use serde_json::json;

use super::ask::{check_model, random};
use super::body::{self, Media};
use super::doors::{DoorError, Predicted};
use super::problem::{Problem, answer, panicked};
use super::routes::blocking;
use super::{Gateway, actor, models, tensor};
use crate::log_time::wall;

pub(super) async fn infer(
    State(gateway): State<Arc<Gateway>>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let actor = actor::actor(&head.headers)?;
    let key = actor::key(&head.headers)?;
    body::media(&head.headers, &[Media::Json])?;
    let body = body::read(&head.headers, body).await?;
    let request = tensor::Request::read(&body)?;
    let (shared, name) = (Arc::clone(&gateway), model.clone());
    let project = blocking(move || {
        let project = shared.projects.current(&shared.store)?;
        check_model(&project, &name).map_err(models::problem)?;
        Ok(project)
    })
    .await?;
    let id = match &key {
        Some(key) => EventId::named("request", key.as_bytes()),
        None => EventId::named("request", &random().map_err(models::problem)?),
    };
    let question = question(&project, &model, &request, id, &actor)?;
    let asked = gateway.doors.ask(&project, &model, question, key.is_some());
    let predicted = asked.await.map_err(|_| panicked())?.map_err(problem)?;
    Ok(told(&project, &model, &request, id, &predicted))
}

/// What is asked of the door.
fn question(
    project: &Project,
    model: &str,
    request: &tensor::Request,
    id: EventId,
    actor: &str,
) -> Result<Question, Problem> {
    let rows = request.rows()?;
    let entity = match (request.entity()?, constant(project, model)) {
        (Some(entity), _) => entity,
        (None, Some(entity)) => entity.to_owned(),
        (None, None) => {
            let detail = "say whom the rows are about, as \"parameters\": {\"entity\": \"…\"}: predictions are kept and labelled by it";
            return Err(Problem::bad(detail));
        }
    };
    let event_time = match (request.event_time()?, project.clock) {
        (None, Clock::Wall) => Some(wall()),
        (given, _) => given,
    };
    let row = |(inputs, row): (Vec<Option<f64>>, u64)| AskedRow {
        origin: EventId::named("request", &[&id.0[..], &row.to_le_bytes()].concat()),
        actor: Some(actor.to_owned()),
        event_time,
        entity: entity.clone(),
        inputs,
    };
    Ok(Question {
        rows: rows.into_iter().zip(0..).map(row).collect(),
    })
}

/// The entity that all records of a model's source are about.
fn constant<'a>(project: &'a Project, model: &str) -> Option<&'a str> {
    let view = project.views.get(&project.models.get(model)?.view)?;
    match &project.sources.get(&view.source)?.entity {
        Entity::Constant(entity) => Some(entity),
        Entity::Column(_) | Entity::Key(_) => None,
    }
}

fn told(
    project: &Project,
    model: &str,
    request: &tensor::Request,
    id: EventId,
    predicted: &Predicted,
) -> Response {
    let definition = project.models.get(model).map(digest_of).unwrap_or_default();
    let made = &predicted.made;
    let named = |made: &PredictionMade| {
        let id = prediction_id(&project.name, model, &definition, made);
        PredictionId::new(&made.entity, id)
    };
    let predictions: Vec<PredictionId> = made.iter().map(named).collect();
    let origins: Vec<EventId> = made.iter().map(|made| made.origin).collect();
    let answers: Vec<(f64, i32)> = made
        .iter()
        .map(|made| (made.probability, made.class))
        .collect();
    let first = made.first();
    let own = id.to_string();
    answer(
        StatusCode::OK,
        &json!({
            "model_name": model,
            "model_version": first.map(|made| &made.version),
            "id": request.id.as_ref().unwrap_or(&own),
            "parameters": {
                "predictions": predictions,
                "origins": origins,
                "event_time": first.map(|made| made.event_time.to_string()),
                "target_time": first.map(|made| made.target_time.to_string()),
            },
            "outputs": tensor::outputs(request, &answers),
        }),
    )
}

fn problem(error: DoorError) -> Problem {
    let said = error.to_string();
    let refused = match &error {
        DoorError::Refused(refused) => refused.downcast_ref::<NotAnswered>(),
        DoorError::OtherQuestion(_) => return Problem::unprocessable(said),
        DoorError::Stands(_) | DoorError::Stopped => None,
    };
    match refused {
        Some(NotAnswered::NoModel(_)) => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-model",
            "There is no such model",
            said,
        ),
        Some(NotAnswered::Inference(NoInference::NoChampion)) => Problem::new(
            StatusCode::CONFLICT,
            "nothing-deployed",
            "No version serves yet",
            said,
        ),
        Some(NotAnswered::Inference(NoInference::Inputs { .. })) => Problem::bad(said),
        Some(NotAnswered::Ahead { .. } | NotAnswered::Inference(NoInference::Failed { .. })) => {
            Problem::unprocessable(said)
        }
        None => Problem::unavailable(said).retry_after(1),
    }
}
