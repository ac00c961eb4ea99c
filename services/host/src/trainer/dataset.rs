//! Data sets: the last labelled rows of a view as of a moment.
//!
//! The view's rows and the arrivals that carry the labels are read from the beginning, for their order in the log is not
//! that of their event times: 0.07 to 0.1 s for 45,312 rows and their arrivals on the local log, so about a minute and a
//! half for 50 million. Rows and labels from the as-of time on are left out. A row meets its label by the join's own functions.

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_kernel::runner::Blobs;
use mainstem_kernel::worker::{read_catalog, read_events};
use mainstem_kernel::{Log, Reader};
use mainstem_rooms::arrivals::Decoders;
use mainstem_rooms::foreign::{InPlace, incoming};
use mainstem_rooms::serving::labels::{LabelReader, Labels, target};
use mainstem_schemas::definition::{Label, Project, Source};
use mainstem_schemas::events::Event;
use mainstem_schemas::{Catalog, Digest, Millis, Span, topics, wire};

use super::failure::Failure;
use super::parquet;
use super::rows::Rows;
use super::tail::{Stretch, Tail, batches, stretches};

/// Rows that are looked through at most: keys and allocations, some 100 bytes a row (an estimate), stay under half a GB.
const MAX_ROWS: usize = 1 << 22;

/// Numbers in them at most: 256 MiB, held some three times over while a file is written.
const MAX_VALUES: usize = 1 << 26;

/// The last rows have no label yet, others never get one: this many more are looked through at first.
const SLACK: usize = 1_024;

/// What to build.
pub(super) struct Order<'a> {
    pub project: &'a str,
    pub view: &'a str,
    pub source: &'a str,
    pub features: &'a [String],
    pub label: &'a Label,
    pub as_of: Millis,
    pub rows: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Built {
    pub from: Millis,
    pub to: Millis,
    pub rows: i64,
    pub content: Digest,
    pub parquet: Digest,
    pub profile: Digest,
    pub positions: Vec<String>,
}

/// Builds. `closed` is asked between batches.
pub(super) fn build(
    log: &dyn Log,
    blobs: &dyn Blobs,
    order: &Order<'_>,
    closed: &dyn Fn() -> bool,
) -> Result<Built, Failure> {
    let mut scan = Scan::open(log, order, closed)?;
    let rows = scan.labelled_rows()?;
    let (Some(from), Some(to)) = (rows.times.first(), rows.times.last()) else {
        let Order {
            view, label, as_of, ..
        } = order;
        let text = format!(
            "no row of the view {view} before {as_of} has its label {} yet; wait for more",
            label.column
        );
        return Err(Failure::lasting(text));
    };
    let profile = rows.profile()?.to_bytes();
    Ok(Built {
        from: *from,
        to: *to,
        rows: rows.len() as i64,
        content: rows.content(),
        parquet: blobs
            .put(&parquet::write(&rows)?)
            .map_err(Failure::passing)?,
        profile: blobs.put(&profile).map_err(Failure::passing)?,
        positions: scan.positions(),
    })
}

/// One look through the log; all passes see the same records.
struct Scan<'a> {
    order: &'a Order<'a>,
    closed: &'a dyn Fn() -> bool,
    reader: Box<dyn Reader>,
    catalog: Catalog,
    source: Source,
    features: Vec<Stretch>,
    arrivals: Vec<Stretch>,
    /// Where the arrivals are those of a topic that is read in place.
    in_place: Option<Box<InPlace>>,
}

impl<'a> Scan<'a> {
    /// Arrivals are looked at after the features, so that no row is without the arrival that it came of.
    fn open(
        log: &dyn Log,
        order: &'a Order<'a>,
        closed: &'a dyn Fn() -> bool,
    ) -> Result<Self, Failure> {
        let mut reader = log.reader()?;
        let features = stretches(
            log,
            reader.as_mut(),
            &topics::of(order.project, "features", order.view),
        )?;
        let catalog = read_catalog(reader.as_mut(), order.project)?;
        let project = definition(reader.as_mut(), &catalog, order.project)?;
        let source = project.sources.get(order.source).cloned();
        let source = source.ok_or_else(|| gone("source", order.source))?;
        let foreign = source
            .topic
            .as_ref()
            .filter(|topic| topic.in_place.is_some());
        let arrivals = foreign.map_or_else(
            || topics::of(order.project, "arrivals", order.source),
            |topic| topic.name.clone(),
        );
        let arrivals = stretches(log, reader.as_mut(), &arrivals)?;
        // Again: by now it holds what the last of them was written with.
        let catalog = read_catalog(reader.as_mut(), order.project)?;
        let in_place = InPlace::of(&project, order.source).map_err(Failure::lasting)?;
        let view = project
            .views
            .get(order.view)
            .ok_or_else(|| gone("view", order.view))?;
        for name in order.features {
            if !view.features.iter().any(|feature| feature.name == *name) {
                return Err(gone(&format!("feature of the view {}", order.view), name));
            }
        }
        Ok(Scan {
            order,
            closed,
            reader,
            catalog,
            source,
            features,
            arrivals,
            in_place,
        })
    }

    fn positions(&self) -> Vec<String> {
        let position =
            |(partition, range): &Stretch| format!("{partition}={}..{}", range.start, range.end);
        self.features
            .iter()
            .chain(&self.arrivals)
            .map(position)
            .collect()
    }

