//! Who waits for commits, and the count of commits that wakes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One wait at most: a sum with the largest duration would overflow, and callers may be woken early anyway.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Rung after every commit, of this process or another.
#[derive(Default)]
pub(crate) struct Bell {
    count: Mutex<u64>,
    rung: Condvar,
    waiting: AtomicUsize,
}

impl Bell {
    pub(crate) fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// Whether anybody waits: only then are other processes' commits looked for.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Waits for a count beyond `seen`; `start` is called once it is known that there is something to wait for.
    pub(crate) fn wait(&self, seen: u64, timeout: Duration, start: impl FnOnce()) -> bool {
        let deadline = Instant::now() + timeout.min(LONGEST);
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count > seen {
            return true;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        start();
        while *count <= seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.rung.wait_timeout(count, left);
            count = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        *count > seen
    }
}
