//! The contracts against the Rust types, and every version's examples against both.
//!
//! `avsc/<Event>.avsc` is the contract. `examples/<Event>/v<N>.json` holds payloads of version N as people read them,
//! `examples/<Event>/v<N>.hex` the same payloads as bodies in a user's log, one a line, frozen: what was written once
//! is read for ever. Before a contract changes in more than its docs, its text is kept as
//! `avsc/history/<Event>.v<N>.avsc`, and the next version gets examples of its own.
//!
//! `MAINSTEM_UPDATE=1 cargo test -p mainstem-schemas --test contracts` writes the contracts from the types, and the
//! bodies that are missing; it never writes over a body.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use mainstem_schemas::catalog::{Catalog, SchemaRegistered, fingerprint};
use mainstem_schemas::events::{CONTRACTS, Event};
use mainstem_schemas::wire;
use proptest::prelude::*;
use serde_json::{Value, json};

const CHANGED: &str = "the type no longer fits its contract. If a log may hold this version, keep the contract's text \
    as avsc/history/<Event>.v<N>.avsc; then run with MAINSTEM_UPDATE=1 and add examples of the next version";

#[test]
fn contracts_are_the_schemas_of_the_types() {
    let derived = Event::derived_schemas();
    assert_eq!(derived.len(), CONTRACTS.len());
    for ((name, schema), (contract, avsc)) in derived.iter().zip(CONTRACTS) {
        assert_eq!(name, contract);
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        if updating() {
            fs::write(path(&format!("avsc/{name}.avsc")), text).unwrap();
            continue;
        }
        // Names, types, order of fields and symbols: what decides how bytes are read.
        let parsed = Schema::parse_str(avsc).unwrap();
        assert_eq!(
            parsed.canonical_form(),
            schema.canonical_form(),
            "{name}: {CHANGED}"
        );
        assert_eq!(
            *avsc, text,
            "{name}: only docs, defaults or logical types differ; run with MAINSTEM_UPDATE=1"
        );
    }
}

#[test]
fn there_is_no_contract_without_an_event() {
    for (folder, ending) in [("avsc", "avsc"), ("avsc/history", "avsc"), ("examples", "")] {
        for file in files(folder)
            .into_iter()
            .filter(|file| has_ending(file, ending))
        {
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let name = stem.split('.').next().unwrap();
            let known = CONTRACTS.iter().any(|(event, _)| *event == name);
            assert!(known, "{} belongs to no event", file.display());
        }
    }
}

#[test]
fn every_record_field_and_enum_is_documented() {
    for (name, avsc) in CONTRACTS {
        let mut undocumented = Vec::new();
        find_undocumented(&serde_json::from_str(avsc).unwrap(), &mut undocumented);
        assert!(
            undocumented.is_empty(),
            "{name}: no doc on {undocumented:?}"
        );
    }
}

#[test]
fn moments_say_that_they_are_milliseconds() {
    let tick: Value = serde_json::from_str(contract("ClockTicked")).unwrap();
    let moment = json!({"type": "long", "logicalType": "timestamp-millis"});
    assert_eq!(tick["fields"][0]["type"], moment);
}

/// Written now, every example reads back as itself, and its JSON says all of it.
#[test]
fn examples_read_back_as_written() {
    let catalog = catalog();
    for example in examples() {
        let event = example.event();
        if example.is_current() {
            assert_eq!(event.to_json(), example.json, "{example}");
        }
        let read = Event::decode(&catalog, &encoded(&event, &catalog)).unwrap();
        assert_eq!(read, event, "{example}");
    }
}

/// Bodies of every version that a log may hold, read by the types of today.
#[test]
fn frozen_bodies_stay_readable() {
    for example in examples() {
        let mut catalog = Catalog::default();
        register(&mut catalog, 7, example.name, &example.writer_schema());
        let mut value = Vec::new();
        wire::put_header(&mut value, 7);
        value.extend(example.body());
        let read = Event::decode(&catalog, &value).unwrap_or_else(|why| panic!("{example}: {why}"));
        assert_eq!(read, example.event(), "{example}");
        if example.is_current() {
            let written = encoded(&read, &catalog);
            assert_eq!(written, value, "{example}: the body's bytes changed");
        }
    }
}

