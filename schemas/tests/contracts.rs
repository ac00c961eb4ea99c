//! The contracts against the Rust types, and every example against both.

use mainstem_schemas::events::Event;

#[test]
fn generate() {
    for (name, schema) in Event::derived_schemas() {
        let text = serde_json::to_string_pretty(&schema).unwrap();
        std::fs::write(
            format!("{}/avsc/{name}.avsc", env!("CARGO_MANIFEST_DIR")),
            text + "\n",
        )
        .unwrap();
    }
}
