//! The room trigger.
