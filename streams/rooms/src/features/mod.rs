//! The room of features: a row of numbers per arrival, from its entity's arrivals up to it.
//!
//! In come the arrivals of a view's source (or the records of its topic, where that is read in place), out go rows of `features.<view>`, one for each arrival that can be taken, in
//! order. The view's expressions are compiled once ([`Plan`]); per entity the room remembers the last values of each
//! operand that a lag or a window looks back on ([`entity`]), and nothing that was summed: a statistic is a function of
//! its window's contents alone ([`window`], [`exact`]). So a row depends on the arrivals before it, and neither on
//! where a run ends nor on when it is computed.
//!
//! A null, NaN or infinite value is *missing*. Windows leave missing values out; any other expression of one is missing,
//! as is a result that is not finite, and a ratio to zero.
//!
//! An arrival that no row can come of goes to `quarantine` with the reason: no entity, a key over 1 KiB, no event time or one more
//! than a day ahead, no record of a registered schema, or an event time that is not after the entity's newest, for
//! windows that were passed are not computed again.
//!
//! Every entity that was ever seen is remembered, at its rings' size: choose entities that are finite in number. Beyond
//! [`MAX_ENTITIES`] of a partition the records of new ones go to quarantine.
//!
//! Next rooms: [`serving`](crate::serving) predicts from the rows, [`drift`](crate::drift) measures them.

mod compile;
pub mod entities;
pub mod entity;
pub mod exact;
pub mod lanes;
mod plan;
#[cfg(test)]
mod tests;
pub mod window;

use mainstem_columns::{Columns, put_features};
use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::Digest;
use mainstem_schemas::definition::{Project, View, digest_of};
use serde::{Deserialize, Serialize};

use crate::arrivals::{Arrival, Decoders, Opener, Refusal, Refuser, Sharing, Sheet};
use crate::foreign::{InPlace, incoming, needs_in_place};
use entities::{Entities, MAX_ENTITIES};
pub use plan::{BadView, LONGEST, Plan};

/// Outputs of the room.
const ROWS: usize = 0;
const QUARANTINE: usize = 1;

/// Rows that are decoded before they are computed: their records and columns stay in the processor's nearest cache.
const CHUNK: usize = 128;

/// Names of a view's features, in the order in which its rows hold them: what its schema is made of.
#[must_use]
pub fn view_outputs(view: &View) -> Vec<String> {
    view.features
        .iter()
        .map(|feature| feature.name.clone())
        .collect()
}

/// Computes one view.
#[derive(Clone, Debug)]
pub struct FeatureMachine {
    view: String,
    /// Subject of the rows' schema.
    subject: String,
    name: String,
}

/// What it remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FeatureState {
    /// Digest of the view that the entities were computed by.
    view: Option<Digest>,
    entities: Entities,
    #[serde(skip)]
    work: Option<Box<Work>>,
}

/// What is made from the definition, and made again after a restore.
#[derive(Debug)]
struct Work {
    plan: Plan,
    decoders: Decoders,
    /// Records that are on no sheet.
    columns: Columns,
    /// Where the columns of the plan lie in those.
    places: Vec<usize>,
    sharing: Option<Sharing>,
    definition: Digest,
    opener: Opener,
    /// Where the source's topic is read in place.
    in_place: Option<Box<InPlace>>,
}

/// An arrival that was taken, the place of its entity, and its row.
struct Taken<'a> {
    arrival: Arrival<'a>,
    entity: usize,
    row: Row,
}

/// Where a record was decoded to.
#[derive(Clone, Copy)]
enum Row {
    Sheet(usize),
    Own(usize),
}

impl FeatureMachine {
    /// The machine of a view. `project` is the prefix of the topics.
    #[must_use]
    pub fn new(_project: &str, view: &str) -> Self {
        FeatureMachine {
            view: view.into(),
            subject: format!("features.{view}"),
            name: format!("features/{view}"),
        }
    }

    fn prepare(&self, project: &Project) -> Result<Box<Work>, String> {
        let view = project.views.get(&self.view);
        let view = view.ok_or_else(|| format!("the definition has no view {}", self.view))?;
        let source = project.sources.get(&view.source);
        let source =
            source.ok_or_else(|| format!("the definition has no source {}", view.source))?;
        let plan =
            Plan::compile(view, source).map_err(|bad| format!("view {}: {bad}", self.view))?;
        Ok(Box::new(Work {
            decoders: Decoders::new(plan.layout.clone()),
            columns: Columns::new(&plan.layout),
            places: (0..plan.layout.wanted().len()).collect(),
            sharing: Sharing::of(project, &view.source, &plan.layout),
            plan,
            definition: digest_of(view),
            opener: Opener::of(source)?,
            in_place: InPlace::of(project, &view.source)?,
        }))
    }

    /// The work at hand, for a state that the same view computed.
    fn work(&self, state: &mut FeatureState, cx: &Context<'_>) -> Result<Box<Work>, String> {
        let work = match state.work.take() {
            Some(work) => work,
            None => self.prepare(cx.project)?,
        };
        if *state.view.get_or_insert(work.definition) != work.definition {
            return Err(format!(
                "view {} was changed; views are immutable under their names: name the changed one anew",
                self.view
            ));
        }
        Ok(work)
    }

