//! The catalog of a log whose topic `schemas` may itself be damaged.

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::catalog::{SchemaRegistered, fingerprint};
use mainstem_schemas::events::CONTRACTS;
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
    let (mut events, mut batch, mut from) = (Vec::new(), Batch::new(), 0);
    while from < end {
        batch.clear();
        let limit = FetchLimit::default();
        if let Some(hole) = holes::fetch(reader, &partition, from, end, limit, &mut batch)? {
            from = hole.next;
            let lost = (hole.next - hole.from).min(CONTRACTS.len() as u64);
            events.extend((0..lost).map(|_| None));
            found.hole(&partition, hole);
            continue;
        }
        let Some(last) = batch.offsets().last() else {
            break;
        };
        from = last + 1;
        for record in batch.iter() {
            let (event, why) = match schema(record.value.unwrap_or_default()) {
                Ok(event) => (Some(event), None),
                Err((event, why)) => (event, Some(why)),
            };
            events.push(event);
            if let Some(why) = why {
                let (from, next) = (record.offset, record.offset + 1);
                found.hole(&partition, Hole { from, next, why });
            }
        }
    }
    Ok(catalog(events))
}

/// A registration, or why it is none and the contract that stands in for it.
fn schema(value: &[u8]) -> Result<SchemaRegistered, (Option<SchemaRegistered>, String)> {
    let mut event: SchemaRegistered = serde_json::from_slice(value)
        .map_err(|error| (None, format!("no registration of a schema: {error}")))?;
    match fingerprint(&event.schema) {
        Ok(found) if found == event.fingerprint => Ok(event),
        _ => {
            let why = format!(
                "schema {} of {} does not have its fingerprint",
                event.id, event.subject
            );
            let Some(contract) = contract(&event.fingerprint) else {
                return Err((Some(event), why));
            };
            event.schema = contract.into();
            Err((Some(event), why))
        }
    }
}

fn contract(wanted: &Digest) -> Option<&'static str> {
    let same = |(_, avsc): &&(&str, &'static str)| fingerprint(avsc).as_ref() == Ok(wanted);
    CONTRACTS.iter().find(same).map(|(_, avsc)| *avsc)
}

/// The catalog of what was read. Ids are allotted one after the other, so that a damaged one is known by its place; the
/// places that cannot be read are taken by the contracts that are missing, in their order. A wrong guess decodes no turn
/// whose hash would fit.
fn catalog(events: Vec<Option<SchemaRegistered>>) -> Catalog {
    let mut catalog = Catalog::default();
    let ids: Vec<Option<u32>> = events.iter().map(|e| e.as_ref().map(|e| e.id)).collect();
    let (mut last, mut free) = (0u32, Vec::new());
    for (place, event) in events.into_iter().enumerate() {
        let next = last.saturating_add(1);
        let Some(mut event) = event else {
            free.push(next);
            last = next;
            continue;
        };
        let follows = ids
            .get(place + 1)
            .is_none_or(|after| *after == Some(next.saturating_add(1)));
        if event.id != next && follows {
            event.id = next;
        }
        last = event.id;
        catalog.register(event);
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
