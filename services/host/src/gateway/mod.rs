//! The front doors: HTTP, on the loopback address unless told otherwise.
//!
//! | Door | In | Out, once it is in the log |
//! |---|---|---|
//! | `sources` | records of a source | how many were taken, and why the others were not |
//! | `models` | retrain, promote, roll back | the event that names the request as its cause |
//! | `infer` | rows of features (Open Inference Protocol) | the champion's predictions |
//! | `registry` | schemas, as Confluent's clients register and ask for them | ids, versions, compatibility |
//! | `health` | | whether it lives, whether it is ready, and why not |
//! | `metrics` | | what the process measures, for Prometheus |
//!
//! *Nothing is answered that is not in the log.* A request that was answered survives a kill; one that was not may or may
//! not be in the log, and says so. Doors know HTTP; what they do to the log is beneath them and knows none: [`ask`],
//! `publications`, `posts`, `doors`.
//!
//! Everything has a limit (`server`, `body`, `routes`), errors are problem details (`problem`), and only names
//! of the loopback address and those that it was given are answered to (`origin`), so that no web page can reach the log
//! through a browser. Nobody is asked who they are: beyond the loopback address that is for a proxy to do.

mod actor;
mod answered;
pub mod ask;
mod body;
mod doors;
mod hall;
mod health;
mod infer;
mod metrics;
mod models;
mod origin;
mod posts;
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
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::watch;

use self::origin::Names;
use crate::metrics::{Metrics, Whose};
use crate::store::Store;

/// What a gateway is told.
#[derive(Clone)]
pub struct Options {
    /// Address that it listens on.
    pub listen: IpAddr,
    /// Port; 0 takes any that is free.
    pub port: u16,
    /// Names of this machine that it is asked by, beside those of the loopback address.
    pub hosts: Vec<String>,
    /// Which doors it has.
    pub doors: Doors,
    /// What the process measures.
    pub metrics: Metrics,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            hosts: Vec::new(),
            doors: Doors::All,
            metrics: Metrics::default(),
        }
    }
}

/// The doors of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// Every one.
    All,
    /// Whether it lives and what it measures: for a process that does something else.
    Health,
}

/// Why a gateway cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Somebody else listens there.
    #[error(
        "port {0} is in use, perhaps by another `mainstem up`; choose another with --port, or stop that one"
    )]
    PortInUse(u16),
    /// It would answer to nobody.
    #[error(
        "listening on {0} is for other machines, and only names that are known are answered to: add those that they ask \
         by with --host NAME (or MAINSTEM_HOSTS), or leave --listen out"
    )]
    NoHosts(IpAddr),
    /// The address cannot be had.
    #[error(
        "{0} is no address of this machine; name one that is with --listen, or 0.0.0.0 for all"
    )]
    Address(IpAddr),
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

impl GatewayError {
    /// Whether the command is wrong, and would be at any other time.
    #[must_use]
    pub fn is_of_the_command(&self) -> bool {
        matches!(self, GatewayError::NoHosts(_) | GatewayError::Address(_))
    }
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
        self.shared.publications.close();
        self.shared.doors.close();
    }
}

/// What all requests share.
pub(crate) struct Gateway {
    store: Store,
    projects: projects::Projects,
    publications: publications::Publications,
    doors: hall::Hall,
    registry: registry::Desk,
    names: Names,
    metrics: Metrics,
    whose: Whose,
    /// Whoever waits for an answer gives up.
    stopping: Arc<AtomicBool>,
}

/// Starts a gateway. A log without a project is served too: it is not ready, and says what to do.
///
/// # Errors
/// [`GatewayError`].
pub fn start(store: &Store, options: &Options) -> Result<Handle, GatewayError> {
    let (listen, port) = (options.listen, options.port);
    let names = Names::new(listen, &options.hosts).ok_or(GatewayError::NoHosts(listen))?;
    let listener = TcpListener::bind((listen, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => GatewayError::PortInUse(port),
        io::ErrorKind::AddrNotAvailable => GatewayError::Address(listen),
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
        publications: publications::Publications::new(store, &options.metrics),
        doors: hall::Hall::new(store, &options.metrics, Arc::clone(&stopping)),
        registry: registry::Desk::default(),
        names,
        metrics: options.metrics.clone(),
        whose: match options.doors {
            Doors::All => Whose::All,
            Doors::Health => Whose::Own,
        },
        stopping,
    });
    let (stop, stopped) = watch::channel(false);
    let router = match options.doors {
        Doors::All => routes::all(Arc::clone(&shared)),
        Doors::Health => routes::own(Arc::clone(&shared)),
    };
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
