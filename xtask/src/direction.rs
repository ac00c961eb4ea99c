//! The direction of dependencies: `schemas ← streams ← services`, and rooms never import rooms.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What thinking may not depend on, and why.
const BANNED: [(&str, &str); 6] = [
    ("tokio", "folds are synchronous"),
    ("rdkafka", "the log is a port"),
    ("rusqlite", "the log is a port"),
    ("tract-onnx", "models are handed in as `Known`"),
    ("reqwest", "folds do no I/O"),
    ("axum", "folds do no I/O"),
];

/// What thinking may not name itself. Codecs (Avro, Arrow) bring them along for uses that no fold makes.
const BANNED_BY_NAME: [(&str, &str); 2] = [
    (
        "rand",
        "folds are deterministic; property tests have their own",
    ),
    ("chrono", "time is an argument"),
];

/// Words in sources under `streams/` that read a clock, chance or an order that is none.
const IMPURE: [(&str, &str); 6] = [
    ("SystemTime", "time is an argument"),
    ("Instant::now", "time is an argument"),
    ("HashMap", "state is ordered: use BTreeMap"),
    ("HashSet", "state is ordered: use BTreeSet"),
    ("std::fs", "folds do no I/O"),
    ("std::net", "folds do no I/O"),
];

/// Methods of floats that the platform's library computes, with other bits elsewhere; `libm` has them all.
const PLATFORM: [&str; 9] = [
    ".exp()",
    ".ln()",
    ".log2()",
    ".log10()",
    ".powf(",
    ".sin()",
    ".cos()",
    ".tanh()",
    ".exp_m1()",
];

/// Fails with every violation.
pub fn check() -> Result<(), String> {
    let mut found = Vec::new();
    dependencies(&mut found)?;
    sources(Path::new("streams"), &mut found)?;
    rooms(&mut found)?;
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the direction of dependencies is broken:\n  {}",
            found.join("\n  ")
        ))
    }
}

fn dependencies(found: &mut Vec<String>) -> Result<(), String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let graph = Graph::of(&metadata);
    for (id, (name, manifest)) in &graph.members {
        let layer = layer(manifest);
        for direct in graph.edges.get(id).into_iter().flatten() {
            let other = &graph.packages[direct].0;
            let banned = BANNED_BY_NAME
                .iter()
                .find(|(banned, _)| layer < 2 && banned == other);
            found.extend(banned.map(|(banned, why)| format!("{name} depends on {banned}: {why}")));
        }
        for reached in graph.reach(id) {
            let (other, other_manifest) = &graph.packages[&reached];
            if graph.members.contains_key(&reached) && self::layer(other_manifest) > layer {
                found.push(format!("{name} depends on {other}, a layer above it"));
            }
            let banned = BANNED
                .iter()
                .find(|(banned, _)| layer < 2 && banned == other);
            found.extend(banned.map(|(banned, why)| format!("{name} reaches {banned}: {why}")));
        }
    }
    Ok(())
}

/// 0 schemas, 1 streams, 2 everything else.
fn layer(manifest: &str) -> u8 {
    if manifest.contains("/schemas/") {
        0
    } else {
        2 - u8::from(manifest.contains("/streams/"))
    }
}

/// Packages by id, and their normal dependencies.
struct Graph {
    packages: BTreeMap<String, (String, String)>,
    members: BTreeMap<String, (String, String)>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn of(metadata: &Value) -> Self {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let named = |p: &Value| (text(p, "id"), (text(p, "name"), text(p, "manifest_path")));
        let packages: BTreeMap<_, _> = list(&metadata["packages"]).iter().map(named).collect();
        let ids: BTreeSet<String> = list(&metadata["workspace_members"])
            .iter()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect();
        let members = packages
            .iter()
            .filter(|(id, _)| ids.contains(*id))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let normal = |dep: &&Value| {
            list(&dep["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
        };
        let edges = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| {
                (
                    text(node, "id"),
                    list(&node["deps"])
                        .iter()
                        .filter(normal)
                        .map(|d| text(d, "pkg"))
                        .collect(),
                )
            })
            .collect();
        Graph {
            packages,
            members,
            edges,
        }
    }

    fn reach(&self, from: &str) -> BTreeSet<String> {
        let (mut reached, mut waiting) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(id) = waiting.pop() {
            for next in self.edges.get(&id).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    waiting.push(next.clone());
                }
            }
        }
        reached
    }
}

fn sources(dir: &Path, found: &mut Vec<String>) -> Result<(), String> {
    for file in rust_files(dir)? {
        let path = file.display().to_string();
        if path.contains("/tests")
            || path.contains("/benches/")
            || path.contains("harness")
            || path.contains("/testkit/")
        {
            continue;
        }
        let text = fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#[cfg(test)]") {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            let impure = IMPURE.iter().find(|(word, _)| code.contains(word));
            found.extend(impure.map(|(word, why)| format!("{path}:{}: {word}: {why}", number + 1)));
            let platform = PLATFORM.iter().find(|word| code.contains(**word));
            found.extend(platform.map(|word| {
                format!(
                    "{path}:{}: {word} differs by platform: use libm",
                    number + 1
                )
            }));
        }
    }
    Ok(())
}

/// Rooms meet through `schemas`: none names another. A room is a folder with its own `mod.rs`; what several share stands
/// beside them as a file.
fn rooms(found: &mut Vec<String>) -> Result<(), String> {
    let root = Path::new("streams/rooms/src");
    let entries = fs::read_dir(root).map_err(|error| format!("{}: {error}", root.display()))?;
    let rooms: Vec<String> = entries
        .filter_map(|entry| {
            entry
                .ok()
                .filter(|e| e.path().join("mod.rs").is_file())
                .map(|e| e.file_name().to_string_lossy().into_owned())
        })
        .collect();
    for room in &rooms {
        for file in rust_files(&root.join(room))? {
            let path = file.display().to_string();
            if path.contains("tests") {
                continue;
            }
            let text = fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?;
            let others = rooms
                .iter()
                .filter(|other| *other != room && text.contains(&format!("crate::{other}::")));
            found.extend(
                others.map(|other| format!("{path}: the room {room} imports the room {other}")),
            );
        }
    }
    Ok(())
}

fn rust_files(dir: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
