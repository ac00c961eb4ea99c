//! The log port on a real broker: every case of the conformance suite, and what only Kafka can get wrong.

mod support;

use mainstem_kernel::testkit::conformance;
use support::{Cases, broker, run_name};

#[test]
fn kafka_does_as_the_port_says() {
    let Some(broker) = broker() else { return };
    let open = || -> Box<dyn mainstem_kernel::Log> { Box::new(Cases::open(broker)) };
    let run = run_name("conform");
    let fixture = conformance::Fixture::new(&open, &run);
    let only = std::env::var("CASE").ok();
    for (name, case) in conformance::ALL {
        if only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
        {
            let start = std::time::Instant::now();
            case(&fixture);
            println!("{name}: {:?}", start.elapsed());
        }
    }
}
