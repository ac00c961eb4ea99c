//! A registry that takes the facts that it asks for.

use mainstem_schemas::Catalog;
use mainstem_schemas::registry::SchemaFact;

use super::*;

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

#[test]
fn what_the_product_writes_is_found_and_changed_by_nobody() {
    let mut registry = registry();
    let turn = registry.version("mainstem.Turn", None, false).unwrap();
    assert_eq!(turn.version, 1);
    let (id, text) = (turn.id, turn.schema.text.clone());
    assert_eq!(
        put(&mut registry, "mainstem.Turn", &text),
        Ok((id, 1)),
        "what is there is told"
    );
    let refused = put(&mut registry, "mainstem.Turn", &record("")).unwrap_err();
    assert_eq!(refused.code(), 42205);
    assert_eq!(
        registry
            .delete_subject("mainstem.Turn", false)
            .unwrap_err()
            .code(),
        42205
    );
    let project = mainstem_schemas::definition::Project {
        name: "shop".into(),
        clock: mainstem_schemas::definition::Clock::Wall,
        partitions: 1,
        sources: BTreeMap::new(),
        views: BTreeMap::new(),
        models: BTreeMap::new(),
    };
    registry.define(&project);
    assert_eq!(
        registry
            .version("shop.turns-value", None, false)
            .unwrap()
            .id,
        id
    );
    assert!(
        registry
            .versions_of(id, false)
            .contains(&("shop.turns-value", 1))
    );
    assert_eq!(
        put(&mut registry, "shop.turns-value", &record(""))
            .unwrap_err()
            .code(),
        42205
    );
}

#[test]
fn a_source_takes_versions_beside_its_own() {
    let mut registry = registry();
    let subject = "shop.arrivals.orders-value";
    assert_eq!(registry.source_of(subject), Some("orders"));
    let own = registry.version(subject, None, false).unwrap().id;
    let more = record(&format!(
        "{},{}",
        field("x", "\"long\""),
        r#"{"name":"y","type":["null","int"],"default":null}"#
    ));
    let (id, version) = put(&mut registry, subject, &more).unwrap();
    assert_eq!((id, version), (own + 1, 2));
    assert_eq!(put(&mut registry, subject, &more), Ok((id, 2)), "again");
    assert_eq!(
        put(&mut registry, "other", &more),
        Ok((id, 1)),
        "one schema, one id"
    );
    assert_eq!(
        registry
            .delete_version(subject, Some(1), false)
            .unwrap_err()
            .code(),
        42205
    );
    assert_eq!(
        registry.delete_subject(subject, false).unwrap_err().code(),
        42205
    );
    let (fact, 2) = registry.delete_version(subject, Some(2), false).unwrap() else {
        panic!()
    };
    take(&mut registry, fact);
    assert_eq!(registry.versions(subject, false), Ok(vec![1]));
    assert_eq!(
        put(&mut registry, subject, &more),
        Ok((id, 3)),
        "it comes back under its id"
    );
}

