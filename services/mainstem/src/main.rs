//! mainstem
fn main() {}
