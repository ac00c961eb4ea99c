//! forust's trees as ONNX.
//!
//! forust compares in f64 and ONNX in f32. Served values are f32, so a split value rounded *up* to f32 decides as the
//! f64 one does: no f32 lies between the two, and `x < t` holds for the same x.

use super::{TrainError, Trained};
use crate::write::{TreeTable, classifier};
use forust_ml::gradientbooster::GradientBooster;
use forust_ml::tree::Tree;

/// The model file of a trained booster.
pub(super) fn export(booster: &GradientBooster, width: usize) -> Result<Trained, TrainError> {
    let mut table = TreeTable::default();
    for (number, tree) in (0..).zip(&booster.trees) {
        append(tree, number, &mut table)?;
    }
    let (leaves, trees) = (table.weight.len(), booster.trees.len());
    let base = booster.base_score as f32;
    if let Some(weight) = table
        .weight
        .iter()
        .chain([&base])
        .find(|weight| !weight.is_finite())
    {
        return Err(TrainError::Failed {
            reason: format!("a leaf's weight is {weight}"),
        });
    }
    let base = balance(&mut table, trees as i64, base);
    let doc = format!("gradient-boosted trees: {trees} trees, {leaves} leaves");
    Ok(Trained {
        onnx: classifier(table, width, Some(base), "LOGISTIC", &doc),
        trees,
        leaves,
    })
}

fn append(tree: &Tree, number: i64, table: &mut TreeTable) -> Result<(), TrainError> {
    for (id, node) in (0..).zip(&tree.nodes) {
        if node.is_leaf {
            table.leaf(number, id, node.weight_value);
            continue;
        }
        let (left, right) = (node.left_child, node.right_child);
        if node.missing_node != left && node.missing_node != right {
            return Err(TrainError::Failed {
                reason: "a tree has a branch for missing values".into(),
            });
        }
        let children = [left as i64, right as i64];
        let threshold = round_up(node.split_value);
        table.split(
            number,
            id,
            node.split_feature as i64,
            threshold,
            children,
            node.missing_node == left,
        );
    }
    Ok(())
}

/// ONNX Runtime reads an ensemble without one negative weight as votes, and then says class 1 above 0.5 instead of
/// above 0. Such an ensemble gets a tree that takes 1 away and a base value that gives it back.
fn balance(table: &mut TreeTable, tree: i64, base: f32) -> f32 {
    if table.weight.iter().any(|weight| *weight < 0.0) {
        return base;
    }
    table.leaf(tree, 0, -1.0);
    base + 1.0
}

/// The smallest f32 that is not below `value`.
fn round_up(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value {
        near.next_up()
    } else {
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rounded_split_decides_as_the_original(split in any::<f64>(), x in any::<f32>()) {
            prop_assume!(!split.is_nan());
            prop_assert_eq!(x < round_up(split), f64::from(x) < split);
        }

        #[test]
        fn also_next_to_the_value(x in any::<f32>(), near in -2i64..=2) {
            prop_assume!(x.is_finite());
            let split = f64::from_bits((f64::from(x).to_bits() as i64).wrapping_add(near) as u64);
            prop_assume!(!split.is_nan());
            prop_assert_eq!(x < round_up(split), f64::from(x) < split);
        }
    }
}
