//! The Python processes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use mainstem_test_python::script;
use serde_json::Value;

/// A producer that is told what to write.
pub struct Writer {
    process: Child,
    tells: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Writer {
    pub fn start(brokers: &str, registry: &str, project: &str) -> Self {
        let mut process = script("clients.py")
            .unwrap()
            .args(["write", brokers, registry, project])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Writer {
            tells: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    pub fn ask(&mut self, told: &Value) -> Value {
        let tells = self.tells.as_mut().unwrap();
        tells.write_all(format!("{told}\n").as_bytes()).unwrap();
        tells.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|why| panic!("{why}: {answer:?}"))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.tells.take());
        let _ = self.process.wait();
    }
}

/// Every committed record of some topics, in the order of partitions and offsets.
pub fn read(brokers: &str, registry: &str, topics: &[String]) -> BTreeMap<String, Vec<Value>> {
    let mut command = script("clients.py").unwrap();
    command.args(["read", brokers, registry]).args(topics);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let topic = record["topic"].as_str().unwrap().to_owned();
        found.entry(topic).or_default().push(record);
    }
    found
}