#[test]
fn levels_say_which_versions_count() {
    let mut registry = Registry::new("shop");
    let versions = [
        record(&field("x", "\"int\"")),
        record(&format!(
            "{},{}",
            field("x", "\"int\""),
            r#"{"name":"y","type":"int","default":0}"#
        )),
    ];
    for schema in &versions {
        put(&mut registry, "s", schema).unwrap();
    }
    // It reads the second version, and not the first, which has no y.
    let third = record(&format!(
        "{},{}",
        field("x", "\"int\""),
        field("y", "\"int\"")
    ));
    let misfits = |registry: &Registry, against| {
        registry
            .test("s", against, &wish(&third), &no_reader)
            .unwrap()
    };
    assert_eq!(misfits(&registry, Against::Level), [""; 0]);
    assert!(misfits(&registry, Against::Version(1))[0].contains("'y'"));
    let level = |level| registry.set_level(Some("s"), Some(level)).unwrap();
    let fact = level(Level::BackwardTransitive);
    take(&mut registry, fact);
    assert!(misfits(&registry, Against::Level)[0].contains("READER_FIELD_MISSING_DEFAULT_VALUE"));
    let refused = put(&mut registry, "s", &third).unwrap_err();
    assert_eq!(refused.code(), 409);
    let words = refused.to_string();
    for part in [
        "\"s\"",
        "field 'y'",
        "{oldSchemaVersion: 1}",
        "{compatibility: 'BACKWARD_TRANSITIVE'}",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    for (level, fits) in [
        (Level::Forward, false),
        (Level::Full, false),
        (Level::None, true),
    ] {
        let fact = registry.set_level(Some("s"), Some(level)).unwrap();
        take(&mut registry, fact);
        let without_x = record(r#"{"name":"y","type":"int","default":0}"#);
        assert_eq!(
            registry
                .register("s", &wish(&without_x), &no_reader)
                .is_ok(),
            fits,
            "{level}"
        );
    }
    let fact = registry.set_level(Some("s"), None).unwrap();
    take(&mut registry, fact);
    assert_eq!(registry.own_level("s"), None);
    assert_eq!(
        registry.set_level(Some("s"), None).unwrap_err().code(),
        40408
    );
}

#[test]
fn a_reader_of_the_product_has_its_say() {
    let registry = registry();
    let readable = |subject: &str, _: &str| {
        vec![Incompatibility {
            kind: "NOT_READABLE",
            description: format!("{subject} must have x"),
            info: "x".into(),
        }]
    };
    let refused = registry
        .register("s", &wish("\"int\""), &readable)
        .unwrap_err();
    assert!(refused.to_string().contains("must have x"), "{refused}");
}

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
fn references_are_kept_while_they_are_referred_to() {
    let mut registry = Registry::new("shop");
    let place = r#"{"type":"record","name":"geo.Place","fields":[{"name":"c","type":"string"}]}"#;
    put(&mut registry, "place", place).unwrap();
    let reference = Reference {
        name: "geo.Place".into(),
        subject: "place".into(),
        version: 1,
    };
    let order = record(&field("at", "\"geo.Place\""));
    let with = |version| Wish {
        references: vec![Reference {
            version,
            ..reference.clone()
        }],
        ..wish(&order)
    };
    assert_eq!(
        registry
            .register("order", &wish(&order), &no_reader)
            .unwrap_err()
            .code(),
        42201
    );
    let missing = registry
        .register("order", &with(2), &no_reader)
        .unwrap_err();
    assert!(
        missing.code() == 42201 && missing.to_string().contains("\"place\" and version 2"),
        "{missing}"
    );
    let fact = registry
        .register("order", &with(1), &no_reader)
        .unwrap()
        .fact
        .unwrap();
    take(&mut registry, fact);
    assert_eq!(registry.referred_by("place", 1), [2]);
    assert!(registry.by_id(2).unwrap().whole().contains("\"c\""));
    assert_eq!(
        registry.delete_subject("place", false).unwrap_err().code(),
        42206
    );
    assert_eq!(
        registry.lookup("order", &with(1), false).unwrap().version,
        1
    );
    assert_eq!(
        registry
            .lookup("order", &wish("\"int\""), false)
            .unwrap_err()
            .code(),
        40403
    );
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

#[test]
fn what_is_no_avro_schema_is_refused() {
    let registry = Registry::new("shop");
    for text in ["{", "", "{\"type\":\"record\"}", "\"who\""] {
        assert_eq!(
            registry
                .register("s", &wish(text), &no_reader)
                .unwrap_err()
                .code(),
            42201,
            "{text}"
        );
    }
    let json = Wish {
        kind: Some("JSON".into()),
        ..wish("{}")
    };
    let refused = registry.register("s", &json, &no_reader).unwrap_err();
    assert!(
        refused.code() == 42201 && refused.to_string().contains("Avro"),
        "{refused}"
    );
}

#[test]
fn normalised_wishes_find_what_means_the_same() {
    let mut registry = Registry::new("shop");
    put(
        &mut registry,
        "s",
        r#"{"name":"a.R","type":"record","fields":[]}"#,
    )
    .unwrap();
    let other = r#"{"type":"record","namespace":"a","name":"R","fields":[]}"#;
    let lookup = |normalize| {
        let wish = Wish {
            normalize,
            ..wish(other)
        };
        registry
            .lookup("s", &wish, false)
            .map(|found| found.version)
    };
    assert_eq!(lookup(false).unwrap_err().code(), 40403);
    assert_eq!(lookup(true), Ok(1));
}
