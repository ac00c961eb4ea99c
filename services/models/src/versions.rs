//! What computes, by name and version: every prediction and every trained model says it.

use std::sync::OnceLock;

/// What [`crate::train()`] trains with. A test holds the version against the manifest.
pub const TRAINER: &str = concat!(
    "mainstem-models ",
    env!("CARGO_PKG_VERSION"),
    ", forust-ml 0.4.8"
);

const RUNTIME: &str = concat!(
    "mainstem-models ",
    env!("CARGO_PKG_VERSION"),
    ", tract-onnx 0.23.9"
);

/// What [`crate::OnnxModel::predict`] computes with, and the target that it was built for: kernels and `exp` differ
/// by target, so equal bits are claimed for equal runtimes only.
#[must_use]
pub fn runtime() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        let abi = [
            ("-gnu", cfg!(target_env = "gnu")),
            ("-musl", cfg!(target_env = "musl")),
        ];
        let abi = abi.iter().find(|(_, is)| *is).map_or("", |(name, _)| name);
        format!("{RUNTIME}, {arch}-{os}{abi}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_manifest() {
        let manifest = include_str!("../Cargo.toml");
        for (name, said) in [("forust-ml", TRAINER), ("tract-onnx", runtime())] {
            let line = manifest
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap();
            let version = line.split('"').nth(1).unwrap().trim_start_matches('=');
            assert!(
                said.contains(&format!("{name} {version}")),
                "{said}, but {line}"
            );
        }
    }
}
