//! The room drift.
