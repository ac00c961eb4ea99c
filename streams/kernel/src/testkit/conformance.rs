//! What every adapter of the log port must do.
