//! mainstem-kernel
