//! Arrivals decoded once for all tasks that read them: decoding was an eighth of a record's time where a view and a
//! monitor read one source.
//!
//! A sheet holds, of a run's records, the columns that any view or monitor of the source reads, and the event time. A
//! record that cannot give all of them is not on it, and every task decodes it for itself: by its own columns alone it
//! takes or refuses it, so that what a task does is the same with a sheet and without.

use std::sync::Arc;

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_kernel::Run;
use mainstem_schemas::definition::{EventTime, FieldType, Project, Source};
use mainstem_schemas::{Catalog, Millis, RecordRef};

use super::opener::is_plain;
use super::{Decoders, split};

/// A run's records in columns.
#[derive(Debug)]
pub struct Sheet {
    columns: Columns,
    /// Row of each record that is on the sheet.
    rows: Vec<Option<usize>>,
    /// The schemas they were written with.
    schemas: Vec<u32>,
    time: Option<usize>,
    /// The newest event time, where every record is plain and on the sheet.
    plain: Option<Millis>,
}

/// One task's view of the sheets of its source.
#[derive(Debug)]
pub struct Sharing {
    layout: Layout,
    decoders: Decoders,
    /// Where each of the task's own columns lies on a sheet.
    places: Vec<usize>,
}

impl Sharing {
    /// For a task that reads the columns `own` of a source; nothing where no other view or monitor reads the source, or
    /// its topic is read in place.
    #[must_use]
    pub fn of(project: &Project, name: &str, own: &Layout) -> Option<Self> {
        let source = project.sources.get(name)?;
        let views = project.views.values().filter(|view| view.source == name);
        let monitors = project.monitors.values().filter(|m| m.source == name);
        if source.is_in_place() || views.clone().count() + monitors.clone().count() < 2 {
            return None;
        }
        let viewed = views.flat_map(|view| &view.features);
        let viewed = viewed.flat_map(|feature| feature.of.operands());
        let monitored = monitors.flat_map(|monitor| &monitor.columns);
        let mut read: Vec<&str> = viewed
            .chain(monitored.map(|column| column.name.as_str()))
            .collect();
        read.sort_unstable();
        read.dedup();
        let mut wanted: Vec<Wanted> = read
            .into_iter()
            .filter_map(|name| number(source, name))
            .collect();
        let time = time(source).filter(|time| wanted.iter().all(|column| column.name != *time));
        wanted.extend(time.map(|name| Wanted::required(name, Kind::Time)));
        let place = |own: &Wanted| wanted.iter().position(|column| column == own);
        let places = own.wanted().iter().map(place).collect::<Option<Vec<_>>>()?;
        let layout = Layout::new(wanted).ok()?;
        Some(Sharing {
            decoders: Decoders::new(layout.clone()),
            layout,
            places,
        })
    }

    /// The sheet of a run that tasks share; nothing where it would tell a task what its own decoders do not know: the
    /// task that made it may follow a later definition, or know a schema that this one does not know yet.
    pub fn sheet(
        &mut self,
        catalog: &Catalog,
        run: &Run<'_>,
        own: &mut Decoders,
    ) -> Option<Arc<Sheet>> {
        let sheet = run.memo?.get_or_make(|| self.make(catalog, run))?;
        let mut schemas = sheet.schemas.iter();
        let same = sheet.columns.layout().wanted() == self.layout.wanted();
        let known = schemas.all(|id| own.of(catalog, *id).is_ok());
        (same && known).then_some(sheet)
    }

    /// Where the task's own columns lie on a sheet.
    #[must_use]
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    fn make(&mut self, catalog: &Catalog, run: &Run<'_>) -> Sheet {
        let is_time = |column: &Wanted| column.kind == Kind::Time;
        let mut sheet = Sheet {
            columns: Columns::new(&self.layout),
            rows: Vec::with_capacity(run.batch.len()),
            schemas: Vec::new(),
            time: self.layout.wanted().iter().position(is_time),
            plain: Some(Millis(0)),
        };
        for record in run.batch.iter() {
            let row = sheet.columns.rows();
            let row = self.read(catalog, &record, &mut sheet).map(|()| row);
            sheet.rows.push(row);
            sheet.plain = sheet.plain.and_then(|newest| {
                let time = sheet.time(row?)?;
                (time >= Millis(0) && is_plain(&record)).then(|| newest.max(time))
            });
        }
        sheet
    }

    fn read(&mut self, catalog: &Catalog, record: &RecordRef<'_>, sheet: &mut Sheet) -> Option<()> {
        let (schema, body) = split(record).ok()?;
        let decoder = self.decoders.of(catalog, schema).ok()?;
        // By an alias a field may fill another column where fewer are wanted.
        if decoder.is_ambiguous() {
            return None;
        }
        decoder.append(body, &mut sheet.columns).ok()?;
        if !sheet.schemas.contains(&schema) {
            sheet.schemas.push(schema);
        }
        Some(())
    }
}

impl Sheet {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The row of a record of the run, where it is on the sheet.
    #[must_use]
    pub fn row(&self, record: usize) -> Option<usize> {
        *self.rows.get(record)?
    }

    /// The event times of the run's records, where all of them are rows of the sheet, and arrivals up to this horizon: who
    /// asks for no more need not look at the records.
    #[must_use]
    pub fn times(&self, horizon: Millis) -> Option<impl Iterator<Item = Millis>> {
        let plain = self.plain.is_some_and(|newest| newest <= horizon);
        plain.then(|| (0..self.columns.rows()).filter_map(|row| self.time(row)))
    }

    /// What the column of the event time says at a row, where it is one.
    #[must_use]
    pub fn time(&self, row: usize) -> Option<Millis> {
        self.columns.time(self.time?, row)
    }
}

fn number(source: &Source, name: &str) -> Option<Wanted> {
    let field = source.fields.iter().find(|field| field.name == name)?;
    (field.kind != FieldType::String).then(|| Wanted {
        name: name.into(),
        kind: Kind::Number,
        optional: field.optional,
    })
}

/// The column of the event time, where it holds milliseconds.
fn time(source: &Source) -> Option<&str> {
    let EventTime::Column(name) = &source.time else {
        return None;
    };
    let field = source.fields.iter().find(|field| field.name == *name)?;
    (field.kind == FieldType::Long).then_some(name)
}
