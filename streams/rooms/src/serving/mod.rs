//! The room serving.
