//! Registering, looking up, testing.

use super::*;

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
        monitors: BTreeMap::new(),
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
