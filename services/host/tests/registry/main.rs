//! The schema registry over real HTTP, asked by Confluent's own client and by several at once; on the embedded log.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../gateway/client.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod client;
#[path = "../gateway/world.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod world;

mod evolution;
mod outside;
mod together;

use mainstem_test_python::script;
use world::Shop;

#[test]
fn confluents_python_client_finds_a_registry() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let output = script("registry.py")
        .unwrap()
        .arg(format!("http://{address}"))
        .output()
        .unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        told(&output.stdout),
        told(&output.stderr)
    );
    assert_eq!(told(&output.stdout).lines().count(), 10);
    handle.stop();
    // Whoever reads the same facts later knows the same.
    let (handle, address) = shop.serve();
    let found = client::get(address, "/subjects/i-value/versions/3").json();
    assert_eq!(found["id"], 7000);
    handle.stop();
}
