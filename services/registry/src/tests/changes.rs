//! Deletes, modes, imports.

use mainstem_schemas::catalog::{SchemaRegistered, fingerprint, outside_subject};

use super::*;

#[test]
fn deletes_hide_first_and_then_forget() {
    let mut registry = Registry::new("shop");
    for kind in ["int", "long"] {
        put(&mut registry, "s", &format!("\"{kind}\"")).unwrap();
    }
    let code = |told: Result<(RegistryFact, Vec<u32>), RegistryError>| told.unwrap_err().code();
    assert_eq!(code(registry.delete_subject("s", true)), 40405);
    assert_eq!(
        registry
            .delete_version("s", Some(1), true)
            .unwrap_err()
            .code(),
        40407
    );
    let fact = registry.delete_version("s", Some(1), false).unwrap().0;
    take(&mut registry, fact);
    assert_eq!(
        registry
            .delete_version("s", Some(1), false)
            .unwrap_err()
            .code(),
        40406
    );
    assert_eq!(
        registry.version("s", Some(1), false).unwrap_err().code(),
        40402
    );
    assert_eq!(registry.version("s", Some(1), true).unwrap().id, 1);
    let (fact, gone) = registry.delete_subject("s", false).unwrap();
    assert_eq!(gone, [2]);
    take(&mut registry, fact);
    assert_eq!(code(registry.delete_subject("s", false)), 40404);
    assert_eq!(registry.versions("s", false).unwrap_err().code(), 40401);
    assert_eq!(registry.subjects("", true, false), ["s"]);
    assert!(registry.by_id(2).is_ok(), "records may still be read");
    let (fact, gone) = registry.delete_subject("s", true).unwrap();
    assert_eq!(gone, [1, 2]);
    take(&mut registry, fact);
    assert_eq!(registry.by_id(2).unwrap_err().code(), 40403);
    assert_eq!(code(registry.delete_subject("s", false)), 40401);
    assert_eq!(
        put(&mut registry, "s", "\"long\""),
        Ok((2, 1)),
        "an id is never another schema's"
    );
    assert_eq!(put(&mut registry, "s", "\"double\""), Ok((3, 2)));
}

#[test]
fn modes_say_what_may_be_done() {
    let mut registry = Registry::new("shop");
    put(&mut registry, "s", "\"int\"").unwrap();
    let set = |registry: &mut Registry, subject: Option<&str>, mode| {
        let fact = registry.set_mode(subject, Some(mode), true).unwrap();
        take(registry, fact);
    };
    set(&mut registry, None, Mode::Readonly);
    let refused = put(&mut registry, "s", "\"long\"").unwrap_err();
    assert!(
        refused.code() == 42205 && refused.to_string().contains("read-only"),
        "{refused}"
    );
    assert_eq!(
        put(&mut registry, "s", "\"int\""),
        Ok((1, 1)),
        "what is there is told"
    );
    set(&mut registry, Some("s"), Mode::Readwrite);
    assert_eq!(put(&mut registry, "s", "\"long\""), Ok((2, 2)));
    set(&mut registry, None, Mode::ReadonlyOverride);
    assert_eq!(
        put(&mut registry, "s", "\"double\"").unwrap_err().code(),
        42205
    );
    assert_eq!(
        registry
            .set_mode(Some("t"), None, false)
            .unwrap_err()
            .code(),
        40409
    );
    assert_eq!(
        registry
            .set_mode(Some("s"), Some(Mode::Import), false)
            .unwrap_err()
            .code(),
        42205
    );
}

#[test]
fn imports_bring_their_ids() {
    let mut registry = Registry::new("shop");
    let imported = |schema: &str, id| Wish {
        id: Some(id),
        version: Some(7),
        ..wish(schema)
    };
    let refused = registry
        .register("s", &imported("\"int\"", 40), &no_reader)
        .unwrap_err();
    assert!(refused.to_string().contains("import mode"), "{refused}");
    let fact = registry
        .set_mode(Some("s"), Some(Mode::Import), false)
        .unwrap();
    take(&mut registry, fact);
    let register = registry
        .register("s", &imported("\"int\"", 40), &no_reader)
        .unwrap();
    assert_eq!((register.id, register.version), (40, 7));
    take(&mut registry, register.fact.unwrap());
    let refused = registry
        .register("s", &imported("\"string\"", 40), &no_reader)
        .unwrap_err();
    assert!(refused.to_string().contains("Overwrite"), "{refused}");
    assert!(
        put(&mut registry, "s", "\"string\"").is_err(),
        "without an id"
    );
    assert_eq!(put(&mut registry, "t", "\"string\""), Ok((41, 1)));
}

/// Schemas of topics that are copied stand in the same log, and their records have names of their own.
#[test]
fn a_copied_schema_takes_no_subject_from_clients() {
    let mut registry = registry();
    let schema = record(&field("x", "\"int\""));
    let subject = outside_subject("web.clicks", 17);
    registry.take(SchemaFact::Registered(SchemaRegistered {
        id: 1_000,
        subject: subject.clone(),
        fingerprint: fingerprint(&schema).unwrap(),
        schema: schema.clone(),
    }));
    assert_eq!(
        registry.subjects("outside", false, false),
        [subject.as_str()]
    );
    let wider = record(&field("x", "\"long\""));
    assert_eq!(put(&mut registry, "R", &wider).unwrap(), (1_001, 1));
    let refused = put(&mut registry, &subject, &wider).unwrap_err();
    assert_eq!(refused.code(), 42205, "{refused}");
}
