//! Topic names of a project: `<project>.<room>[.<object>]`, and what class each belongs to.

/// What an audit does with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Comes from outside; its bytes are under the hash chain.
    Fact,
    /// A fold of facts; recomputed.
    Derived,
    /// Turns and snapshots.
    Chain,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// One: every task reads all of it.
    Broadcast,
    /// The control topics' count: keyed by model.
    Control,
    /// The data topics' count: keyed by entity, the same for life.
    Data,
}

/// Topics whose name has no object in it: name, class, partitions.
pub const FIXED: [(&str, Class, Partitions); 18] = [
    ("clock", Class::Fact, Partitions::Broadcast),
    ("definitions", Class::Fact, Partitions::Broadcast),
    ("schemas", Class::Fact, Partitions::Broadcast),
    ("outcomes", Class::Fact, Partitions::Control),
    ("requests.sources", Class::Fact, Partitions::Control),
    ("requests.drift", Class::Fact, Partitions::Control),
    ("requests.trigger", Class::Fact, Partitions::Control),
    ("requests.trainer", Class::Fact, Partitions::Control),
    ("requests.registry", Class::Fact, Partitions::Control),
    ("requests.rollout", Class::Fact, Partitions::Control),
    ("quarantine", Class::Derived, Partitions::Control),
    ("profiles", Class::Derived, Partitions::Control),
    ("drift", Class::Derived, Partitions::Control),
    ("performance", Class::Derived, Partitions::Control),
    ("triggers", Class::Derived, Partitions::Control),
    ("runs", Class::Derived, Partitions::Control),
    ("models", Class::Derived, Partitions::Control),
    ("deployments", Class::Derived, Partitions::Broadcast),
];

/// Topics of the chain.
pub const CHAIN: [&str; 2] = ["turns", "snapshots"];

/// Topics of each source: name's first part, class, partitions.
pub const OF_SOURCE: [(&str, Class, Partitions); 2] = [
    ("arrivals", Class::Fact, Partitions::Data),
    ("rejects", Class::Fact, Partitions::Control),
];

/// Topics of each view.
pub const OF_VIEW: [(&str, Class, Partitions); 1] =
    [("features", Class::Derived, Partitions::Data)];

/// Topics of each model.
pub const OF_MODEL: [(&str, Class, Partitions); 2] = [
    ("predictions", Class::Derived, Partitions::Data),
    ("labelled", Class::Derived, Partitions::Data),
];

/// `<project>.<room>`.
#[must_use]
pub fn fixed(project: &str, room: &str) -> String {
    format!("{project}.{room}")
}

/// `<project>.<room>.<object>`.
#[must_use]
pub fn of(project: &str, room: &str, object: &str) -> String {
    format!("{project}.{room}.{object}")
}
