//! A registry that takes the facts that it asks for.

mod asks;
mod changes;

use mainstem_schemas::Catalog;
use mainstem_schemas::registry::SchemaFact;

use std::collections::BTreeMap;

use mainstem_schemas::registry::{Level, Mode, Reference, RegistryFact};

use crate::*;

fn no_reader(_: &str, _: &str) -> Vec<Incompatibility> {
    Vec::new()
}

fn wish(schema: &str) -> Wish {
    Wish {
        schema: schema.into(),
        ..Wish::default()
    }
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

fn field(name: &str, kind: &str) -> String {
    format!(r#"{{"name":"{name}","type":{kind}}}"#)
}

/// As after an apply.
fn registry() -> Registry {
    let mut registry = Registry::new("shop");
    for event in Catalog::default().register_contracts().unwrap() {
        registry.take(SchemaFact::Registered(event));
    }
    let mut catalog = Catalog::default();
    catalog.register_contracts().unwrap();
    let orders = catalog
        .plan("arrivals.orders", &record(&field("x", "\"int\"")))
        .unwrap()
        .unwrap();
    registry.take(SchemaFact::Registered(orders));
    registry
}

fn put(registry: &mut Registry, subject: &str, schema: &str) -> Result<(u32, u32), RegistryError> {
    let Register { id, version, fact } = registry.register(subject, &wish(schema), &no_reader)?;
    if let Some(fact) = fact {
        registry.take(SchemaFact::Registry(fact));
    }
    Ok((id, version))
}

fn take(registry: &mut Registry, fact: RegistryFact) {
    registry.take(SchemaFact::Registry(fact));
}
