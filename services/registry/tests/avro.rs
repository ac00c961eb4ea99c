//! The compatibility rules against those of Apache Avro's own library, on schemas by the thousand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;

use mainstem_registry::{Types, Which, can_read};
use mainstem_test_python::script;
use serde_json::{Value, json};

/// Pairs that are compared: each rule is met some hundred times.
const PAIRS: usize = 6_000;

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % count
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn some<'a>(&mut self, of: &[&'a str]) -> Vec<&'a str> {
        let mut found: Vec<&str> = of.iter().copied().filter(|_| self.below(3) > 0).collect();
        if found.is_empty() {
            found.push(of[0]);
        }
        found
    }
}

/// A schema with the names that it has used so far: each is defined once and referred to after.
struct Maker<'a> {
    dice: &'a mut Dice,
    used: BTreeSet<String>,
}

impl Maker<'_> {
    fn schema(&mut self, depth: usize) -> Value {
        match self.dice.below(if depth == 0 { 4 } else { 10 }) {
            0..3 => {
                let names = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
                self.dice.one(&names).into()
            }
            3 => self.named(&["E", "F"], |maker, name| {
                let symbols = maker.dice.some(&["A", "B", "C"]);
                let mut schema = json!({"type": "enum", "name": name, "symbols": symbols});
                if maker.dice.below(3) == 0 {
                    schema["default"] = symbols[0].into();
                }
                schema
            }),
            4 => self.named(&["X", "Y"], |maker, name| {
                json!({"type": "fixed", "name": name, "size": 2 + maker.dice.below(2)})
            }),
            5 => json!({"type": "array", "items": self.schema(depth - 1)}),
            6 => json!({"type": "map", "values": self.schema(depth - 1)}),
            7 => self.union(depth),
            _ => self.named(&["R", "S"], |maker, name| maker.record(name, depth)),
        }
    }

    fn named(&mut self, names: &[&str], make: impl FnOnce(&mut Self, &str) -> Value) -> Value {
        let name = self.dice.one(names);
        if self.used.insert(name.to_owned()) {
            make(self, name)
        } else {
            format!("n.{name}").into()
        }
    }

    fn union(&mut self, depth: usize) -> Value {
        let mut kinds = BTreeSet::new();
        let mut branches = Vec::new();
        for _ in 0..2 + self.dice.below(2) {
            let branch = self.schema(depth - 1);
            let kind = branch
                .as_str()
                .or_else(|| branch["name"].as_str())
                .or_else(|| branch["type"].as_str());
            let Some(kind) = kind.map(|kind| kind.trim_start_matches("n.").to_owned()) else {
                continue;
            };
            if kinds.insert(kind) {
                branches.push(branch);
            }
        }
        branches.into()
    }

    fn record(&mut self, name: &str, depth: usize) -> Value {
        let mut fields = Vec::new();
        for field in self.dice.some(&["a", "b", "c"]) {
            let kind = self.schema(depth - 1);
            let default = match kind.as_str() {
                Some("int" | "long" | "float" | "double") => Some(json!(0)),
                Some("string") => Some(json!("")),
                Some("boolean") => Some(json!(false)),
                _ => None,
            };
            let mut one = json!({"name": field, "type": kind});
            if let Some(default) = default.filter(|_| self.dice.below(2) == 0) {
                one["default"] = default;
            }
            if field == "c" && self.dice.below(2) == 0 {
                one["name"] = "d".into();
                one["aliases"] = json!(["c"]);
            }
            fields.push(one);
        }
        let mut record = json!({"type": "record", "name": name, "fields": fields});
        if self.dice.below(6) == 0 {
            record["aliases"] = json!(["n.R", "n.S"]);
        }
        record
    }
}

fn make(dice: &mut Dice) -> Value {
    let used = BTreeSet::from(["Top".to_owned()]);
    let mut maker = Maker { dice, used };
    let mut record = maker.record("Top", 3);
    record["namespace"] = "n".into();
    record
}

/// The same schema, but for a type, a field, a symbol or a size here and there.
fn change(schema: &mut Value, dice: &mut Dice) {
    match schema {
        Value::Array(branches) => branches.iter_mut().for_each(|one| change(one, dice)),
        Value::Object(_) => {
            for list in ["fields", "symbols"] {
                if let Some(list) = schema.get_mut(list).and_then(Value::as_array_mut)
                    && list.len() > 1
                    && dice.below(6) == 0
                {
                    list.pop();
                }
            }
            let fields = schema.get_mut("fields").and_then(Value::as_array_mut);
            for field in fields.into_iter().flatten() {
                change(&mut field["type"], dice);
            }
            for part in ["items", "values"] {
                if let Some(part) = schema.get_mut(part) {
                    change(part, dice);
                }
            }
            if schema["size"] == 2 && dice.below(4) == 0 {
                schema["size"] = 3.into();
            }
        }
        Value::String(name) => {
            let narrower = [
                ("double", "float"),
                ("float", "long"),
                ("long", "int"),
                ("bytes", "string"),
            ];
            let found = narrower.iter().find(|(wide, _)| wide == name);
            match dice.below(8) {
                0..3 => *name = found.map_or(name.clone(), |(_, narrow)| (*narrow).to_owned()),
                3 if !name.contains('.') => *name = "boolean".into(),
                _ => {}
            }
        }
        _ => {}
    }
}

/// What Apache Avro says of each pair.
fn oracle(pairs: &[(Value, Value)]) -> Vec<Value> {
    let lines: String = pairs
        .iter()
        .map(|(reader, writer)| json!([reader, writer]).to_string() + "\n")
        .collect();
    let mut process = script("compatibility.py")
        .unwrap()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn records_are_read_where_apache_avro_reads_them() {
    let mut dice = Dice(0x5eed_5eed_5eed_5eed);
    let mut pairs = Vec::new();
    while pairs.len() < PAIRS {
        let reader = make(&mut dice);
        let mut writer = if dice.below(3) == 0 {
            make(&mut dice)
        } else {
            reader.clone()
        };
        change(&mut writer, &mut dice);
        let sound = |schema: &Value| Types::parse(&schema.to_string()).is_ok();
        if sound(&reader) && sound(&writer) {
            pairs.push((reader, writer));
        }
    }
    let mut kinds = BTreeSet::new();
    let mut fits = 0;
    for ((reader, writer), wanted) in pairs.iter().zip(oracle(&pairs)) {
        let parse = |schema: &Value| Types::parse(&schema.to_string()).unwrap();
        let found = can_read(&parse(reader), &parse(writer), Which::NewReads);
        let names: BTreeSet<String> = found.iter().map(|one| one.kind.to_lowercase()).collect();
        assert_eq!(
            found.is_empty(),
            wanted == true,
            "{wanted}: {found:?}\nreader {reader}\nwriter {writer}"
        );
        fits += usize::from(found.is_empty());
        kinds.extend(names);
    }
    assert!(
        (PAIRS / 5..PAIRS / 2).contains(&fits),
        "{fits} of {PAIRS} fit"
    );
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}