    /// The last rows that have a label. More rows are looked through in another pass where those had too few.
    fn labelled_rows(&mut self) -> Result<Rows, Failure> {
        let (wanted, width) = (self.order.rows, self.order.features.len());
        let most = MAX_ROWS.min(MAX_VALUES / width.max(1));
        let mut looked_through = wanted.saturating_add(wanted / 8 + SLACK).min(most);
        loop {
            let tail = self.tail(looked_through)?;
            let labels = self.labels(tail.oldest().filter(|_| tail.cut))?;
            let horizon = self.order.label.horizon;
            let labelled = tail.iter().rev().filter_map(|(time, entity, values)| {
                let class = labels.answer(entity, time, horizon)?;
                Some((time, entity, values, u8::from(class == 1)))
            });
            let labelled: Vec<_> = labelled.take(wanted).collect();
            if labelled.len() == wanted || !tail.cut {
                let mut rows = Rows::new(self.order.features);
                for (time, entity, values, label) in labelled.into_iter().rev() {
                    rows.push(time, entity, values, label);
                }
                return Ok(rows);
            }
            if looked_through == most {
                let found = labelled.len();
                let text = format!(
                    "of the last {most} rows, the limit for {width} features, {found} have a label, and training.rows is \
                     {wanted}; lower it to {found}"
                );
                return Err(Failure::lasting(text));
            }
            looked_through = looked_through.saturating_mul(4).min(most);
        }
    }

    /// The last rows of the view before the as-of time.
    fn tail(&mut self, most: usize) -> Result<Tail, Failure> {
        let head = [
            Wanted::required("event_time", Kind::Time),
            Wanted::required("entity", Kind::Text),
        ];
        let features = self
            .order
            .features
            .iter()
            .map(|name| Wanted::optional(name, Kind::Number));
        let layout = Layout::new(head.into_iter().chain(features))
            .map_err(|twice| Failure::lasting(twice.to_string()))?;
        let (mut columns, mut decoders) = (Columns::new(&layout), Decoders::new(layout));
        let (mut tail, mut refused) = (Tail::new(most), 0);
        for stretch in &self.features {
            batches(self.reader.as_mut(), stretch, |batch| {
                columns.clear();
                for record in batch.iter() {
                    let value = wire::split(record.value.unwrap_or_default());
                    let taken = value.is_ok_and(|(id, body)| {
                        decoders
                            .append(&self.catalog, id, body, &mut columns)
                            .is_ok()
                    });
                    refused += usize::from(!taken);
                }
                for row in 0..columns.rows() {
                    let (Some(time), Some(entity)) = (columns.time(0, row), columns.text(1, row))
                    else {
                        continue;
                    };
                    if time < self.order.as_of {
                        let number = |column| {
                            columns
                                .number(2 + column, row)
                                .map_or(f32::NAN, |number| number as f32)
                        };
                        tail.put(time, entity, (0..self.order.features.len()).map(number));
                    }
                }
                !(self.closed)()
            })?;
        }
        if refused > 0 {
            // Whoever reads them as features quarantines them; they are no rows.
            tracing::warn!(
                refused,
                view = self.order.view,
                "records that are no rows of the view are left out"
            );
        }
        self.go_on().map(|()| tail)
    }

    /// The labels before the as-of time of all rows from `oldest` on, or of all rows.
    fn labels(&mut self, oldest: Option<Millis>) -> Result<Labels, Failure> {
        let Label {
            column, horizon, ..
        } = self.order.label;
        let first = oldest.map(|time| target(time, *horizon));
        // The last moment at which a label may be.
        let last = self.order.as_of.minus(Span(1));
        let mut reader = LabelReader::new(&self.source, column).map_err(Failure::lasting)?;
        let mut labels = Labels::default();
        let mut unread = None;
        for stretch in &self.arrivals {
            let index = stretch.0.index;
            batches(self.reader.as_mut(), stretch, |batch| {
                if let Some(read) = &mut self.in_place
                    && let Err(why) = read.take(&self.catalog, index, batch)
                {
                    unread = Some(why);
                    return false;
                }
                for given in incoming(batch, self.in_place.as_deref(), None) {
                    // What cannot be read is quarantined by the tasks that read it for predictions.
                    if let Ok(Some(label)) = reader.read(&self.catalog, index, last, &given)
                        && Some(label.time) >= first
                    {
                        labels.take(&label.entity, label.time, label.class);
                    }
                }
                !(self.closed)()
            })?;
        }
        if let Some(why) = unread {
            return Err(Failure::passing(why));
        }
        self.go_on().map(|()| labels)
    }

    fn go_on(&self) -> Result<(), Failure> {
        if (self.closed)() {
            Err(Failure::closed())
        } else {
            Ok(())
        }
    }
}

fn gone(what: &str, name: &str) -> Failure {
    Failure::lasting(format!(
        "the definition has no {what} named {name} any more; apply one, and ask again"
    ))
}

/// The definition in force.
fn definition(
    reader: &mut dyn Reader,
    catalog: &Catalog,
    project: &str,
) -> Result<Project, Failure> {
    let mut last = None;
    read_events(
        reader,
        catalog,
        &topics::fixed(project, "definitions"),
        |event| {
            if let Event::DefinitionApplied(applied) = event {
                last = Some(applied.definition);
            }
        },
    )?;
    let text =
        last.ok_or_else(|| Failure::passing("the log holds no definition; run `mainstem apply`"))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::lasting(format!("the definition cannot be read: {error}")))
}
