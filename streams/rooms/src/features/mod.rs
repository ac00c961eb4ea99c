//! The room features.
