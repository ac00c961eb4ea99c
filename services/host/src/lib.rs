//! mainstem-host
