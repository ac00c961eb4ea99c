//! Features: from `{mean: price, last: 48}` to an expression.

use std::ops::Range;

use mainstem_schemas::definition::{Expression, Statistic};

use super::record::Record;
use crate::grammar::EXPRESSIONS;
use crate::tree::Node;

/// The expression of a feature, and its operands with their places. What the checker has refused is a column without
/// a name and has no operands.
pub(super) fn expression(node: &Node) -> (Expression, Vec<(&str, Range<usize>)>) {
    if let Some(column) = node.text().filter(|_| !node.is_null()) {
        let operand = (column, node.span.clone());
        return (Expression::Column(column.to_owned()), vec![operand]);
    }
    let named = |tag: &str| node.get(tag).map(|value| (tag.to_owned(), value));
    let mut tags = EXPRESSIONS
        .iter()
        .filter_map(|keys| named(keys.first()?.name));
    let Some((tag, value)) = tags.next() else {
        return (Expression::Column(String::new()), Vec::new());
    };
    let operands = match value.text() {
        Some(name) => vec![(name, value.span.clone())],
        None => {
            let items = value.items().iter();
            items
                .filter_map(|item| Some((item.text()?, item.span.clone())))
                .collect()
        }
    };
    let operand = |at: usize| {
        operands
            .get(at)
            .map(|(name, _)| (*name).to_owned())
            .unwrap_or_default()
    };
    let record = Record::of(Some(node), &[]);
    let of = operand(0);
    let (left, right) = (operand(0), operand(1));
    let expression = match tag.as_str() {
        "column" => Expression::Column(of),
        "lag" => Expression::Lag {
            of,
            by: record.whole("by"),
        },
        "change" => Expression::Change {
            of,
            by: record.whole("by"),
        },
        "difference" => Expression::Difference { left, right },
        "ratio" => Expression::Ratio { left, right },
        "ewma" => Expression::Ewma {
            of,
            alpha: record.number("alpha"),
        },
        other => Expression::Window {
            statistic: statistic(other),
            of,
            last: record.whole("last"),
        },
    };
    (expression, operands)
}

fn statistic(name: &str) -> Statistic {
    match name {
        "sum" => Statistic::Sum,
        "mean" => Statistic::Mean,
        "std_population" => Statistic::StdPopulation,
        "std_sample" => Statistic::StdSample,
        "min" => Statistic::Min,
        "max" => Statistic::Max,
        _ => Statistic::Count,
    }
}
