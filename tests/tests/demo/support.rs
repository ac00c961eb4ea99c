//! The binary, and what a log holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mainstem_host::Store;
use mainstem_kernel::Partition;
use mainstem_kernel::worker::for_each;

pub const DATA: &str = include_str!("../../../examples/electricity/electricity.csv");
pub const PROJECT: &str = include_str!("../../../examples/electricity/mainstem.yaml");

/// The binary, built by cargo in the profile of this test.
pub fn mainstem() -> Command {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--package", "mainstem"])
            .current_dir(root);
        if profile == "release" {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
    });
    Command::new(target.join(profile).join("mainstem"))
}

/// The header and the first rows of the data.
pub fn rows(count: usize) -> String {
    DATA.lines()
        .take(count + 1)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Key, value and headers of every record, per partition and writer: tasks that write to one partition on one tick
/// have no order between them. Without the chain (how turns are cut differs between live runs) and without outcomes
/// (which hold observed durations and positions).
pub type Contents = BTreeMap<(Partition, String), Vec<String>>;

pub fn contents(store: &Store) -> Contents {
    let mut contents = Contents::new();
    let mut reader = store.log.reader().unwrap();
    let left_out = [".turns", ".snapshots", ".outcomes"];
    for topic in store.log.topics().unwrap() {
        if left_out.iter().any(|end| topic.name.ends_with(end)) {
            continue;
        }
        for index in 0..topic.partitions {
            let partition = Partition::new(&topic.name, index);
            for_each(reader.as_mut(), &partition, |record| {
                let writer =
                    String::from_utf8_lossy(record.header("ce_source").unwrap_or_default())
                        .into_owned();
                let text = format!(
                    "{:?}",
                    (
                        record.key,
                        record.value,
                        record.headers().collect::<Vec<_>>()
                    )
                );
                contents
                    .entry((partition.clone(), writer))
                    .or_default()
                    .push(text);
                Ok(())
            })
            .unwrap();
        }
    }
    contents
}

/// Fails, in few words, with the first record that differs.
pub fn assert_same(expected: &Contents, found: &Contents, when: &str) {
    for (place, records) in expected {
        let others = found.get(place).map_or(&[][..], Vec::as_slice);
        let differs = records.iter().zip(others).position(|(one, two)| one != two);
        assert_eq!(differs, None, "{place:?} {when}");
        assert_eq!(records.len(), others.len(), "{place:?} {when}");
    }
    assert_eq!(expected.len(), found.len(), "{when}");
}
