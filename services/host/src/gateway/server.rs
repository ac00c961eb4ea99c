//! Connections: accepted up to a number, each served until it is idle for too long or the gateway stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once: clients keep some open beside the 64 requests that are served; each costs some tens of
/// kilobytes and one of the 1,024 files that a process may open by default.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take for the head of a request, and be silent between two: it is on this machine, and connections
/// that say nothing must not keep others out for long.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long requests under way may take to end when the gateway stops: Ctrl-C is to stop everything within a second.
const GRACE: Duration = Duration::from_millis(500);

/// Between two tries to accept where the process has no file left.
const PAUSE: Duration = Duration::from_millis(50);

/// A small runtime: handlers only pass requests on to threads that may wait for the log.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("gateway")
        .enable_all()
        .build()
}

/// Serves until stopped.
pub(super) fn run(
    runtime: Runtime,
    listener: std::net::TcpListener,
    router: Router,
    stopped: watch::Receiver<bool>,
) {
    runtime.block_on(async {
        match TcpListener::from_std(listener) {
            Ok(listener) => serve(listener, router, stopped).await,
            Err(error) => tracing::error!(%error, "the gateway cannot listen"),
        }
    });
    runtime.shutdown_timeout(GRACE);
}

async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let handed_on = stopped.clone();
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (router, stopped) = (router.clone(), handed_on.clone());
                    connections.spawn(async move {
                        connection(stream, router, stopped).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = std::pin::pin!(served);
    let asked = async {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = asked => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
