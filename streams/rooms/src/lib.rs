//! mainstem-rooms