    /// The place of the record's entity, if the record can be taken; its columns are then appended, unless a sheet has
    /// them in row `shared`.
    fn take<'a>(
        entities: &mut Entities,
        work: &mut Work,
        cx: &Context<'_>,
        arrival: Arrival<'a>,
        shared: Option<usize>,
    ) -> Result<Taken<'a>, Refusal> {
        let place = entities.find(arrival.entity);
        let newest = place
            .and_then(|at| entities.get_mut(at))
            .map(|entity| entity.newest);
        if let Some(newest) = newest.filter(|newest| arrival.time <= *newest) {
            return Err(Refusal::NotNewer {
                time: arrival.time,
                newest,
            });
        }
        if place.is_none() && entities.is_full() {
            return Err(Refusal::TooManyEntities(MAX_ENTITIES));
        }
        let row = match shared {
            Some(row) => Row::Sheet(row),
            None => {
                let (schema, body) = (arrival.schema, arrival.body);
                work.decoders
                    .append(cx.catalog, schema, body, &mut work.columns)?;
                Row::Own(work.columns.rows() - 1)
            }
        };
        let place = place.unwrap_or_else(|| entities.insert(arrival.entity, work.plan.entity()));
        if let Some(entity) = entities.get_mut(place) {
            entity.newest = arrival.time;
        }
        Ok(Taken {
            arrival,
            entity: place,
            row,
        })
    }

    /// Computes and writes the rows that were taken.
    fn flush(
        entities: &mut Entities,
        work: &mut Work,
        sheet: Option<&Sheet>,
        id: u32,
        taken: &mut Vec<Taken<'_>>,
        out: &mut Outbox,
    ) {
        let own = (&work.columns, &work.places[..]);
        let sharing = work.sharing.as_ref().map_or(&[][..], Sharing::places);
        let shared = sheet.map_or(own, |sheet| (sheet.columns(), sharing));
        for Taken {
            arrival,
            entity,
            row,
        } in taken.drain(..)
        {
            let Some(entity) = entities.get_mut(entity) else {
                continue;
            };
            let ((columns, places), row) = match row {
                Row::Sheet(row) => (shared, row),
                Row::Own(row) => (own, row),
            };
            let values = work.plan.compute(entity, columns, places, row);
            let values = values
                .iter()
                .map(|value| Some(*value).filter(|value| !value.is_nan()));
            out.put(ROWS, arrival.entity.as_bytes(), |frame| {
                put_features(
                    frame,
                    id,
                    &arrival.origin,
                    arrival.time,
                    arrival.entity,
                    values,
                );
            });
        }
        work.columns.clear();
    }
}

impl Machine for FeatureMachine {
    const VERSION: u32 = 1;
    type State = FeatureState;

    fn define(&self, state: &mut FeatureState, _project: &Project) {
        state.work = None;
    }

    fn needs(&self, _state: &FeatureState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        let view = cx.project.views.get(&self.view);
        match (view, run) {
            (Some(view), Some(run)) => needs_in_place(cx, &view.source, run),
            _ => Vec::new(),
        }
    }

    fn fold(&self, state: &mut FeatureState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        let mut work = match self.work(state, cx) {
            Ok(work) => work,
            Err(why) => return out.fault(why),
        };
        let Some(id) = cx.catalog.id_of(&self.subject) else {
            return out.fault(format!(
                "no schema of {} is registered; run `mainstem apply`",
                self.subject
            ));
        };
        let partition = cx
            .spec
            .inputs
            .get(run.input)
            .map_or(0, |input| input.partition.index);
        let definition = work.definition;
        let refuser = Refuser {
            input: run.input,
            output: QUARANTINE,
            definition: &definition,
            name: &self.name,
        };
        let mut in_place = work.in_place.take();
        if let Some(read) = &mut in_place
            && let Err(why) = read.take(cx.catalog, partition, run.batch)
        {
            return out.fault(why);
        }
        let sharing = work.sharing.as_mut();
        let sheet = sharing.and_then(|s| s.sheet(cx.catalog, run, &mut work.decoders));
        let sheet = sheet.as_deref();
        let mut taken = Vec::with_capacity(run.batch.len().min(CHUNK));
        for given in incoming(run.batch, in_place.as_deref(), sheet) {
            let (outside, arrival) =
                given.open(&mut work.opener, cx.catalog, partition, cx.horizon);
            let taking = arrival.and_then(|arrival| {
                Self::take(&mut state.entities, &mut work, cx, arrival, given.row)
            });
            match taking {
                Ok(arrival) => taken.push(arrival),
                Err(refusal) => refuser.quarantine(cx, &given.record, Some(outside), &refusal, out),
            }
            if taken.len() == CHUNK {
                Self::flush(&mut state.entities, &mut work, sheet, id, &mut taken, out);
            }
        }
        Self::flush(&mut state.entities, &mut work, sheet, id, &mut taken, out);
        drop(taken);
        work.in_place = in_place;
        state.work = Some(work);
    }
}
