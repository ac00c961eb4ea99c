//! Bodies of one writer's schema, row by row into columns.

use apache_avro::Schema;

use crate::body::{Body, Reason};
use crate::columns::{Columns, Layout};
use crate::compile::{Leaf, Shape, Step, Steps, To, Unreadable, Wire, compile};

/// Reads the bodies that were written with one schema into the columns of a layout.
#[derive(Debug)]
pub struct FlatDecoder {
    layout: Layout,
    steps: Vec<Step>,
    absent: Vec<usize>,
    is_ambiguous: bool,
    /// So many of the first steps give all that the layout wants.
    wanted: usize,
}

/// A record that is not what its schema says, or lacks what the layout must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .field.as_ref().map_or(String::new(), |field| format!("field {field}: ")))]
pub struct BadRecord {
    /// The field, where it is one.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub reason: Reason,
}

impl FlatDecoder {
    /// The decoder of a writer's schema: a record of null, boolean, int, long, float, double, string, bytes, fixed,
    /// enum and unions of them, logical types by what they are written as. Fields that nobody wants may hold anything.
    ///
    /// # Errors
    /// [`Unreadable`] where a wanted field is nested, or the schema does not have what the layout wants.
    pub fn compile(writer: &Schema, layout: &Layout) -> Result<Self, Unreadable> {
        let Steps {
            steps,
            absent,
            is_ambiguous,
        } = compile(writer, layout)?;
        let wanted = steps.iter().rposition(Step::is_wanted);
        Ok(FlatDecoder {
            layout: layout.clone(),
            wanted: wanted.map_or(0, |last| last + 1),
            steps,
            absent,
            is_ambiguous,
        })
    }

    /// Whether a field may be several of the columns by its name and aliases: in a layout of fewer columns it may then
    /// fill another one.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Appends the record that a body holds, which is all of `body`.
    ///
    /// # Errors
    /// [`BadRecord`]; the columns are then as before.
    pub fn append(&self, body: &[u8], columns: &mut Columns) -> Result<(), BadRecord> {
        let rest = self.read(&self.steps, body, columns)?;
        if !rest.is_empty() {
            return Err(take_back(columns, None, Reason::Trailing(rest.len())));
        }
        self.end(columns);
        Ok(())
    }

    /// As [`append`](Self::append), reading no further than the last field that the layout wants.
    ///
    /// # Errors
    /// [`BadRecord`]; the columns are then as before.
    pub fn peek(&self, body: &[u8], columns: &mut Columns) -> Result<(), BadRecord> {
        let wanted = self.steps.get(..self.wanted).unwrap_or(&self.steps);
        self.read(wanted, body, columns)?;
        self.end(columns);
        Ok(())
    }

    /// Reads these fields; what is left of the body.
    #[inline]
    fn read<'a>(
        &self,
        steps: &[Step],
        body: &'a [u8],
        columns: &mut Columns,
    ) -> Result<&'a [u8], BadRecord> {
        if !columns.layout().is(&self.layout) {
            return Err(BadRecord {
                field: None,
                reason: Reason::Layout,
            });
        }
        let (mut steps, mut body) = (steps, Body(body));
        while let Some((step, rest)) = steps.split_first() {
            if let Some(after) = read_doubles(steps, &mut body, columns) {
                steps = after;
                continue;
            }
            if let Err(reason) = step.read(&mut body, columns) {
                return Err(take_back(columns, Some(step), reason));
            }
            steps = rest;
        }
        Ok(body.0)
    }

    #[inline]
    fn end(&self, columns: &mut Columns) {
        for column in &self.absent {
            columns.put_null(*column);
        }
        columns.row_done();
    }
}

/// Reads the doubles that lie in a row at once, where there are some and all are there; the steps after them.
#[inline]
fn read_doubles<'s>(
    steps: &'s [Step],
    body: &mut Body<'_>,
    columns: &mut Columns,
) -> Option<&'s [Step]> {
    let count = steps.first()?.doubles.min(steps.len());
    if count < 2 {
        return None;
    }
    let (doubles, after) = steps.split_at_checked(count)?;
    let (bytes, rest) = body.0.split_at_checked(8 * count)?;
    for (step, bytes) in doubles.iter().zip(bytes.as_chunks().0) {
        if let Shape::One(Leaf {
            to: To::Column(column),
            ..
        }) = &step.shape
        {
            columns.put_number(*column, f64::from_le_bytes(*bytes));
        }
    }
    body.0 = rest;
    Some(after)
}

