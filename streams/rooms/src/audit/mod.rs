//! The room audit: every fact comes under the hash chain.

use mainstem_kernel::Machine;

/// Reads the fact topics and writes nothing: its turns hold the digests of the facts' bytes, so that an audit sees a
/// fact that changed even where no other task has read it. Arrivals that a view or a monitor reads are left to their tasks.
pub struct AuditMachine;

impl Machine for AuditMachine {
    const VERSION: u32 = 1;
    type State = ();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::{inputs_of, project};

    #[test]
    fn facts_that_no_view_and_no_monitor_reads_are_read() {
        let mut project = project(json!([{"name": "x", "of": {"column": "x"}}]));
        let unread = project.sources["s"].clone();
        project.sources.insert("unread".into(), unread);
        let inputs = inputs_of(&project, "auditor/p/0");
        let has = |topic: &str| inputs.iter().any(|input| input == topic);
        assert!(has("p.arrivals.unread") && has("p.rejects.unread"));
        assert!(has("p.rejects.s") && has("p.outcomes"));
        assert!(!has("p.arrivals.s"), "{inputs:?}");
    }
}
