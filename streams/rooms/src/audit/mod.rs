//! The room audit: every fact comes under the hash chain.

use mainstem_kernel::Machine;

/// Reads every fact topic and writes nothing: its turns hold the digests of the facts' bytes, so that an audit sees a
/// fact that changed even where no other task has read it.
pub struct AuditMachine;

impl Machine for AuditMachine {
    const VERSION: u32 = 1;
    type State = ();
}
