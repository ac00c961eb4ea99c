//! What a log holds, and how two logs differ.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use mainstem_host::Store;
use mainstem_kernel::Partition;
use mainstem_kernel::worker::for_each;
use mainstem_schemas::RecordRef;

/// Key, value and headers of every record, per partition and writer: tasks that write to one partition on one tick
/// have no order between them. Without the chain (how turns are cut differs between live runs), without outcomes
/// (which hold observed durations and positions) and without definitions (which hold the wall clock's time).
pub type History = BTreeMap<(Partition, String), Vec<String>>;

/// Topics whose records differ between live runs.
const OBSERVED: [&str; 4] = [".turns", ".snapshots", ".outcomes", ".definitions"];

/// Characters of a record that a message shows.
const SHOWN: usize = 400;

/// Reads the history of a project.
///
/// # Panics
/// Where the log cannot be read.
pub fn history(store: &Store, project: &str) -> History {
    let mut history = History::new();
    let mut reader = store.log.reader().unwrap();
    for topic in store.log.topics().unwrap() {
        let ours = topic.name.starts_with(&format!("{project}."));
        if !ours || OBSERVED.iter().any(|end| topic.name.ends_with(end)) {
            continue;
        }
        for index in 0..topic.partitions {
            let partition = Partition::new(&topic.name, index);
            for_each(reader.as_mut(), &partition, |record| {
                let writer =
                    String::from_utf8_lossy(record.header("ce_source").unwrap_or_default())
                        .into_owned();
                let text = text_of(record);
                history
                    .entry((partition.clone(), writer))
                    .or_default()
                    .push(text);
                Ok(())
            })
            .unwrap();
        }
    }
    history
}

/// All of a record but its place; two are equal where the records are.
fn text_of(record: RecordRef<'_>) -> String {
    let mut text = format!("{} {}", bytes(record.key), bytes(record.value));
    for (name, value) in record.headers() {
        let _ = write!(text, " {name}={}", value.escape_ascii());
    }
    text
}

/// A key or value as it is in the text of a record.
#[must_use]
pub fn bytes(of: Option<&[u8]>) -> String {
    let quoted = |of: &[u8]| format!("\"{}\"", of.escape_ascii());
    of.map_or_else(|| "nothing".into(), quoted)
}

/// Fails, in few words, with the first record that differs.
///
/// # Panics
/// Where they differ.
pub fn assert_same(expected: &History, found: &History, when: &str) {
    for (place, records) in expected {
        let others = found.get(place).map_or(&[][..], Vec::as_slice);
        let differs = records.iter().zip(others).position(|(one, two)| one != two);
        assert_eq!(differs, None, "{place:?} {when}");
        assert_eq!(records.len(), others.len(), "{place:?} {when}");
    }
    assert_eq!(expected.len(), found.len(), "{when}");
}

/// How a history differs from the one that it should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Records that were compared.
    pub records: usize,
    /// Expected and not there.
    pub lost: usize,
    /// There more often than expected.
    pub doubled: usize,
    /// There and never expected, or at another place in the order of their writer.
    pub differing: usize,
    /// Where the first ones are, and what is there: a line for each partition and writer.
    pub places: Vec<String>,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Differences {
            records,
            lost,
            doubled,
            differing,
            places,
        } = self;
        write!(
            f,
            "{records} records: {lost} lost, {doubled} doubled, {differing} differing"
        )?;
        places.iter().try_for_each(|place| write!(f, "\n  {place}"))
    }
}

impl Differences {
    /// Compares record by record.
    #[must_use]
    pub fn between(expected: &History, found: &History) -> Self {
        let mut differences = Differences::default();
        let places: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
        for place in places {
            let none = Vec::new();
            let (one, two) = (
                expected.get(place).unwrap_or(&none),
                found.get(place).unwrap_or(&none),
            );
            if let Some(first) = first_difference(one, two) {
                differences.add(one, two);
                let ((at, writer), counts) = (place, (one.len(), two.len()));
                differences.places.push(format!(
                    "{at} of {writer}: {} records for {}, {first}",
                    counts.1, counts.0
                ));
            } else {
                differences.records += one.len();
            }
        }
        differences
    }

    fn add(&mut self, expected: &[String], found: &[String]) {
        self.records += expected.len();
        let mut balance: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        expected
            .iter()
            .for_each(|record| balance.entry(record).or_default().0 += 1);
        found
            .iter()
            .for_each(|record| balance.entry(record).or_default().1 += 1);
        let before = (self.lost, self.doubled, self.differing);
        for (wanted, there) in balance.into_values() {
            self.lost += wanted.saturating_sub(there);
            let more = there.saturating_sub(wanted);
            if wanted > 0 {
                self.doubled += more;
            } else {
                self.differing += more;
            }
        }
        // The same records in another order.
        if before == (self.lost, self.doubled, self.differing) {
            let moved = expected.iter().zip(found).filter(|(one, two)| one != two);
            self.differing += moved.count();
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        (self.lost, self.doubled, self.differing) == (0, 0, 0)
    }
}

/// The first record that differs, cut to a readable length.
fn first_difference(expected: &[String], found: &[String]) -> Option<String> {
    let both = expected.len().max(found.len());
    let at = (0..both).find(|at| expected.get(*at) != found.get(*at))?;
    let cut = |records: &[String]| {
        let record = records.get(at).map_or("nothing", String::as_str);
        record.chars().take(SHOWN).collect::<String>()
    };
    Some(format!(
        "the first at {at}: {} instead of {}",
        cut(found),
        cut(expected)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[&str]) -> History {
        let place = (Partition::new("t", 0), "writer".to_owned());
        let records = records.iter().map(|record| (*record).to_owned());
        History::from([(place, records.collect())])
    }

    fn told(found: &[&str]) -> (usize, usize, usize) {
        let differences = Differences::between(&of(&["a", "b", "c"]), &of(found));
        assert_eq!(differences.records, 3);
        (differences.lost, differences.doubled, differences.differing)
    }

    #[test]
    fn each_kind_of_difference_is_counted() {
        assert_eq!(told(&["a", "b", "c"]), (0, 0, 0));
        assert_eq!(told(&["a", "c"]), (1, 0, 0));
        assert_eq!(told(&["a", "b", "b", "c"]), (0, 1, 0));
        assert_eq!(told(&["a", "x", "c"]), (1, 0, 1));
        assert_eq!(told(&["b", "a", "c"]), (0, 0, 2));
        assert_eq!(told(&[]), (3, 0, 0));
    }
}
