//! From a view's expressions to the steps that compute a row.
//!
//! Every operand is computed before it is used, each (operand, length) window once, whatever is asked of it.

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_schemas::definition::{Source, Statistic, View};

use super::compile::Compiler;
use super::entity::{Entity, Rings};
use super::window::{Asked, Moments};

/// The longest window or lag: what exact sums have room for, and half a megabyte per entity and operand.
pub const LONGEST: u32 = 65_536;

/// Why a view cannot be computed. The definition's parser says the same of the project file, with the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadView {
    /// Two features of one name.
    #[error("feature {0} is defined twice; name each feature once")]
    Twice(String),
    /// Nothing bears the name.
    #[error(
        "feature {feature} is of {operand}, which is neither a column of the source nor a feature of the view"
    )]
    Unknown {
        /// Feature.
        feature: String,
        /// Operand.
        operand: String,
    },
    /// A column that is no number.
    #[error(
        "feature {feature} is of column {column}, which holds text; features are of numbers and booleans"
    )]
    Text {
        /// Feature.
        feature: String,
        /// Column.
        column: String,
    },
    /// A feature that needs itself.
    #[error("feature {0} is computed from itself; break the circle")]
    Circle(String),
    /// A window or lag of no records, or of too many.
    #[error(
        "feature {feature} goes {records} records back; go back at least 1 and at most {LONGEST}"
    )]
    Length {
        /// Feature.
        feature: String,
        /// Records.
        records: u32,
    },
}

/// How to compute a row. Values are numbered: the columns that are used, then the features as the view lists them.
#[derive(Debug)]
pub struct Plan {
    /// The columns that are used.
    pub layout: Layout,
    rings: Rings,
    windows: Vec<Window>,
    long: usize,
    steps: Vec<Step>,
    columns: usize,
    values: Vec<f64>,
    moments: Vec<Moments>,
    present: Vec<f64>,
}

/// One step of computing a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Push { ring: usize, value: usize },
    Window { window: usize, value: usize },
    Feature { feature: usize, of: Node },
}

/// How a feature follows from values, rings and windows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Same(usize),
    Lag {
        ring: usize,
        by: usize,
    },
    Change {
        value: usize,
        ring: usize,
        by: usize,
    },
    Difference(usize, usize),
    Ratio(usize, usize),
    Statistic {
        window: usize,
        statistic: Statistic,
    },
    /// Of a value and the feature's last one, which its own ring of one place holds.
    Ewma {
        value: usize,
        ring: usize,
        alpha: f64,
    },
}

/// A window over a ring.
#[derive(Debug)]
pub(super) struct Window {
    pub ring: usize,
    pub last: usize,
    pub asked: Asked,
    /// Its place among the long windows of an entity, if it is one.
    pub long: Option<usize>,
}

impl Plan {
    /// Compiles a view of a source.
    ///
    /// # Errors
    /// [`BadView`], which the definition's parser rules out.
    pub fn compile(view: &View, source: &Source) -> Result<Self, BadView> {
        let mut compiler = Compiler::resolve(view, source)?;
        compiler.demand()?;
        let (steps, columns) = (compiler.steps()?, compiler.columns.len());
        let wanted = compiler.columns.iter().map(|name| Wanted {
            name: (*name).to_owned(),
            kind: Kind::Number,
            optional: source
                .fields
                .iter()
                .any(|field| field.name == *name && field.optional),
        });
        // Columns are collected without repetition, so that the layout cannot want one twice.
        let layout = Layout::new(wanted).map_err(|twice| BadView::Twice(twice.to_string()))?;
        Ok(Plan {
            layout,
            rings: Rings::new(compiler.lengths),
            long: compiler
                .windows
                .iter()
                .filter(|window| window.long.is_some())
                .count(),
            moments: vec![Moments::default(); compiler.windows.len()],
            windows: compiler.windows,
            values: vec![f64::NAN; columns + view.features.len()],
            steps,
            columns,
            present: Vec::new(),
        })
    }

    /// A fresh entity.
    #[must_use]
    pub fn entity(&self) -> Entity {
        Entity::new(&self.rings, self.long)
    }

    /// Computes the features of a row, whose record becomes the entity's newest; NaN is missing. `places` says which
    /// columns are those of the layout.
    pub fn compute(
        &mut self,
        entity: &mut Entity,
        columns: &Columns,
        places: &[usize],
        row: usize,
    ) -> &[f64] {
        entity.open(&mut self.rings);
        let numbers = self.values.iter_mut().take(self.columns);
        for (value, column) in numbers.zip(places) {
            *value = finite(columns.number(*column, row).unwrap_or(f64::NAN));
        }
        for at in 0..self.steps.len() {
            match self.steps[at] {
                Step::Push { ring, value } => entity.push(&self.rings, ring, self.values[value]),
                Step::Window { window, value } => self.slide(entity, window, self.values[value]),
                Step::Feature { feature, of } => {
                    self.values[self.columns + feature] = finite(self.node(entity, of));
                }
            }
        }
        entity.close();
        &self.values[self.columns..]
    }

    fn slide(&mut self, entity: &mut Entity, at: usize, comes: f64) {
        let Window {
            ring,
            last,
            asked,
            long,
        } = self.windows[at];
        match long {
            None => {
                let values = entity.window(&self.rings, ring, last);
                self.moments[at] = Moments::of(values, &mut self.present, asked);
            }
            Some(long) => {
                let (number, leaves) = (entity.number(), entity.back(&self.rings, ring, last));
                entity.long[long].slide(asked, last, number, comes, leaves);
                self.moments[at] = entity.long[long].moments(asked);
            }
        }
    }

    fn node(&self, entity: &mut Entity, node: Node) -> f64 {
        let back = |ring, by| entity.back(&self.rings, ring, by);
        match node {
            Node::Same(value) => self.values[value],
            Node::Lag { ring, by } => back(ring, by),
            Node::Change { value, ring, by } => self.values[value] - back(ring, by),
            Node::Difference(left, right) => self.values[left] - self.values[right],
            Node::Ratio(_, right) if self.values[right] == 0.0 => f64::NAN,
            Node::Ratio(left, right) => self.values[left] / self.values[right],
            Node::Statistic { window, statistic } => self.moments[window].get(statistic),
            Node::Ewma { value, ring, alpha } => {
                let (comes, before) = (self.values[value], entity.last(&self.rings, ring));
                let after = match (comes.is_nan(), before.is_nan()) {
                    (true, _) => before,
                    (false, true) => comes,
                    (false, false) => alpha * comes + (1.0 - alpha) * before,
                };
                entity.push(&self.rings, ring, after);
                after
            }
        }
    }
}

/// The value, or the one NaN that stands for a missing one: an infinite value is missing.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}