/// A writer of a version before this one, without an optional field and with a narrower number.
#[test]
fn an_older_writer_is_read() {
    let mut old: Value = serde_json::from_str(contract("PublicationStarted")).unwrap();
    old["fields"].as_array_mut().unwrap().pop();
    old["fields"][1]["type"] = "int".into();
    let mut catalog = Catalog::default();
    register(&mut catalog, 1, "PublicationStarted", &old.to_string());

    let body = [&[0, 0, 0, 0, 1][..], &[2, b's', 14, 2, b'-']].concat();
    let want = json!({"source": "s", "publication": 7, "name": "-", "content": null});
    assert_eq!(Event::decode(&catalog, &body).unwrap().to_json(), want);
}

/// A writer of a version after this one: what it added is passed over.
#[test]
fn a_newer_writer_is_read() {
    let catalog = newer_catalog();
    for example in current_examples() {
        let event = example.event();
        let mut value = encoded(&event, &catalog);
        value.extend([2, 6, b'n', b'e', b'w']);
        assert_eq!(Event::decode(&catalog, &value).unwrap(), event, "{example}");
    }
}

#[test]
fn a_cut_or_lengthened_record_is_refused() {
    for (catalog, tail) in [(catalog(), &[][..]), (newer_catalog(), &[0][..])] {
        for example in current_examples() {
            let mut value = encoded(&example.event(), &catalog);
            value.extend(tail);
            for end in 0..value.len() {
                let read = Event::decode(&catalog, &value[..end]);
                assert!(read.is_err(), "{example} cut to {end} of {}", value.len());
            }
            value.push(0);
            assert!(Event::decode(&catalog, &value).is_err(), "{example}");
        }
    }
}

/// A length of 2^40 is refused by the limit, before anything is allocated for it.
#[test]
fn a_length_beyond_the_limit_is_refused() {
    let mut value = Vec::new();
    for catalog in [catalog(), newer_catalog()] {
        value.clear();
        wire::put_header(&mut value, catalog.id_of("RetrainAsked").unwrap());
        value.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
        let why = Event::decode(&catalog, &value).unwrap_err().to_string();
        assert!(why.contains("maximum allowed: 67108864"), "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever happens to a body, decoding returns; and what it returns is written as bytes that read back.
    #[test]
    fn damage_never_panics(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
        newer: bool,
    ) {
        static LATEST: std::sync::OnceLock<(Catalog, Catalog, Vec<Event>)> = std::sync::OnceLock::new();
        let (latest, resolved, events) = LATEST.get_or_init(|| {
            (catalog(), newer_catalog(), current_examples().map(|example| example.event()).collect())
        });
        let catalog = if newer { resolved } else { latest };
        let mut value = encoded(which.get(events), catalog);
        value.extend(newer.then_some(0));
        for (at, byte, how) in damage {
            let body = value.len() - wire::HEADER;
            let at = wire::HEADER + at.index(body.max(1));
            match how {
                _ if at >= value.len() => value.push(byte),
                0 => value[at] = byte,
                1 => value[at] ^= 1 << (byte % 8),
                2 => value.insert(at, byte),
                _ => { value.remove(at); }
            }
        }
        if let Ok(event) = Event::decode(catalog, &value) {
            // Bytes, not events, are compared: a damaged number may be NaN.
            let written = encoded(&event, latest);
            let again = Event::decode(latest, &written).unwrap();
            prop_assert_eq!(encoded(&again, latest), written);
        }
    }
}

/// One payload of one version of one event.
struct Example {
    name: &'static str,
    version: usize,
    versions: usize,
    at: usize,
    json: Value,
}

impl std::fmt::Display for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "examples/{}/v{} [{}]", self.name, self.version, self.at)
    }
}

impl Example {
    fn event(&self) -> Event {
        Event::from_json(self.name, self.json.clone()).unwrap_or_else(|why| panic!("{self}: {why}"))
    }

    fn is_current(&self) -> bool {
        self.version == self.versions
    }

