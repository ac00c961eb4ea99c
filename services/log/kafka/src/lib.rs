//! mainstem-log-kafka
