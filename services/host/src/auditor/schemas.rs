//! The catalog of a log whose topic `schemas` may itself be damaged.

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::catalog::{SchemaRegistered, fingerprint};
use mainstem_schemas::events::CONTRACTS;
use mainstem_schemas::registry::{RegistryFact, SchemaFact};
use mainstem_schemas::{Batch, Catalog, Digest, topics};

use super::found::Found;
use super::holes::{self, Hole};

/// Reads what can be read. A damaged schema of the product itself is taken from the program, so that one flipped byte
/// does not make every event unreadable.
pub(super) fn read(
    reader: &mut dyn Reader,
    project: &str,
    found: &mut Found,
) -> Result<Catalog, LogError> {
    let partition = Partition::new(&topics::fixed(project, "schemas"), 0);
    let end = reader.range(&partition)?.end;
    let (mut facts, mut batch, mut from) = (Facts::default(), Batch::new(), 0);
    while from < end {
        batch.clear();
        let limit = FetchLimit::default();
        if let Some(hole) = holes::fetch(reader, &partition, from, end, limit, &mut batch)? {
            from = hole.next;
            let lost = (hole.next - hole.from).min(CONTRACTS.len() as u64);
            facts.0.extend((0..lost).map(|_| None));
            found.hole(&partition, hole);
            continue;
        }
        let Some(last) = batch.offsets().last() else {
            break;
        };
        from = last + 1;
        for record in batch.iter() {
            match schema(record.value.unwrap_or_default()) {
                (Some(fact), None) => facts.put(fact),
                (fact, why) => {
                    facts.0.push(fact);
                    let (from, next) = (record.offset, record.offset + 1);
                    let why = why.unwrap_or_default();
                    found.hole(&partition, Hole { from, next, why });
                }
            }
        }
    }
    Ok(catalog(facts.0))
}

/// The facts that gave ids their meaning, in order, and a place for each that cannot be read.
#[derive(Default)]
struct Facts(Vec<Option<SchemaFact>>);

impl Facts {
    /// Keeps a sound fact if it gave an id its meaning: others take no place in the order of ids.
    fn put(&mut self, fact: SchemaFact) {
        let Some(given) = meaning(&fact) else {
            return;
        };
        let mut before = self.0.iter().flatten().filter_map(meaning);
        if !before.any(|one| one == given) {
            self.0.push(Some(fact));
        }
    }
}

/// An id and the schema that a fact gives it.
fn meaning(fact: &SchemaFact) -> Option<(u32, &str)> {
    match fact {
        SchemaFact::Registered(event) => Some((event.id, &event.schema)),
        SchemaFact::Registry(RegistryFact::VersionRegistered(version)) => {
            Some((version.id, version.text()))
        }
        SchemaFact::Registry(_) => None,
    }
}

fn renumber(fact: &mut SchemaFact, id: u32) {
    match fact {
        SchemaFact::Registered(event) => event.id = id,
        SchemaFact::Registry(RegistryFact::VersionRegistered(version)) => version.id = id,
        SchemaFact::Registry(_) => {}
    }
}

/// The fact that a record is or what stands in for it, and what is wrong with it.
fn schema(value: &[u8]) -> (Option<SchemaFact>, Option<String>) {
    let mut fact = match SchemaFact::read(value) {
        Ok(fact) => fact,
        Err(error) => return (None, Some(format!("no registration of a schema: {error}"))),
    };
    let (id, subject, wanted, text) = match &mut fact {
        SchemaFact::Registered(event) => {
            let SchemaRegistered {
                id,
                subject,
                fingerprint,
                schema,
            } = event;
            (*id, &*subject, *fingerprint, schema)
        }
        SchemaFact::Registry(RegistryFact::VersionRegistered(version)) => {
            let text = version.whole.as_mut().unwrap_or(&mut version.schema);
            (version.id, &version.subject, version.fingerprint, text)
        }
        SchemaFact::Registry(_) => return (Some(fact), None),
    };
    if fingerprint(text).as_ref() == Ok(&wanted) {
        return (Some(fact), None);
    }
    let why = format!("schema {id} of {subject} does not have its fingerprint");
    if let Some(contract) = contract(&wanted) {
        *text = contract.into();
    }
    (Some(fact), Some(why))
}

