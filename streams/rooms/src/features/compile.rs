//! From names to numbers: which values a view has, what must be remembered of them, and in which order they come.

use std::collections::BTreeMap;

use mainstem_schemas::definition::{Expression, FieldType, Source, View};

use super::plan::{BadView, LONGEST, Node, Step, Window};
use super::window::{Asked, SHORT};

/// A view half compiled.
pub(super) struct Compiler<'a> {
    view: &'a View,
    /// The columns that are used, each once.
    pub columns: Vec<&'a str>,
    /// Per feature, the values that it is of.
    operands: Vec<Vec<Operand>>,
    /// Per ring, how many values it holds.
    pub lengths: Vec<usize>,
    /// Ring of each value that has one.
    ring_of: BTreeMap<Operand, usize>,
    pub windows: Vec<Window>,
    window_of: BTreeMap<(Operand, u32), usize>,
    /// Ring of each feature that goes on from its own last value.
    own_ring: BTreeMap<usize, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operand {
    Column(usize),
    Feature(usize),
}

impl<'a> Compiler<'a> {
    /// What each name means.
    pub fn resolve(view: &'a View, source: &'a Source) -> Result<Self, BadView> {
        let mut features = BTreeMap::new();
        for (at, feature) in view.features.iter().enumerate() {
            if features.insert(feature.name.as_str(), at).is_some() {
                return Err(BadView::Twice(feature.name.clone()));
            }
        }
        let mut columns: Vec<&str> = Vec::new();
        let mut operands = Vec::new();
        for (own, feature) in view.features.iter().enumerate() {
            let mut resolve = |name: &'a str| {
                let hides = features.get(name).filter(|at| **at != own);
                if let Some(at) = hides {
                    return Ok(Operand::Feature(*at));
                }
                let (feature, name) = (feature.name.clone(), name);
                let field = source.fields.iter().find(|field| field.name == name);
                match field.map(|field| field.kind) {
                    None => Err(BadView::Unknown {
                        feature,
                        operand: name.into(),
                    }),
                    Some(FieldType::String) => Err(BadView::Text {
                        feature,
                        column: name.into(),
                    }),
                    Some(_) => {
                        let known = columns.iter().position(|column| *column == name);
                        Ok(Operand::Column(known.unwrap_or_else(|| {
                            columns.push(name);
                            columns.len() - 1
                        })))
                    }
                }
            };
            let resolved: Result<_, _> = feature
                .of
                .operands()
                .into_iter()
                .map(&mut resolve)
                .collect();
            operands.push(resolved?);
        }
        Ok(Compiler {
            view,
            columns,
            operands,
            lengths: Vec::new(),
            ring_of: BTreeMap::new(),
            windows: Vec::new(),
            window_of: BTreeMap::new(),
            own_ring: BTreeMap::new(),
        })
    }

    /// The rings and windows that the features demand.
    pub fn demand(&mut self) -> Result<(), BadView> {
        for (own, (feature, operands)) in self.view.features.iter().zip(&self.operands).enumerate()
        {
            let (records, window) = match &feature.of {
                Expression::Lag { by, .. } | Expression::Change { by, .. } => (*by, None),
                Expression::Window {
                    statistic, last, ..
                } => (*last, Some(*statistic)),
                Expression::Ewma { .. } => {
                    self.own_ring.insert(own, self.lengths.len());
                    self.lengths.push(1);
                    continue;
                }
                _ => continue,
            };
            if !(1..=LONGEST).contains(&records) {
                return Err(BadView::Length {
                    feature: feature.name.clone(),
                    records,
                });
            }
            let ring = *self.ring_of.entry(operands[0]).or_insert_with(|| {
                self.lengths.push(1);
                self.lengths.len() - 1
            });
            let last = records as usize;
            let long = window.is_some() && last > SHORT;
            // A lag reads the value so far back, and a long window the one that leaves it: one more than a window.
            let length = if window.is_some() && !long {
                last
            } else {
                last + 1
            };
            self.lengths[ring] = self.lengths[ring].max(length);
            if let Some(statistic) = window {
                let longs = self
                    .windows
                    .iter()
                    .filter(|window| window.long.is_some())
                    .count();
                let at = *self
                    .window_of
                    .entry((operands[0], records))
                    .or_insert_with(|| {
                        let long = long.then_some(longs);
                        self.windows.push(Window {
                            ring,
                            last,
                            asked: Asked::default(),
                            long,
                        });
                        self.windows.len() - 1
                    });
                self.windows[at].asked.add(statistic);
            }
        }
        Ok(())
    }

    /// Every value after its operands, and what remembers it at once after it.
    pub fn steps(&self) -> Result<Vec<Step>, BadView> {
        let mut steps = Vec::new();
        for column in 0..self.columns.len() {
            self.remember(Operand::Column(column), &mut steps);
        }
        let mut marks = vec![Mark::New; self.view.features.len()];
        for feature in 0..self.view.features.len() {
            self.visit(feature, &mut marks, &mut steps)?;
        }
        Ok(steps)
    }

    fn visit(&self, at: usize, marks: &mut [Mark], steps: &mut Vec<Step>) -> Result<(), BadView> {
        match marks[at] {
            Mark::Done => return Ok(()),
            Mark::Open => return Err(BadView::Circle(self.view.features[at].name.clone())),
            Mark::New => marks[at] = Mark::Open,
        }
        for operand in &self.operands[at] {
            if let Operand::Feature(feature) = operand {
                self.visit(*feature, marks, steps)?;
            }
        }
        steps.push(Step::Feature {
            feature: at,
            of: self.node(at),
        });
        self.remember(Operand::Feature(at), steps);
        marks[at] = Mark::Done;
        Ok(())
    }

    /// A value that was computed goes into its ring and its windows.
    fn remember(&self, operand: Operand, steps: &mut Vec<Step>) {
        let value = self.value(operand);
        if let Some(ring) = self.ring_of.get(&operand) {
            steps.push(Step::Push { ring: *ring, value });
        }
        let windows = self.window_of.range((operand, 0)..=(operand, u32::MAX));
        steps.extend(windows.map(|(_, window)| Step::Window {
            window: *window,
            value,
        }));
    }

    fn node(&self, at: usize) -> Node {
        let operands = &self.operands[at];
        let value = |place: usize| self.value(operands[place]);
        let ring = || self.ring_of[&operands[0]];
        match &self.view.features[at].of {
            Expression::Column(_) => Node::Same(value(0)),
            Expression::Lag { by, .. } => Node::Lag {
                ring: ring(),
                by: *by as usize,
            },
            Expression::Change { by, .. } => Node::Change {
                value: value(0),
                ring: ring(),
                by: *by as usize,
            },
            Expression::Difference { .. } => Node::Difference(value(0), value(1)),
            Expression::Ratio { .. } => Node::Ratio(value(0), value(1)),
            Expression::Window {
                statistic, last, ..
            } => Node::Statistic {
                window: self.window_of[&(operands[0], *last)],
                statistic: *statistic,
            },
            Expression::Ewma { alpha, .. } => Node::Ewma {
                value: value(0),
                ring: self.own_ring[&at],
                alpha: *alpha,
            },
        }
    }

    fn value(&self, operand: Operand) -> usize {
        match operand {
            Operand::Column(at) => at,
            Operand::Feature(at) => self.columns.len() + at,
        }
    }
}

#[derive(Clone, Copy)]
enum Mark {
    New,
    Open,
    Done,
}
