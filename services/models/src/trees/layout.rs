//! Trees laid out flat: every split of every tree in one array, every comparison turned into one.
//!
//! A walk reads 16 bytes a level and takes one kind of step: *left if `x < threshold`*. The six comparisons of ONNX
//! all come down to it. `x <= t` is `x < next_up(t)`, because nothing lies between a float and the next; the
//! negated ones swap their children; `==` takes two steps. What is missing (NaN) compares false with everything,
//! so one bit of a split says when NaN goes left nevertheless.

use super::attributes::{Attributes, Mode};
use crate::ModelError;
use std::collections::HashMap;

/// Set in a reference that names a leaf instead of a branch.
const LEAF: u32 = 1 << 31;
/// Set in `Branch::column` when NaN goes left.
const NAN_LEFT: u32 = 1 << 31;
/// Nodes an ensemble may have. References have 31 bits and `==` takes two branches; a file under the size limit
/// cannot hold more.
const MAX_NODES: usize = 1 << 29;

/// One comparison: left if `x < threshold`, else right.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Branch {
    threshold: f32,
    column: u32,
    left: u32,
    right: u32,
}

/// What a leaf says: this much for this class or target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weight {
    pub class: u32,
    pub weight: f64,
}

/// All trees of an ensemble, in the order of their first node in the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Forest {
    branches: Vec<Branch>,
    /// A leaf's weights are `weights[leaves[i]..leaves[i + 1]]`.
    leaves: Vec<u32>,
    weights: Vec<Weight>,
    roots: Vec<u32>,
    pub min_width: usize,
    /// The tree of each leaf (an index into `roots`), for the checks of the head.
    pub leaf_tree: Vec<u32>,
}

impl Forest {
    /// Lays out checked trees: one root each, every node reached once.
    pub(super) fn build(attributes: &Attributes) -> Result<Forest, ModelError> {
        let nodes = attributes.tree.len();
        if nodes > MAX_NODES {
            let problem = format!("{nodes} nodes, over the limit of {MAX_NODES}");
            return Err(attributes
                .place
                .refuse(problem, "train fewer or shallower trees"));
        }
        let index = Index::build(attributes)?;
        let mut builder = Builder {
            attributes,
            index: &index,
            places: vec![0; nodes],
            forest: Forest::default(),
        };
        for (tree, members) in index.trees.iter().enumerate() {
            builder.add_tree(tree, members)?;
        }
        let used: usize = builder.forest.weights.len();
        if used != attributes.weight.len() {
            let problem = format!(
                "{} weights are for nodes that are no leaf",
                attributes.weight.len() - used
            );
            return Err(attributes.place.broken(problem));
        }
        Ok(builder.forest)
    }

    /// The number of trees.
    pub(super) fn trees(&self) -> usize {
        self.roots.len()
    }

    /// The weights of leaf `leaf`.
    pub(super) fn leaf(&self, leaf: usize) -> &[Weight] {
        &self.weights[self.leaves[leaf] as usize..self.leaves[leaf + 1] as usize]
    }

    /// All weights.
    pub(super) fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// For each tree in order, the weights of the leaf that the row falls into.
    pub(super) fn walk(&self, row: &[f32], mut visit: impl FnMut(&[Weight])) {
        for root in &self.roots {
            let mut at = *root;
            while at & LEAF == 0 {
                let branch = &self.branches[at as usize];
                let x = row[(branch.column & !NAN_LEFT) as usize];
                let left = x < branch.threshold || (x.is_nan() && branch.column & NAN_LEFT != 0);
                at = if left { branch.left } else { branch.right };
            }
            visit(self.leaf((at & !LEAF) as usize));
        }
    }
}

/// Where each (tree, node) of the file is.
struct Index {
    trees: Vec<Vec<usize>>,
    by_id: HashMap<(i64, i64), usize>,
    weights: HashMap<(i64, i64), Vec<usize>>,
}

