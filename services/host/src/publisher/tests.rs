//! A publication that others get ahead of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstem_schemas::Millis;

use super::{Format, Input, PublishError, publish};
use crate::Store;
use crate::unruly::Unruly;

/// Takes one off; says whether there was one.
fn take_one(from: &AtomicUsize) -> bool {
    let less = |left: usize| left.checked_sub(1);
    from.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

/// Publishes a row, where so many others begin meanwhile.
fn among(others: usize) -> Result<u64, PublishError> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let project = mainstem_project::parse("mainstem.yaml", mainstem_project::example()).unwrap();
    crate::apply::apply(&store, &project, "test", Millis(0)).unwrap();
    // Somebody else begins a publication as soon as one is about to be begun, so many times.
    let others = AtomicUsize::new(others);
    let crowded = Unruly::new(Arc::clone(&store.log)).after_writer(move |log, name| {
        if take_one(&others) {
            log.writer(name)?;
        }
        Ok(())
    });
    store.log = Arc::new(crowded);
    let row = "{\"nswprice\": 0.1}\n";
    let input = Input {
        project: &project,
        source: "market",
        name: "rows.jsonl",
        format: Format::JsonLines,
        bytes: row.as_bytes(),
        actor: "test",
        resume: false,
        is_file: true,
    };
    let published = publish(&store, input)?;
    Ok(published.accepted + published.rejected)
}

#[test]
fn a_publication_that_others_get_ahead_of_is_begun_after_them() {
    assert_eq!(among(0).unwrap(), 1);
    assert_eq!(among(30).unwrap(), 1);
}

#[test]
fn a_publication_that_others_get_ahead_of_for_ever_stops_with_the_reason() {
    let why = among(usize::MAX).unwrap_err().to_string();
    for word in ["100 tries", "fenced", "publish it again"] {
        assert!(why.contains(word), "{why}");
    }
}
