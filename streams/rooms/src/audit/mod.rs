//! The room audit.
