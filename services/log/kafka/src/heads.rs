//! The heads of the chains that share a lead partition, as they travel in the metadata of its committed offset.
//!
//! Several tasks of a room may have the same lead (the views of one source, the drift tasks of all models), and a group
//! has one offset a partition. So the metadata list every task's head: `1;<task>:<number>:<hash>;…`, with twelve hex
//! digits of the BLAKE3 of the task's name and sixteen of the turn's hash. Where that does not fit, `1;*` says that the
//! heads are to be found in the topic `turns`.

use std::collections::BTreeMap;

use mainstem_kernel::TaskId;
use mainstem_schemas::Digest;
use mainstem_schemas::events::Turn;

/// The version of the format.
const FORMAT: &str = "1";

/// Brokers take this much by default (`offset.metadata.max.bytes`): 110 tasks a lead partition.
const MAX: usize = 4_096;

/// The last turn of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: i64,
    pub(crate) hash: String,
}

impl Head {
    pub(crate) fn of(turn: &Turn) -> Self {
        Head {
            number: turn.number,
            hash: short(&turn.hash, 16),
        }
    }
}

/// Heads by task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heads(BTreeMap<String, Head>);

impl Heads {
    pub(crate) fn get(&self, task: &TaskId) -> Option<&Head> {
        self.0.get(&name(task))
    }

    pub(crate) fn set(&mut self, task: &TaskId, head: Head) {
        self.0.insert(name(task), head);
    }

    /// The metadata of the offset.
    pub(crate) fn encode(&self) -> String {
        let mut text = FORMAT.to_owned();
        for (task, head) in &self.0 {
            text.push_str(&format!(";{task}:{}:{}", head.number, head.hash));
        }
        if text.len() > MAX {
            return format!("{FORMAT};*");
        }
        text
    }

    /// Reads what was encoded; nothing where the heads did not fit or somebody else committed the offset.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        if parts.next() != Some(FORMAT) {
            return None;
        }
        let mut heads = BTreeMap::new();
        for part in parts {
            let mut fields = part.split(':');
            let (task, number, hash) = (fields.next()?, fields.next()?, fields.next()?);
            let head = Head {
                number: number.parse().ok()?,
                hash: hash.to_owned(),
            };
            heads.insert(task.to_owned(), head);
        }
        Some(Heads(heads))
    }
}

fn name(task: &TaskId) -> String {
    short(&Digest::of(task.0.as_bytes()), 12)
}

fn short(digest: &Digest, digits: usize) -> String {
    let mut text = digest.to_string();
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: usize) -> TaskId {
        TaskId(format!("drift/model-{n}/0"))
    }

    fn heads(count: usize) -> Heads {
        let mut heads = Heads::default();
        for n in 0..count {
            let hash = short(&Digest::of(&[n as u8]), 16);
            heads.set(
                &task(n),
                Head {
                    number: 999_999,
                    hash,
                },
            );
        }
        heads
    }

    #[test]
    fn heads_come_back() {
        for count in [0, 1, 2, 109] {
            let text = heads(count).encode();
            assert!(text.len() <= MAX);
            assert_eq!(Heads::decode(&text), Some(heads(count)));
        }
        assert_eq!(heads(3).get(&task(1)), heads(2).get(&task(1)));
        assert_eq!(heads(3).get(&task(7)), None);
    }

    #[test]
    fn what_does_not_fit_or_is_not_ours_is_no_heads() {
        assert_eq!(heads(200).encode(), "1;*");
        for text in ["1;*", "", "2;a:1:b", "1;a:b", "consumer lag tool"] {
            assert_eq!(Heads::decode(text), None, "{text}");
        }
    }
}