#[cold]
fn take_back(columns: &mut Columns, step: Option<&Step>, reason: Reason) -> BadRecord {
    columns.truncate(columns.rows());
    BadRecord {
        field: step.map(|step| step.field.clone()),
        reason,
    }
}

impl Step {
    fn is_wanted(&self) -> bool {
        let leaves = match &self.shape {
            Shape::One(leaf) => std::slice::from_ref(leaf),
            Shape::Union(branches) => branches,
        };
        leaves.iter().any(|leaf| !matches!(leaf.to, To::Nowhere))
    }

    #[inline]
    fn read(&self, body: &mut Body<'_>, columns: &mut Columns) -> Result<(), Reason> {
        match &self.shape {
            Shape::One(leaf) => leaf.read(body, columns),
            Shape::Union(branches) => {
                let wrong = |branch| Reason::Branch {
                    branch,
                    branches: branches.len(),
                };
                let index = body.index(branches.len())?.map_err(wrong)?;
                match branches.get(index) {
                    Some(leaf) => leaf.read(body, columns),
                    None => Err(wrong(index as i64)),
                }
            }
        }
    }
}

impl Leaf {
    #[inline]
    fn read(&self, body: &mut Body<'_>, columns: &mut Columns) -> Result<(), Reason> {
        match &self.wire {
            Wire::Null => match self.to {
                To::Column(column) => columns.put_null(column),
                to => to.refuse()?,
            },
            Wire::Boolean => {
                let number = f64::from(u8::from(body.boolean()?));
                self.to.number(columns, number)?;
            }
            Wire::Int => {
                let int = body.int()?;
                self.to.whole(columns, i64::from(int))?;
            }
            Wire::Long => {
                let long = body.long()?;
                match self.to {
                    To::Time(column, 1) => columns.put_time(column, long),
                    To::Time(column, units) => columns.put_time(column, long.div_euclid(units)),
                    to => to.whole(columns, long)?,
                }
            }
            Wire::Float => {
                let number = f64::from(f32::from_le_bytes(body.array()?));
                self.to.number(columns, number)?;
            }
            Wire::Double => {
                let number = f64::from_le_bytes(body.array()?);
                self.to.number(columns, number)?;
            }
            Wire::Text => match self.to {
                To::Nowhere => body.pass_text()?,
                to => to.text(columns, body.text()?)?,
            },
            Wire::Bytes => {
                body.prefixed()?;
                self.to.refuse()?;
            }
            Wire::Fixed(size) => {
                let bytes = body.bytes(*size)?;
                match (self.to, bytes.try_into()) {
                    (To::Column(column), Ok(id)) => columns.put_origin(column, id),
                    (to, _) => to.refuse()?,
                }
            }
            Wire::Enum(symbols) => {
                let wrong = |symbol| Reason::Symbol {
                    symbol,
                    symbols: symbols.len(),
                };
                let index = body.index(symbols.len())?.map_err(wrong)?;
                let symbol = symbols.get(index).ok_or(wrong(index as i64))?;
                self.to.text(columns, symbol)?;
            }
            Wire::Nested(skip) => skip.pass(body)?,
        }
        Ok(())
    }
}

impl To {
    #[inline]
    fn number(self, columns: &mut Columns, number: f64) -> Result<(), Reason> {
        match self {
            To::Column(column) => {
                columns.put_number(column, number);
                Ok(())
            }
            to => to.refuse(),
        }
    }

    #[inline]
    fn whole(self, columns: &mut Columns, whole: i64) -> Result<(), Reason> {
        match self {
            To::Column(column) => {
                columns.put_whole(column, whole);
                Ok(())
            }
            to => to.refuse(),
        }
    }

    #[inline]
    fn text(self, columns: &mut Columns, text: &str) -> Result<(), Reason> {
        match self {
            To::Column(column) => columns.put_text(column, text),
            to => to.refuse(),
        }
    }

    /// Nothing, where nobody wants the value.
    fn refuse(self) -> Result<(), Reason> {
        match self {
            To::Refuse(reason) => Err(reason),
            _ => Ok(()),
        }
    }
}
