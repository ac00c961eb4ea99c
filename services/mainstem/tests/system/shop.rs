//! The project of these tests: customers' orders, and whether they are paid.

use std::fmt::Write;

/// Name of the project.
pub const NAME: &str = "shop";

/// First day of the data, in milliseconds since 1970: 2024-01-01.
pub const BEGIN: i64 = 1_704_067_200_000;

/// A day of milliseconds.
pub const DAY: i64 = 86_400_000;

/// The project file, with a clock of that kind and so many partitions.
pub fn project(clock: &str, partitions: u32) -> String {
    format!(
        "\
project: {NAME}
clock: {clock}
partitions: {partitions}
sources:
  orders:
    fields: {{customer: string, amount: double, paid: boolean, at: long}}
    entity: {{column: customer}}
    time: {{column: at}}
views:
  spending:
    features:
      amount: amount
      mean: {{mean: amount, last: 5}}
      paid: paid
models:
  pays:
    label: {{column: paid, horizon: 1d}}
    training: {{min_rows: 20, parameters: {{iterations: 5}}}}
    baseline: {{persistence: paid}}
    control: true
    windows: {{origin: 2024-01-01, length: 4d}}
    drift: {{windows: 1, min_rows: 10}}
    retrain:
      drift: [psi]
      cooldown: 4d
    rollout: {{shadow: 4d, min_rows: 10}}
"
    )
}

/// The header of the orders' files.
pub const HEADER: &str = "customer,amount,paid,at\n";

/// Orders as CSV, without the header: one a day of each customer. Whoever spent more than 5 mostly pays the next day;
/// from the 21st day on they spend 5 more.
pub fn orders(customers: u32, days: std::ops::Range<i64>) -> String {
    let mut text = String::new();
    for day in days {
        for customer in 0..customers {
            let whim = number(customer, -day - 1) < 0.2;
            let paid = (spent(customer, day - 1) > 5.0) != whim;
            let (amount, at) = (spent(customer, day), BEGIN + day * DAY);
            writeln!(text, "c{customer},{amount:.2},{paid},{at}").unwrap();
        }
    }
    text
}

fn spent(customer: u32, day: i64) -> f64 {
    number(customer, day) * 10.0 + if day > 20 { 5.0 } else { 0.0 }
}

/// Any number below 1 for a customer's day, and always the same.
fn number(customer: u32, day: i64) -> f64 {
    let mut mixed = (u64::from(customer) << 32) ^ day as u64;
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (mixed >> 40) as f64 / f64::from(1 << 24)
}
