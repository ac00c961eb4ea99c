//! `audit verify` and `audit explain`.

use std::process::ExitCode;
use std::sync::Arc;

use mainstem_host::Store;
use mainstem_host::auditor::{self, Asked, Parts, Progress, Report};
use mainstem_host::resolver::StoreResolver;
use mainstem_kernel::LogError;
use mainstem_rooms::machines::machine;
use mainstem_schemas::definition::Project;

use super::Done;
use crate::cli::Audit;

pub fn run(audit: &Audit) -> Done {
    match audit {
        Audit::Verify(place) => {
            let (store, project) = place.existing()?;
            let report = verify(&store, &project, &mut |_| {})?;
            out!("{report}");
            Ok(if report.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            })
        }
        Audit::Explain(explain) => {
            let (store, project) = explain.place.existing()?;
            let resolver = StoreResolver::new(Arc::clone(&store.blobs) as _);
            let asked = Asked {
                id: &explain.prediction,
                version: explain.version.as_deref(),
                role: None,
            };
            out!(
                "{}",
                auditor::explain(&parts(&store, &project, &resolver), &asked)?
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn parts<'a>(store: &'a Store, project: &'a Project, resolver: &'a StoreResolver) -> Parts<'a> {
    Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver,
        factory: &machine,
        project,
    }
}

/// Recomputes everything in a store.
pub fn verify(
    store: &Store,
    project: &Project,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, LogError> {
    let resolver = StoreResolver::new(Arc::clone(&store.blobs) as _);
    auditor::verify(&parts(store, project, &resolver), progress)
}
