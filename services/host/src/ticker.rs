//! The wall clock as events: a tick a second, by one process at a time.
//!
//! A ticker that finds its clock taken over becomes a follower; it takes the clock back when no tick has come for
//! some seconds, so that a log's time goes on when the process that ticked is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{Log, Partition};
use mainstem_kernel::pace::{PaceError, Pacer};
use mainstem_schemas::topics;

use crate::log_time::wall;
use crate::store::{Store, StoreError};

/// Time between ticks: cool-downs and windows count in it, and a held event waits for one.
const TICK: Duration = Duration::from_secs(1);

/// Silence after which a follower takes over.
const SILENCE: Duration = Duration::from_secs(5);

/// A running ticker.
pub struct Handle {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Stops it.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.thread.join().is_err() {
            tracing::error!("the ticker panicked");
        }
    }
}

/// Starts a ticker.
///
/// # Errors
/// Where there is no project.
pub fn start(store: &Store) -> Result<Handle, StoreError> {
    let project = store.project()?.name;
    let stop = Arc::new(AtomicBool::new(false));
    let (log, flag) = (Arc::clone(&store.log), Arc::clone(&stop));
    let body = move || {
        while !flag.load(Ordering::SeqCst) {
            if let Err(error) = tick(log.as_ref(), &project, &flag) {
                tracing::info!(%error, "another process ticks; following");
                follow(log.as_ref(), &project, &flag);
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("ticker".into())
        .spawn(body);
    let thread = thread.map_err(StoreError::Thread)?;
    Ok(Handle { stop, thread })
}

fn tick(log: &dyn Log, project: &str, stop: &AtomicBool) -> Result<(), PaceError> {
    let mut pacer = Pacer::new(log, project, Vec::new())?;
    while !stop.load(Ordering::SeqCst) {
        // Log time never goes back, even where the wall clock does: the pacer takes the later of the two.
        pacer.tick(wall())?;
        rest(TICK, stop);
    }
    Ok(())
}

/// Returns when the clock has been silent.
fn follow(log: &dyn Log, project: &str, stop: &AtomicBool) {
    let clock = Partition::new(&topics::fixed(project, "clock"), 0);
    let (mut end, mut since) = (0, Instant::now());
    while !stop.load(Ordering::SeqCst) && since.elapsed() < SILENCE {
        rest(TICK, stop);
        let now = log
            .reader()
            .and_then(|mut reader| Ok(reader.range(&clock)?.end))
            .unwrap_or(end);
        if now != end {
            (end, since) = (now, Instant::now());
        }
    }
}

fn rest(length: Duration, stop: &AtomicBool) {
    let until = Instant::now() + length;
    while Instant::now() < until && !stop.load(Ordering::SeqCst) {
        std::thread::sleep(
            Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())),
        );
    }
}
