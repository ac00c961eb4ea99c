//! mainstem-tests
