//! What is told of a file with mistakes.

use std::fmt::Write;

/// Every mistake, as the terminal shows it.
pub fn told(text: &str) -> String {
    let mistakes = mainstem_project::parse("mainstem.yaml", text).unwrap_err();
    let mut told = String::new();
    for mistake in mistakes {
        writeln!(told, "{mistake}\n").unwrap();
    }
    told
}

/// Snapshots what is told of a right file with one part of it replaced.
macro_rules! mistakes {
    ($file:expr; $($name:ident: $right:expr => $wrong:expr;)*) => {$(
        #[test]
        fn $name() {
            assert!($file.contains($right));
            insta::assert_snapshot!(common::told(&$file.replacen($right, $wrong, 1)));
        }
    )*};
}
pub(crate) use mistakes;