    fn writer_schema(&self) -> String {
        if self.is_current() {
            return contract(self.name).into();
        }
        read(&format!(
            "avsc/history/{}.v{}.avsc",
            self.name, self.version
        ))
    }

    /// The frozen body; where there is none yet and it is asked for, it is written.
    fn body(&self) -> Vec<u8> {
        let file = format!("examples/{}/v{}.hex", self.name, self.version);
        if updating() && self.is_current() && self.at == 0 && !path(&file).exists() {
            let catalog = catalog();
            let bodies = examples().filter(|one| one.name == self.name && one.is_current());
            let lines =
                bodies.map(|one| hex(&encoded(&one.event(), &catalog)[wire::HEADER..]) + "\n");
            fs::write(path(&file), lines.collect::<String>()).unwrap();
        }
        let text = read(&file);
        let line = text
            .lines()
            .nth(self.at)
            .unwrap_or_else(|| panic!("{self} has no line in {file}"));
        let digits = line.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }
}

/// All examples of all versions of all events.
fn examples() -> impl Iterator<Item = Example> {
    CONTRACTS.iter().flat_map(|(name, _)| {
        let kept = format!("{name}.v");
        let is_kept = |file: &PathBuf| {
            file.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&kept)
        };
        let versions = 1 + files("avsc/history")
            .iter()
            .filter(|file| is_kept(file))
            .count();
        (1..=versions).flat_map(move |version| {
            let text = read(&format!("examples/{name}/v{version}.json"));
            let payloads: Vec<Value> = serde_json::from_str(&text).unwrap();
            assert!(!payloads.is_empty(), "{name} v{version} has no example");
            let example = move |(at, json)| Example {
                name,
                version,
                versions,
                at,
                json,
            };
            payloads.into_iter().enumerate().map(example)
        })
    })
}

fn current_examples() -> impl Iterator<Item = Example> {
    examples().filter(Example::is_current)
}

fn contract(name: &str) -> &'static str {
    CONTRACTS
        .iter()
        .find(|(event, _)| *event == name)
        .unwrap()
        .1
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.register_contracts().unwrap();
    catalog
}

/// Every contract with one optional field more at its end.
fn newer_catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (id, (name, avsc)) in (1..).zip(CONTRACTS) {
        let mut schema: Value = serde_json::from_str(avsc).unwrap();
        let field = json!({"name": "added_later", "type": ["null", "string"], "default": null});
        schema["fields"].as_array_mut().unwrap().push(field);
        register(&mut catalog, id, name, &schema.to_string());
    }
    catalog
}

fn register(catalog: &mut Catalog, id: u32, name: &str, schema: &str) {
    catalog.register(SchemaRegistered {
        id,
        subject: name.into(),
        fingerprint: fingerprint(schema).unwrap(),
        schema: schema.into(),
    });
}

fn encoded(event: &Event, catalog: &Catalog) -> Vec<u8> {
    let mut value = Vec::new();
    event.encode(catalog, &mut value).unwrap();
    value
}

/// Names of records, enums and fields without a doc.
fn find_undocumented(schema: &Value, found: &mut Vec<String>) {
    if let Some(branches) = schema.as_array() {
        branches
            .iter()
            .for_each(|branch| find_undocumented(branch, found));
    }
    let Some(object) = schema.as_object() else {
        return;
    };
    let documented = object
        .get("doc")
        .and_then(Value::as_str)
        .is_some_and(|doc| !doc.is_empty());
    if let Some(name) = object.get("name").filter(|_| !documented) {
        found.push(name.to_string());
    }
    let parts = ["type", "items", "fields"]
        .iter()
        .filter_map(|part| object.get(*part));
    parts.for_each(|part| find_undocumented(part, found));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn updating() -> bool {
    std::env::var_os("MAINSTEM_UPDATE").is_some_and(|value| value == "1")
}

fn path(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}

fn read(inside: &str) -> String {
    fs::read_to_string(path(inside))
        .unwrap_or_else(|why| panic!("schemas/{inside}: {why}; {CHANGED}"))
}

/// What lies in a folder; nothing where there is no folder.
fn files(inside: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(path(inside)).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_none_or(|found| found == ending) && (ending.is_empty() || file.is_file())
}
