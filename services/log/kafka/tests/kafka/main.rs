//! The log port on a real broker: every case of the conformance suite, and what only Kafka can get wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod faults;
mod fences;
mod figures;
mod support;
mod takeover;

use mainstem_kernel::testkit::conformance;
use support::{Cases, broker, run_name};

#[test]
fn kafka_does_as_the_port_says() {
    let Some(broker) = broker() else { return };
    let open = || -> Box<dyn mainstem_kernel::Log> { Box::new(Cases::open(broker)) };
    conformance::run(&open, &run_name("conform"));
}
