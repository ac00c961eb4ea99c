//! `GET /metrics`, and what is counted of every request: the path's pattern, never the path, which anybody may make up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Gateway;
use super::problem::{Kind, Problem, panicked};
use crate::metrics::{MEDIA, Metrics};

/// How long the log may take to tell the lag: Prometheus gives a page 10 s, and the other figures are there at once.
const PATIENCE: Duration = Duration::from_secs(5);

const METHODS: [&str; 5] = ["DELETE", "GET", "HEAD", "POST", "PUT"];

pub(super) async fn page(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let metrics = gateway.metrics.clone();
    let look = tokio::task::spawn_blocking(move || {
        match gateway.projects.look(&gateway.store) {
            Ok(project) => gateway
                .metrics
                .look(&gateway.store, &project, gateway.whose),
            // A log without a project has no tasks that could be behind; one that cannot be read tells nothing.
            Err(error) => {
                tracing::debug!(%error, "the lag cannot be read");
                gateway.metrics.cannot_look();
            }
        }
    });
    if tokio::time::timeout(PATIENCE, look).await.is_err() {
        metrics.cannot_look();
    }
    let page = metrics.page().map_err(|_| panicked())?;
    Ok(([(CONTENT_TYPE, MEDIA)], page).into_response())
}

/// Counts a request and its answer.
pub(super) async fn count(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = METHODS.iter().find(|name| *request.method() == **name);
    let method = method.map_or("other", |name| *name).to_owned();
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or("none", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let http = metrics.http();
    if let Some(Kind(kind)) = response.extensions().get() {
        let kind = [("type", (*kind).to_owned())];
        http.problems.get_or_create(&kind).inc();
    }
    let time = http.time.get_or_create(&[("route", route.clone())]);
    time.observe(begun.elapsed().as_secs_f64());
    drop(time);
    let status = response.status().as_u16().to_string();
    let labels = [("route", route), ("method", method), ("status", status)];
    http.requests.get_or_create(&labels).inc();
    response
}
