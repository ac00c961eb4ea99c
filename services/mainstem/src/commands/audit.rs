//! `audit verify` and `audit explain`.

use std::process::ExitCode;

use super::{Done, open};
use crate::cli::Audit;

pub fn run(audit: &Audit) -> Done {
    match audit {
        Audit::Verify(dir) => {
            let (store, project) = open(&dir.dir)?;
            let report = mainstem_host::auditor::verify_store(&store, &project, &mut |_| {})?;
            println!("{report}");
            Ok(if report.mismatches() == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Audit::Explain(explain) => {
            let (store, project) = open(&explain.dir.dir)?;
            println!("{}", mainstem_host::auditor::explain_store(&store, &project, &explain.prediction)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}
