//! The model that a trained one has to beat: the class stays as it is.

use crate::write::{TreeTable, classifier};

/// An ONNX model that answers 1 where `column` is at least 0.5, else 0 (also where it is missing), with the same
/// signature as a trained one. `column` holds the last known class.
///
/// A column outside of the row gives a model that [`crate::Onnx::load`] refuses.
#[must_use]
pub fn persistence(width: usize, column: usize) -> Vec<u8> {
    let mut stump = TreeTable::default();
    // A missing value goes to the true side: below 0.5.
    stump.split(0, 0, column as i64, 0.5, [1, 2], true);
    stump.leaf(0, 1, 0.0);
    stump.leaf(0, 2, 1.0);
    classifier(stump, width, None, "NONE", "the class stays as it is")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Onnx;

    #[test]
    fn the_class_stays_as_it_is() {
        let model = Onnx::load(&persistence(3, 1), 3).unwrap();
        let mut out = Vec::new();
        model
            .predict(
                &[
                    9.0,
                    0.0,
                    9.0,
                    0.0,
                    1.0,
                    0.0,
                    1.0,
                    f32::NAN,
                    1.0,
                    0.0,
                    0.5,
                    0.0,
                ],
                &mut out,
            )
            .unwrap();
        assert_eq!(out, [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_column_outside_of_the_row_is_refused() {
        let error = Onnx::load(&persistence(3, 3), 3).unwrap_err().to_string();
        assert!(error.contains("splits on column 3"), "{error}");
    }
}
