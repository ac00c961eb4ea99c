//! The first mistakes of a new user, and what the terminal shows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{mistakes, told};

/// The smallest useful file.
const SMALL: &str = "\
project: shop
sources:
  orders:
    fields: {customer: string, amount: double, paid: boolean, at: long, note: string?}
    entity: {column: customer}
    time: {column: at}
views:
  spending:
    features:
      amount: amount
      mean: {mean: amount, last: 10}
      paid: paid
      rel: {difference: [amount, mean]}
models:
  pays:
    label: {column: paid, horizon: 1d}
    retrain:
      initial: {at: 2024-06-01}
      drift: [psi]
";

mistakes! {
    SMALL;
    a_key_is_misspelt: "horizon: 1d" => "horizn: 1d";
    a_key_of_another_tool: "label:" => "target:";
    a_key_is_given_twice: "    time: {column: at}" => "    time: {column: at}\n    time: {column: at}";
    a_source_does_not_exist: "    features:\n" => "    source: ordres\n    features:\n";
    a_column_does_not_exist: "amount: amount" => "amount: amuont";
    a_type_of_another_tool: "amount: double" => "amount: float";
    a_label_of_text: "{column: paid, horizon" => "{column: note, horizon";
    a_feature_of_text: "paid: paid" => "note: note";
    a_ring_of_features: "mean: {mean: amount, last: 10}" => "mean: {lag: rel, by: 1}";
    a_statistic_of_another_tool: "{mean: amount, last: 10}" => "{avg: amount, last: 10}";
    a_window_without_length: "{mean: amount, last: 10}" => "{mean: amount}";
    a_window_too_long: "last: 10" => "last: 1000000";
    a_span_without_unit: "horizon: 1d" => "horizon: 1";
    a_share_in_percent: "horizon: 1d}" => "horizon: 1d}\n    training: {validation: 20}";
    a_number_in_quotes: "project: shop" => "project: shop\npartitions: '8'";
    a_name_with_capitals: "project: shop" => "project: My Shop";
    yes_for_true: "    retrain:" => "    control: yes\n    retrain:";
    an_optional_entity: "{column: customer}" => "{column: note}";
    an_entity_without_braces: "entity: {column: customer}" => "entity: customer";
    two_operators: "{mean: amount, last: 10}" => "{mean: amount, lag: amount, by: 1, last: 10}";
    no_baseline_for_performance: "drift: [psi]" => "performance: {windows: 4}";
    a_list_without_brackets: "drift: [psi]" => "drift: psi";
    an_expiry_before_the_end: "drift: [psi]" => "expiry: 2d";
    a_reserved_feature: "amount: amount" => "entity: amount\n      amount: amount";
    a_feature_that_hides_a_column: "paid: paid" => "paid: paid\n      again: {column: mean}";
    a_tab: "  orders:\n" => "\torders:\n";
    a_bracket_left_open: "drift: [psi]" => "drift: [psi";
    an_anchor: "orders:" => "orders: &o";
    a_key_left_empty: "label: {column: paid, horizon: 1d}" => "label:";
    a_missing_part: "    time: {column: at}\n" => "";
    a_time_before_1970: "{column: at}" => "{start: 1949-01-01, every: 1d}";
    a_time_of_fractions: "{column: at}" => "{column: amount}";
    an_unknown_feature: "label:" => "features: [amount, meen]\n    label:";
    numbers_as_text: "{column: customer}" => "{constant: 7}";
}

#[test]
fn rows_without_a_time_and_a_horizon_between_them() {
    let text = SMALL
        .replace("{column: at}", "{start: 2024-01-01, every: 30m}")
        .replace("horizon: 1d", "horizon: 45m");
    insta::assert_snapshot!(told(&text));
}

#[test]
fn several_mistakes_at_once() {
    let text = SMALL
        .replace("project: shop", "projekt: shop")
        .replace("amount: double", "amount: number")
        .replace("last: 10", "last: 0")
        .replace("horizon: 1d", "horizon: soon")
        .replace("[psi]", "[psi, ks, psi]");
    insta::assert_snapshot!(told(&text));
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(told("# nothing yet\n"));
}

#[test]
fn a_file_of_another_kind() {
    insta::assert_snapshot!(told("period,nswprice,class\n0.0,0.056,1\n"));
}

#[test]
fn bytes_that_are_no_text() {
    let mistakes = mainstem_project::parse_bytes("mainstem.yaml", b"project: caf\xe9\n");
    insta::assert_snapshot!(mistakes.unwrap_err()[0].to_string());
}

#[test]
fn no_more_than_twenty_are_told() {
    let columns: String = (0..100).map(|n| format!("      c{n}: wrong\n")).collect();
    let text = SMALL.replace("note: string?}", "note: string?}\n    extra:\n") + &columns;
    let mistakes = mainstem_project::parse("t", &text).unwrap_err();
    assert!(mistakes.len() <= mainstem_project::MAX_DIAGNOSTICS);
}

#[test]
fn colour_is_for_terminals() {
    let mistakes = mainstem_project::parse("t", "project: shop\n").unwrap_err();
    assert!(mistakes[0].render(true).contains("\u{1b}["));
    assert!(!mistakes[0].to_string().contains('\u{1b}'));
}

#[test]
fn the_small_file_is_right() {
    let project = mainstem_project::parse("mainstem.yaml", SMALL).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&project).unwrap());
}
