//! What a label is, and which it is: the one reading that predictions are joined by and training sets are labelled by.
//!
//! A label is the binary column of an arrival, named by the arrival's entity and event time. It is the answer to what
//! was asked a horizon earlier. If the same (entity, event time) arrives again, the later record counts.

use std::collections::BTreeMap;

use mainstem_columns::{Columns, Kind, Layout, Reason, Wanted};
use mainstem_schemas::definition::Source;
use mainstem_schemas::{Catalog, EventId, Millis, Span};

use crate::arrivals::{Decoders, Opener, Outside, Refusal};
use crate::foreign::Given;

/// Event time of the label of features at `event_time`.
#[must_use]
pub fn target(event_time: Millis, horizon: Span) -> Millis {
    event_time.plus(horizon)
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Entity.
    pub entity: String,
    /// Event time.
    pub time: Millis,
    /// Id of the arrival.
    pub origin: EventId,
    /// The class, 0 or 1.
    pub class: i32,
}

/// Reads labels from the arrivals of a source.
#[derive(Debug)]
pub struct LabelReader {
    column: String,
    opener: Opener,
    decoders: Decoders,
    columns: Columns,
}

impl LabelReader {
    /// A reader of that column of a source.
    ///
    /// # Errors
    /// Where the column of the source's event time is not declared.
    pub fn new(source: &Source, column: &str) -> Result<Self, String> {
        let layout = Layout::new([Wanted::optional(column, Kind::Number)]);
        let layout = layout.map_err(|bad| bad.to_string())?;
        Ok(LabelReader {
            column: column.into(),
            opener: Opener::of(source)?,
            columns: Columns::new(&layout),
            decoders: Decoders::new(layout),
        })
    }

    /// The label of an arrival: none where it is missing, and none where the arrival cannot be read at all, which is
    /// for the view's own task to report.
    ///
    /// # Errors
    /// What is wrong with the label itself.
    pub fn read(
        &mut self,
        catalog: &Catalog,
        partition: u32,
        horizon: Millis,
        given: &Given<'_>,
    ) -> Result<Option<Label>, (Outside, Refusal)> {
        let (outside, arrival) = given.open(&mut self.opener, catalog, partition, horizon);
        let Ok(arrival) = arrival else {
            return Ok(None);
        };
        self.columns.clear();
        match self
            .decoders
            .append(catalog, arrival.schema, arrival.body, &mut self.columns)
        {
            Ok(()) => {}
            Err(refusal) if self.is_ours(&refusal) => return Err((outside, refusal)),
            Err(_) => return Ok(None),
        }
        let Some(value) = self.columns.number(0, 0).filter(|value| !value.is_nan()) else {
            return Ok(None);
        };
        let Some(class) = class_of(value) else {
            let refusal = Refusal::NotBinary {
                column: self.column.clone(),
                value,
            };
            return Err((outside, refusal));
        };
        let entity = arrival.entity.to_owned();
        Ok(Some(Label {
            entity,
            time: arrival.time,
            origin: arrival.origin,
            class,
        }))
    }

    /// Whether a refusal is about the label's type: any other is the view's task's too.
    fn is_ours(&self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::Schema { .. } => true,
            Refusal::Body(bad) => {
                bad.field.as_ref() == Some(&self.column)
                    && matches!(bad.reason, Reason::Mismatch { .. })
            }
            _ => false,
        }
    }
}

fn class_of(value: f64) -> Option<i32> {
    match value {
        0.0 => Some(0),
        1.0 => Some(1),
        _ => None,
    }
}

/// The label of each (entity, event time), the later record's where there are several.
#[derive(Clone, Debug, Default)]
pub struct Labels(BTreeMap<String, BTreeMap<Millis, i32>>);

impl Labels {
    /// Takes a label; labels come in the order of their records.
    pub fn take(&mut self, entity: &str, time: Millis, class: i32) {
        match self.0.get_mut(entity) {
            Some(times) => {
                times.insert(time, class);
            }
            None => {
                self.0
                    .insert(entity.to_owned(), BTreeMap::from([(time, class)]));
            }
        }
    }

    /// The answer to what was asked at `event_time`.
    #[must_use]
    pub fn answer(&self, entity: &str, event_time: Millis, horizon: Span) -> Option<i32> {
        self.0
            .get(entity)?
            .get(&target(event_time, horizon))
            .copied()
    }
}

/// The class of each row (entity, event time), in order; none where no label came. `labels` are (entity, event time,
/// class) in the order of their records.
pub fn label_rows<'a>(
    rows: impl IntoIterator<Item = (&'a str, Millis)>,
    labels: impl IntoIterator<Item = (&'a str, Millis, i32)>,
    horizon: Span,
) -> Vec<Option<i32>> {
    let mut known = Labels::default();
    for (entity, time, class) in labels {
        known.take(entity, time, class);
    }
    let answer = |(entity, time)| known.answer(entity, time, horizon);
    rows.into_iter().map(answer).collect()
}
