//! Which path leads where, and the limits of a request.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::problem::{self, Problem};
use super::{Gateway, health, infer, metrics, models, origin, registry, sources};

/// Requests at once: the log writes the appends of some tens together, and more would only wait, each with a thread
/// and a body of up to 8 MiB.
pub(super) const MAX_REQUESTS: usize = 64;

/// How long a request may take: beyond the 10 s that a life-cycle request waits for its answer, and below the minute
/// after which clients and proxies commonly give up without a word.
const TIME: Duration = Duration::from_secs(30);

/// Every door.
pub(super) fn all(gateway: Arc<Gateway>) -> Router {
    guarded(doors().merge(health()).merge(models_health()), gateway)
}

/// Those of a process that has no other: whether it lives, and what it measures.
pub(super) fn own(gateway: Arc<Gateway>) -> Router {
    guarded(health(), gateway)
}

fn doors() -> Router<Arc<Gateway>> {
    let room = Arc::new(Semaphore::new(MAX_REQUESTS));
    Router::new()
        .route("/v1/sources/{source}", post(sources::publish))
        .route("/v1/models/{model}/retrain", post(models::retrain))
        .route("/v1/models/{model}/promote", post(models::promote))
        .route("/v1/models/{model}/rollback", post(models::rollback))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .merge(registry::router())
        .route_layer(from_fn_with_state(room, limited))
}

// Whether it lives must be told at any load.
fn health() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::page))
}

fn models_health() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v2", get(health::server))
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/models/{model}", get(health::model))
        .route("/v2/models/{model}/ready", get(health::model_ready))
}

fn guarded(router: Router<Arc<Gateway>>, gateway: Arc<Gateway>) -> Router {
    let (names, metrics) = (gateway.names.clone(), gateway.metrics.clone());
    router
        .with_state(gateway)
        .layer(from_fn_with_state(names, origin::check))
        .layer(from_fn(problem::render))
        .layer(from_fn_with_state(metrics, metrics::count))
}

async fn limited(State(room): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_place) = room.try_acquire() else {
        let detail = format!(
            "{MAX_REQUESTS} requests are under way; try again, and send many records a request"
        );
        return Problem::busy(detail).into_response();
    };
    match tokio::time::timeout(TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!(
                "the log did not answer within {} s; what was asked may still come to be in it, so look before asking again",
                TIME.as_secs()
            );
            Problem::unavailable(detail)
                .retry_after(problem::RETRY_AFTER)
                .into_response()
        }
    }
}

/// Does what may wait for the log on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| problem::panicked())?
}
