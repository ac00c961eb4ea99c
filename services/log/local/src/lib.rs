//! mainstem-log-local
