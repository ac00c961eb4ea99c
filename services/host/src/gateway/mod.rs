//! The front doors: HTTP on the loopback address.
//!
//! | Door | In | Out, once it is in the log |
//! |---|---|---|
//! | `sources` | records of a source | how many were taken, and why the others were not |
//! | `models` | retrain, promote, roll back | the event that names the request as its cause |
//! | `infer` | rows of features (Open Inference Protocol) | the champion's predictions |
//! | `registry` | schemas, as Confluent's clients register and ask for them | ids, versions, compatibility |
//! | `health` | | whether it lives, whether it is ready, and why not |
//!
//! *Nothing is answered that is not in the log.* A request that was answered survives a kill; one that was not may or may
//! not be in the log, and says so. Doors know HTTP; what they do to the log is beneath them and knows none: [`ask`],
//! `publications`, `doors`.
//!
//! Everything has a limit (`server`, `body`, `routes`), errors are problem details (`problem`), and only names
//! of the loopback address are answered to (`origin`), so that no web page can reach the log through a browser.

mod actor;
mod answered;
pub mod ask;
mod body;
mod doors;
mod hall;
mod health;
mod infer;
mod models;
mod origin;
mod problem;
mod projects;
mod publications;
mod records;
mod registry;
mod routes;
mod server;
mod sources;
mod standing;
mod tensor;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::store::Store;

/// What a gateway is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port on the loopback address; 0 takes any that is free.
    pub port: u16,
}

/// Why a gateway cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Somebody else listens there.
    #[error(
        "port {0} is in use, perhaps by another `mainstem up`; choose another with --port, or stop that one"
    )]
    PortInUse(u16),
    /// The port cannot be had.
    #[error("port {port} cannot be listened on: {error}; choose one above 1023 with --port")]
    Port {
        /// The port.
        port: u16,
        /// The system's words.
        error: io::Error,
    },
    /// The system gives no thread.
    #[error(
        "the gateway has no thread to run on: {0}; stop other programs, or raise the system's limits"
    )]
    Thread(io::Error),
}

/// A running gateway.
pub struct Handle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    shared: Arc<Gateway>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: requests under way get a moment to end.
    pub fn stop(self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the gateway panicked");
        }
        self.shared.doors.close();
    }
}

/// What all requests share.
pub(crate) struct Gateway {
    store: Store,
    projects: projects::Projects,
    publications: publications::Publications,
    doors: hall::Doors,
    registry: registry::Desk,
    /// Whoever waits for an answer gives up.
    stopping: Arc<AtomicBool>,
}

/// Starts a gateway. A log without a project is served too: it is not ready, and says what to do.
///
/// # Errors
/// [`GatewayError`].
pub fn start(store: &Store, options: &Options) -> Result<Handle, GatewayError> {
    let port = options.port;
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => GatewayError::PortInUse(port),
            _ => GatewayError::Port { port, error },
        })?;
    let told = |error| GatewayError::Port { port, error };
    listener.set_nonblocking(true).map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    let runtime = server::runtime().map_err(GatewayError::Thread)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let shared = Arc::new(Gateway {
        store: store.clone(),
        projects: projects::Projects::default(),
        publications: publications::Publications::default(),
        doors: hall::Doors::new(store, Arc::clone(&stopping)),
        registry: registry::Desk::default(),
        stopping,
    });
    let (stop, stopped) = watch::channel(false);
    let router = routes::router(Arc::clone(&shared));
    let body = move || server::run(runtime, listener, router, stopped);
    let thread = std::thread::Builder::new()
        .name("gateway".into())
        .spawn(body);
    let thread = thread.map_err(GatewayError::Thread)?;
    Ok(Handle {
        address,
        stop,
        shared,
        thread,
    })
}

/// A lock that a panic elsewhere does not take away: what it guards is whole between its holders' steps.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