impl Index {
    fn build(attributes: &Attributes) -> Result<Index, ModelError> {
        let mut order: HashMap<i64, usize> = HashMap::new();
        let mut index = Index {
            trees: Vec::new(),
            by_id: HashMap::new(),
            weights: HashMap::new(),
        };
        for (at, (tree, id)) in attributes.tree.iter().zip(&attributes.id).enumerate() {
            if index.by_id.insert((*tree, *id), at).is_some() {
                return Err(attributes
                    .place
                    .broken(format!("tree {tree} has two nodes of id {id}")));
            }
            let next = index.trees.len();
            let position = *order.entry(*tree).or_insert(next);
            if position == next {
                index.trees.push(Vec::new());
            }
            index.trees[position].push(at);
        }
        for (at, key) in attributes
            .weight_tree
            .iter()
            .zip(&attributes.weight_node)
            .enumerate()
        {
            index.weights.entry((*key.0, *key.1)).or_default().push(at);
        }
        Ok(index)
    }
}

struct Builder<'a> {
    attributes: &'a Attributes,
    index: &'a Index,
    /// The reference of each node of the file, once it is placed.
    places: Vec<u32>,
    forest: Forest,
}

impl Builder<'_> {
    fn add_tree(&mut self, tree: usize, members: &[usize]) -> Result<(), ModelError> {
        let order = self.order(members)?;
        let mut next = self.forest.branches.len() as u32;
        for at in &order {
            self.places[*at] = match self.attributes.mode[*at] {
                Mode::Leaf => self.add_leaf(tree, *at)?,
                Mode::Eq | Mode::Neq => {
                    next += 2;
                    next - 2
                }
                _ => {
                    next += 1;
                    next - 1
                }
            };
        }
        for at in &order {
            self.add_branch(*at)?;
        }
        // `order` starts at the root, and a tree has at least the node that named it.
        self.forest
            .roots
            .extend(order.first().map(|root| self.places[*root]));
        Ok(())
    }

    /// The tree's nodes from the root down, parents first, the true side before the false side.
    fn order(&self, members: &[usize]) -> Result<Vec<usize>, ModelError> {
        let place = &self.attributes.place;
        let tree = members.first().map_or(0, |at| self.attributes.tree[*at]);
        let mut children = HashMap::with_capacity(members.len());
        let mut has_parent = std::collections::HashSet::with_capacity(members.len());
        for at in members
            .iter()
            .filter(|at| self.attributes.mode[**at] != Mode::Leaf)
        {
            let (yes, no) = (
                self.child(*at, &self.attributes.if_true)?,
                self.child(*at, &self.attributes.if_false)?,
            );
            for child in [yes, no] {
                if !has_parent.insert(child) {
                    let id = self.attributes.id[child];
                    return Err(place.broken(format!("tree {tree}: node {id} has two parents")));
                }
            }
            children.insert(*at, (yes, no));
        }
        let mut roots = members.iter().filter(|at| !has_parent.contains(*at));
        let root = match (roots.next(), roots.next()) {
            (Some(root), None) => *root,
            (None, _) => {
                return Err(
                    place.broken(format!("tree {tree} is a cycle: every node has a parent"))
                );
            }
            (Some(_), Some(other)) => {
                let id = self.attributes.id[*other];
                return Err(place.broken(format!(
                    "tree {tree}: node {id} cannot be reached from the root"
                )));
            }
        };
        let mut order = Vec::with_capacity(members.len());
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            order.push(at);
            if let Some((yes, no)) = children.get(&at) {
                open.extend([*no, *yes]);
            }
        }
        // One root and at most one parent each: what is not reached can only be a cycle beside the tree.
        if order.len() != members.len() {
            let lost = members.len() - order.len();
            return Err(place.broken(format!(
                "tree {tree}: {lost} nodes form a cycle beside the tree"
            )));
        }
        Ok(order)
    }

    fn child(&self, at: usize, ids: &[i64]) -> Result<usize, ModelError> {
        let key = (self.attributes.tree[at], ids[at]);
        self.index.by_id.get(&key).copied().ok_or_else(|| {
            let (tree, id) = (key.0, self.attributes.id[at]);
            self.attributes.place.broken(format!(
                "tree {tree}: node {id} points to node {}, which is none",
                key.1
            ))
        })
    }

    fn add_leaf(&mut self, tree: usize, at: usize) -> Result<u32, ModelError> {
        let attributes = self.attributes;
        let forest = &mut self.forest;
        if forest.leaves.is_empty() {
            forest.leaves.push(0);
        }
        let leaf = forest.leaf_tree.len() as u32;
        let start = forest.weights.len();
        let classes = attributes.labels.len() as i64;
        for weight in self
            .index
            .weights
            .get(&(attributes.tree[at], attributes.id[at]))
            .into_iter()
            .flatten()
        {
            let class = attributes.weight_class[*weight];
            if !(0..classes).contains(&class) {
                let problem =
                    format!("a leaf's weight is for class or target {class} of {classes}");
                return Err(attributes.place.broken(problem));
            }
            if forest.weights[start..]
                .iter()
                .any(|other| i64::from(other.class) == class)
            {
                return Err(attributes.place.broken(format!(
                    "a leaf has two weights for class or target {class}"
                )));
            }
            forest.weights.push(Weight {
                class: class as u32,
                weight: f64::from(attributes.weight[*weight]),
            });
        }
        forest.leaves.push(forest.weights.len() as u32);
        forest.leaf_tree.push(tree as u32);
        Ok(leaf | LEAF)
    }

    fn add_branch(&mut self, at: usize) -> Result<(), ModelError> {
        let attributes = self.attributes;
        let mode = attributes.mode[at];
        if mode == Mode::Leaf {
            return Ok(());
        }
        let (threshold, feature) = (attributes.threshold[at], attributes.feature[at]);
        if threshold.is_nan() {
            return Err(attributes.place.broken("a split compares with NaN"));
        }
        let Ok(column @ 0..NAN_LEFT) = u32::try_from(feature) else {
            return Err(attributes
                .place
                .broken(format!("a split is on column {feature}")));
        };
        self.forest.min_width = self.forest.min_width.max(column as usize + 1);
        let yes = self.places[self.child(at, &attributes.if_true)?];
        let no = self.places[self.child(at, &attributes.if_false)?];
        self.push(
            mode,
            threshold,
            column,
            (yes, no),
            attributes.missing_true[at],
        );
        Ok(())
    }

    fn push(&mut self, mode: Mode, t: f32, column: u32, (yes, no): (u32, u32), missing_true: bool) {
        let branches = &mut self.forest.branches;
        let branch = |threshold, left, right, nan_left| Branch {
            threshold,
            column: if nan_left { column | NAN_LEFT } else { column },
            left,
            right,
        };
        // "x < up" means "x <= t". Nothing is above +inf: there everything but NaN is "<= t", said as "not < -inf".
        let (up, below) = if t == f32::INFINITY {
            (f32::NEG_INFINITY, false)
        } else {
            (t.next_up(), true)
        };
        let nan = missing_true;
        match (mode, below) {
            (Mode::Lt, _) => branches.push(branch(t, yes, no, nan)),
            (Mode::Gte, _) => branches.push(branch(t, no, yes, !nan)),
            (Mode::Leq, true) | (Mode::Gt, false) => branches.push(branch(up, yes, no, nan)),
            (Mode::Leq, false) | (Mode::Gt, true) => branches.push(branch(up, no, yes, !nan)),
            (Mode::Eq | Mode::Neq, _) => {
                // Two steps: below t, it differs; else not above t, it equals. NaN differs, unless it tracks true.
                let (same, other) = if mode == Mode::Eq {
                    (yes, no)
                } else {
                    (no, yes)
                };
                let second = branches.len() as u32 + 1;
                branches.push(branch(t, other, second, false));
                let nan_same = mode == Mode::Eq && nan;
                branches.push(match below {
                    true => branch(up, same, other, nan_same),
                    false => branch(up, other, same, !nan_same),
                });
            }
            (Mode::Leaf, _) => {}
        }
    }
}
