//! `audit verify` and `audit explain`.

use std::process::ExitCode;
use std::sync::Arc;

use mainstem_host::Store;
use mainstem_host::auditor::{self, Parts, Progress, Report};
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::LogError;
use mainstem_rooms::machines::machine;
use mainstem_schemas::definition::Project;

use super::{Done, open};
use crate::cli::Audit;

pub fn run(audit: &Audit) -> Done {
    match audit {
        Audit::Verify(dir) => {
            let (store, project) = open(&dir.dir)?;
            let report = verify(&store, &project, &mut |_| {})?;
            println!("{report}");
            Ok(if report.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            })
        }
    }
}

/// Recomputes everything in a store.
pub fn verify(
    store: &Store,
    project: &Project,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, LogError> {
    let resolver = StoreResolver::new(Arc::clone(&store.blobs) as _);
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project,
    };
    auditor::verify(&parts, progress)
}
