//! The room registry.
