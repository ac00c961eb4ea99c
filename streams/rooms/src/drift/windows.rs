//! Which windows there are: event time cut at equal lengths from the origin on.

use mainstem_schemas::definition::Windows;
use mainstem_schemas::{Millis, Span};

/// Windows that a task closes on one tick or keeps at most: three years of days. Where log time leaps over more, the
/// older ones are left out.
pub(super) const MAX_WINDOWS: i64 = 1_000;

/// End of the window that begins at `start`.
pub(super) fn end_of(windows: &Windows, start: Millis) -> Millis {
    start.plus(Span(windows.length.at_least_one()))
}

/// Begin of the first window that begins at `time` or later.
pub(super) fn first_from(windows: &Windows, time: Millis) -> Millis {
    let start = windows.start_of(time);
    if start == time {
        start
    } else {
        end_of(windows, start)
    }
}

/// Begin of the oldest window that is closed at `now` or later, `next` being the first that is not closed yet: rows
/// before it are left out, rows from it on are counted.
pub(super) fn oldest(windows: &Windows, next: Millis, now: Millis) -> Millis {
    let kept = windows.length.at_least_one().saturating_mul(MAX_WINDOWS);
    next.max(windows.start_of(now).minus(Span(kept)))
}

/// Begins of the windows from `next` on that have ended at `now`, the last [`MAX_WINDOWS`] at most.
pub(super) fn due(windows: &Windows, next: Millis, now: Millis) -> Vec<Millis> {
    let length = windows.length.at_least_one();
    let first = oldest(windows, next, now);
    let ended = now.since(first).0.div_euclid(length).max(0);
    (0..ended)
        .map(|n| first.plus(Span(n.saturating_mul(length))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_the_origin_and_follow_one_another() {
        let windows = Windows {
            origin: Millis(3),
            length: Span(10),
        };
        assert_eq!(
            [
                first_from(&windows, Millis(3)),
                first_from(&windows, Millis(4))
            ],
            [Millis(3), Millis(13)]
        );
        assert_eq!(
            due(&windows, Millis(3), Millis(32)),
            [Millis(3), Millis(13)]
        );
        assert_eq!(due(&windows, Millis(3), Millis(33)).len(), 3);
        assert_eq!(due(&windows, Millis(33), Millis(3)), []);
        let far = due(&windows, Millis(3), Millis(3 + 10 * 5_000));
        assert_eq!(
            (far.len(), far.last()),
            (1_000, Some(&Millis(3 + 10 * 4_999)))
        );
        let oldest = oldest(&windows, Millis(3), Millis(3 + 10 * 5_000 + 9));
        assert_eq!(far.first(), Some(&oldest), "what is closed is counted");
    }
}