fn contract(wanted: &Digest) -> Option<&'static str> {
    let same = |(_, avsc): &&(&str, &'static str)| fingerprint(avsc).as_ref() == Ok(wanted);
    CONTRACTS.iter().find(same).map(|(_, avsc)| *avsc)
}

/// The catalog of what was read. Ids are commonly allotted one after the other, so that a damaged one is known by its
/// place; the places that cannot be read are taken by the contracts that are missing, in their order. A wrong guess
/// decodes no turn whose hash would fit; and where an id is out of its place because it came from elsewhere, it is read
/// by both.
fn catalog(facts: Vec<Option<SchemaFact>>) -> Catalog {
    let mut catalog = Catalog::default();
    let id_of = |fact: &SchemaFact| meaning(fact).map(|(id, _)| id);
    let ids: Vec<Option<u32>> = facts.iter().map(|f| f.as_ref().and_then(id_of)).collect();
    let (mut last, mut free) = (0u32, Vec::new());
    for (place, fact) in facts.into_iter().enumerate() {
        let next = last.saturating_add(1);
        let (Some(mut fact), Some(id)) = (fact, ids[place]) else {
            free.push(next);
            last = next;
            continue;
        };
        let follows = ids
            .get(place + 1)
            .is_none_or(|after| *after == Some(next.saturating_add(1)));
        last = id;
        if id != next && follows {
            let others = ids.iter().filter(|other| **other == Some(id)).count() > 1;
            let mut placed = fact.clone();
            renumber(&mut placed, next);
            last = next;
            if others {
                fact = placed;
            } else {
                catalog.take(placed);
            }
        }
        catalog.take(fact);
    }
    let lost = CONTRACTS
        .iter()
        .filter(|(name, _)| catalog.id_of(name).is_none());
    let lost: Vec<_> = lost.collect();
    for (id, (name, avsc)) in free.into_iter().zip(lost) {
        catalog.register(SchemaRegistered {
            id,
            subject: (*name).into(),
            fingerprint: fingerprint(avsc).unwrap_or_default(),
            schema: (*avsc).into(),
        });
    }
    catalog
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem_schemas::registry::VersionRegistered;

    fn text(name: &str) -> String {
        format!(r#"{{"type":"record","name":"{name}","fields":[]}}"#)
    }

    fn own(id: u32, name: &str) -> SchemaFact {
        SchemaFact::Registered(SchemaRegistered {
            id,
            subject: name.into(),
            fingerprint: fingerprint(&text(name)).unwrap(),
            schema: text(name),
        })
    }

    fn theirs(id: u32, subject: &str, name: &str) -> SchemaFact {
        SchemaFact::Registry(RegistryFact::VersionRegistered(VersionRegistered {
            subject: subject.into(),
            version: 1,
            id,
            fingerprint: fingerprint(&text(name)).unwrap(),
            schema: text(name),
            references: Vec::new(),
            whole: None,
        }))
    }

    fn read(facts: impl IntoIterator<Item = SchemaFact>) -> Catalog {
        let mut kept = Facts::default();
        facts.into_iter().for_each(|fact| kept.put(fact));
        catalog(kept.0)
    }

    fn name(catalog: &Catalog, id: u32) -> Option<&str> {
        catalog.known(id).map(|known| known.name.as_str())
    }

    /// One bit of an id in JSON: 3 became 7, or became what another has.
    #[test]
    fn a_damaged_id_is_known_by_its_place_among_the_facts_that_give_ids() {
        let level = RegistryFact::LevelSet {
            subject: None,
            level: None,
        };
        for damaged in [7, 2] {
            let catalog = read([
                own(1, "A"),
                theirs(2, "b", "B"),
                SchemaFact::Registry(level.clone()),
                theirs(2, "b-again", "B"),
                theirs(damaged, "c", "C"),
                own(4, "D"),
            ]);
            let found = [1, 2, 3, 4].map(|id| name(&catalog, id));
            assert_eq!(found, ["A", "B", "C", "D"].map(Some), "{damaged}");
        }
    }

    #[test]
    fn ids_from_elsewhere_are_read_as_they_are() {
        let catalog = read([
            own(5, "A"),
            own(9, "B"),
            own(7, "C"),
            theirs(4000, "d", "D"),
        ]);
        for (id, wanted) in [(5, "A"), (9, "B"), (7, "C"), (4000, "D")] {
            assert_eq!(name(&catalog, id), Some(wanted));
        }
        assert_eq!(catalog.id_of("B"), Some(9));
    }
}
