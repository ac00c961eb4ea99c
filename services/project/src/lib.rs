//! The project file: from the YAML that people write to the definition that every fold reads.
//!
//! In comes the text of `mainstem.yaml`; out goes a [`Project`] that holds together (every name means something, every
//! number is in its range, no feature is computed from itself), or every mistake in the file at once, each as a
//! compiler tells it: file, line, column, the line with a caret, what is wrong and what to write instead. Nothing else
//! is read: no environment, no other file.
//!
//! A file passes through three rooms. `tree` reads YAML into nodes that know where they stand; `check` holds them
//! against the `grammar`, the one table of keys, types, ranges, defaults and docs, from which [`json_schema()`] for
//! editors is made too; `lower` builds the definition and follows the names.
#![forbid(unsafe_code)]

mod check;
mod diagnostic;
mod grammar;
mod json_schema;
mod lower;
mod numbers;
mod scalar;
mod shape;
mod suggest;
mod tree;

use mainstem_schemas::definition::Project;

pub use diagnostic::{Diagnostic, MAX_DIAGNOSTICS};
pub use json_schema::json_schema;
pub use numbers::keep_numbers;
pub use tree::{MAX_BYTES, MAX_DEPTH};

use diagnostic::Report;

/// Reads and checks a project file. `name` is how messages call it, as a rule its path.
///
/// ```
/// let wrong = "project: shop\nsources: {}\nviewz: {}\n";
/// let mistakes = mainstem_project::parse("mainstem.yaml", wrong).unwrap_err();
/// assert_eq!((mistakes[0].line(), mistakes[0].column()), (2, 1));
/// assert!(mistakes.iter().any(|mistake| mistake.to_string().contains("did you mean `views`?")));
/// ```
///
/// # Errors
/// Every mistake in the file, by its place, at most [`MAX_DIAGNOSTICS`]; a mistake of YAML itself alone, for what
/// follows it cannot be read.
pub fn parse(name: &str, text: &str) -> Result<Project, Vec<Diagnostic>> {
    let mut report = Report::new(name, text);
    let Some(root) = tree::read(text, &mut report) else {
        return Err(report.into_diagnostics());
    };
    check::check(&root, &mut report);
    let project = lower::project(&root, &mut report);
    if report.is_empty() {
        Ok(project)
    } else {
        Err(report.into_diagnostics())
    }
}

/// Reads and checks the bytes of a project file.
///
/// # Errors
/// As [`parse`]; and where the bytes are not UTF-8.
pub fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Project, Vec<Diagnostic>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(name, text),
        Err(error) => {
            let (before, rest) = bytes.split_at(error.valid_up_to());
            let valid = String::from_utf8_lossy(before);
            let mut report = Report::new(name, &valid);
            let byte = rest.first().copied().unwrap_or_default();
            report
                .error(
                    before.len()..before.len(),
                    format!("byte {byte:#04x} is not UTF-8 text"),
                )
                .help("save the file as UTF-8");
            Err(report.into_diagnostics())
        }
    }
}

/// The project file of `examples/electricity`: every part of the language in one file.
#[must_use]
pub fn example() -> &'static str {
    include_str!("../../../examples/electricity/mainstem.yaml")
}
