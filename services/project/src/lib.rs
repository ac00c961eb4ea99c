//! mainstem-project
