//! The Python that has ONNX Runtime and scikit-learn in it.

use std::sync::OnceLock;

use mainstem_test_python::script;

/// Runs `tests/python/models.py`.
pub fn models(arguments: &[&std::ffi::OsStr]) {
    let output = script("models.py")
        .expect("a Python with ONNX Runtime")
        .args(arguments)
        .output()
        .expect("the Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    let tail = &error[error.floor_char_boundary(error.len().saturating_sub(3000))..];
    assert!(
        output.status.success(),
        "tests/python/models.py failed (`cargo xtask test --setup` installs it): {tail}"
    );
}

/// One model that ONNX Runtime has run.
pub struct Case {
    pub name: String,
    pub width: usize,
    pub onnx: Vec<u8>,
    pub rows: Vec<f32>,
    pub want: Vec<f32>,
}

/// All cases, made once per test run.
pub fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        models(&["make".as_ref(), folder.path().as_ref()]);
        let list = std::fs::read_to_string(folder.path().join("cases.txt")).unwrap();
        let case = |line: &str| {
            let (name, width) = line.split_once(' ').unwrap();
            let read =
                |kind: &str| std::fs::read(folder.path().join(format!("{name}.{kind}"))).unwrap();
            Case {
                name: name.into(),
                width: width.parse().unwrap(),
                onnx: read("onnx"),
                rows: floats(&read("rows")),
                want: floats(&read("want")),
            }
        };
        list.lines().map(case).collect()
    })
}

/// Little-endian f32.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}
