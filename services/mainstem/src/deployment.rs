//! What `docker-compose.yml` and the `Dockerfile` say of the binary is so: an engine is not needed to know that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;

use clap::{Arg, CommandFactory, Parser};
use mainstem_test_python::{root, script};
use serde_json::Value;

use crate::cli::{Cli, PORT};

/// Where the image has the binary.
const BINARY: &str = "/usr/local/bin/mainstem";

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn validated(file: &Path) -> Output {
    script("compose.py")
        .unwrap()
        .arg(file)
        .arg(root().join("tests/compose/compose-spec.json"))
        .output()
        .unwrap()
}

fn compose() -> Value {
    let output = validated(&root().join("docker-compose.yml"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The services that run the binary, by name.
fn ours(compose: &Value) -> BTreeMap<&str, &Value> {
    let services = compose["services"].as_object().unwrap().iter();
    let ours = services.filter(|(_, service)| service["image"] == "mainstem:local");
    ours.map(|(name, service)| (name.as_str(), service))
        .collect()
}

fn words(value: &Value) -> Vec<String> {
    let words = value.as_array().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// The options of a command that a variable of the environment stands for.
fn option_of(command: &[String], variable: &str) -> Option<String> {
    let cli = Cli::command();
    let sub = cli.find_subcommand(&command[0])?;
    let named = |arg: &&Arg| arg.get_env().is_some_and(|env| env == variable);
    let found = sub.get_arguments().find(named)?;
    Some(format!("--{}", found.get_long()?))
}

fn parsed(words: &[String]) -> Cli {
    let all = std::iter::once("mainstem").chain(words.iter().map(String::as_str));
    Cli::try_parse_from(all).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

#[test]
fn the_compose_file_is_valid_and_a_mistake_in_it_would_be_told() {
    compose();
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("wrong.yml");
    let mistaken =
        read("docker-compose.yml").replace("restart: unless-stopped", "restarts: always");
    std::fs::write(&wrong, mistaken).unwrap();
    let output = validated(&wrong);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("restarts"),
        "{said}"
    );
}

#[test]
fn every_command_and_variable_of_the_compose_file_is_the_binarys() {
    let compose = compose();
    let ours = ours(&compose);
    let names: Vec<&str> = ours.keys().copied().collect();
    assert_eq!(names, ["apply", "clock", "gateway", "processor"]);
    for (name, service) in ours {
        let mut command = words(&service["command"]);
        for (variable, value) in service["environment"].as_object().unwrap() {
            let option = option_of(&command, variable);
            let option = option.unwrap_or_else(|| panic!("{name} knows no {variable}"));
            command.extend([option, value.as_str().unwrap().to_owned()]);
        }
        parsed(&command);
        if command[0] == "apply" {
            continue;
        }
        // It is asked whether it is ready where it listens, and answers to its own name.
        let port = command.iter().position(|word| word == "--port").unwrap() + 1;
        let health = words(&service["healthcheck"]["test"]);
        let expected = ["CMD", BINARY, "health", "--port", &command[port]];
        assert_eq!(health, expected, "{name}");
        parsed(&health[2..]);
        assert_eq!(service["environment"]["MAINSTEM_HOSTS"], *name);
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap();
            assert!(port.starts_with("127.0.0.1:"), "{port} is open to all");
            assert!(port.ends_with(&format!(":{PORT}")), "{port}");
        }
    }
}

#[test]
fn the_services_of_the_compose_file_fit_together() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let volumes = compose["volumes"].as_object().unwrap();
    for (name, service) in services {
        let waits = service["depends_on"].as_object();
        for (other, how) in waits.into_iter().flatten() {
            let healthy = how["condition"] == "service_healthy";
            assert_eq!(
                healthy,
                services[other]["healthcheck"].is_object(),
                "{name}"
            );
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let (from, _) = volume.as_str().unwrap().split_once(':').unwrap();
            match from.strip_prefix("./") {
                Some(file) => assert!(root().join(file).exists(), "{file}"),
                None => assert!(volumes.contains_key(from), "{from}"),
            }
        }
    }
    for (name, service) in ours(&compose) {
        let blobs = service["environment"]["MAINSTEM_BLOBS"].as_str().unwrap();
        let mounts = words(&service["volumes"]);
        assert!(
            mounts.contains(&format!("blobs:{blobs}")),
            "{name}: {mounts:?}"
        );
        let kafka = &service["environment"]["MAINSTEM_KAFKA"];
        assert_eq!(kafka, "kafka:19092");
        let restart = if name == "apply" {
            "no"
        } else {
            "unless-stopped"
        };
        assert_eq!(service["restart"], restart, "{name}");
    }
    let kafka = &services["kafka"];
    let image = kafka["image"].as_str().unwrap();
    assert!(image.starts_with("apache/kafka:4.1."), "{image}");
    let advertised = kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str();
    assert!(advertised.unwrap().contains("://kafka:19092"));
    assert_eq!(services["topics"]["image"], kafka["image"]);
}

#[test]
fn the_image_is_built_of_what_there_is_and_runs_as_nobody() {
    let docker = read("Dockerfile");
    let lines: Vec<&str> = docker.lines().map(str::trim).collect();
    // The stages that others copy from, and the files that are copied from here.
    let stages: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("FROM ")?.split_once(" AS "))
        .map(|(_, stage)| stage)
        .collect();
    for copied in lines.iter().filter_map(|line| line.strip_prefix("COPY ")) {
        let mut words: Vec<&str> = copied.split(' ').collect();
        let from = words.iter().find_map(|word| word.strip_prefix("--from="));
        words.retain(|word| !word.starts_with("--"));
        match from {
            Some(stage) => assert!(stages.contains(stage), "{copied}"),
            None => assert!(root().join(words[0]).exists(), "{copied}"),
        }
    }
    // Everything that a build reads is sent to the engine: all members, their lock file, and the demo's data.
    let ignored = read(".dockerignore");
    let ignored: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('/'))
        .collect();
    let manifest = read("Cargo.toml");
    let (_, members) = manifest.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members = members.split('"').skip(1).step_by(2);
    for path in members.chain(["Cargo.toml", "Cargo.lock", "examples"]) {
        assert!(root().join(path).exists(), "{path}");
        let out = |ignored: &&str| path == *ignored || path.starts_with(&format!("{ignored}/"));
        assert!(!ignored.iter().any(out), "{path}");
    }
    // The compiler is one that the workspace takes.
    let (_, version) = manifest.split_once("rust-version = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    assert!(docker.contains(&format!("FROM rust:{version}-slim-bookworm AS tools")));

    let last = docker.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("\nUSER nonroot:nonroot\n"), "{last}");
    // Dependencies and the program are built alike, by a profile that the workspace has.
    assert!(manifest.contains("\n[profile.dist]\n"));
    assert_eq!(docker.matches(" --profile dist --locked ").count(), 2);
    assert!(last.contains(&format!("/src/target/dist/mainstem {BINARY}\n")));
    assert!(last.contains(&format!("ENTRYPOINT [\"{BINARY}\"]")));
    let health = format!("CMD [\"{BINARY}\", \"health\"]");
    assert!(last.contains(&health) && last.contains(&format!("EXPOSE {PORT}")));
    parsed(&["health".to_owned()]);
}
