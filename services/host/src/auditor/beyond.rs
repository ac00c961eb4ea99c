//! What lies beyond the horizon of a topic that is read in place: how young it is.
//!
//! Nothing says when a record was written that is gone. But a record is written after it happened, so the event time of
//! the row that came of it says when it was not yet there. Where that is within the horizon, the topic has forgotten the
//! record too soon.

use std::collections::BTreeMap;

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_kernel::Partition;
use mainstem_rooms::arrivals::Decoders;
use mainstem_schemas::definition::Project;
use mainstem_schemas::{Catalog, Millis, RecordRef, Span, wire};

use super::report::{Finding, Report};

/// The horizons that definitions state, by topic; of two the longer, and of a source its last.
pub(super) fn stated(definitions: &[Project]) -> BTreeMap<String, Span> {
    let mut last = BTreeMap::new();
    for (name, source) in definitions.iter().flat_map(|project| &project.sources) {
        let topic = source.topic.as_ref();
        if let Some((topic, horizon)) = topic.and_then(|topic| Some((topic, topic.in_place?))) {
            last.insert(name, (topic.name.clone(), horizon));
        }
    }
    let mut stated = BTreeMap::new();
    for (topic, horizon) in last.into_values() {
        let known = stated.entry(topic).or_insert(horizon);
        *known = horizon.max(*known);
    }
    stated
}

/// The newest rows that came of records which are gone.
pub(super) struct Newest {
    decoders: Decoders,
    columns: Columns,
    by_partition: BTreeMap<Partition, Millis>,
}

impl Default for Newest {
    #[allow(
        clippy::expect_used,
        reason = "a layout is refused where it names a column twice"
    )]
    fn default() -> Self {
        let layout = Layout::new([Wanted::required("event_time", Kind::Time)]).expect("one column");
        Newest {
            columns: Columns::new(&layout),
            decoders: Decoders::new(layout),
            by_partition: BTreeMap::new(),
        }
    }
}

impl Newest {
    /// Takes a row that came of a record of that partition. What has no event time says nothing.
    pub(super) fn take(&mut self, catalog: &Catalog, of: &Partition, row: &RecordRef<'_>) {
        let Ok((schema, body)) = wire::split(row.value.unwrap_or_default()) else {
            return;
        };
        self.columns.clear();
        let read = self
            .decoders
            .append(catalog, schema, body, &mut self.columns);
        if let (Ok(()), Some(time)) = (read, self.columns.time(0, 0)) {
            let newest = self.by_partition.entry(of.clone()).or_insert(time);
            *newest = time.max(*newest);
        }
    }

    /// What was forgotten within the horizon before now.
    pub(super) fn too_soon(
        &self,
        stated: &BTreeMap<String, Span>,
        now: Millis,
        report: &Report,
    ) -> Vec<Finding> {
        let within = |(of, newest): (&Partition, &Millis)| {
            let horizon = *stated.get(&*of.topic)?;
            let known = report.horizons.iter().find(|known| known.of == *of);
            (*newest > now.minus(horizon)).then(|| Finding::ForgottenTooSoon {
                of: of.clone(),
                kept: known.and_then(|known| known.kept),
                newest: *newest,
                horizon,
                now,
            })
        };
        self.by_partition.iter().filter_map(within).collect()
    }
}
