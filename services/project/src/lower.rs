//! From a file of the right shape to the definition, with every name followed.
//!
//! What the checker has refused already is read as something harmless here: its mistake is in the report, and no
//! definition leaves [`crate::parse`] while the report holds any. Names are looked up in the file, not in what was
//! built, so that one mistake does not bring forth others.

mod expression;
mod model;
mod monitor;
mod names;
mod record;
mod source;
mod topic;
mod view;

use mainstem_schemas::definition::{Clock, Project};

use crate::diagnostic::Report;
use crate::grammar::PROJECT;
use crate::tree::Node;
use record::Record;

/// Builds the definition.
pub(crate) fn project(root: &Node, report: &mut Report) -> Project {
    let file = Record::of(Some(root), PROJECT);
    let clock = match file.word("clock") {
        "stream" => Clock::Stream,
        _ => Clock::Wall,
    };
    Project {
        name: file.word("project").to_owned(),
        clock,
        partitions: file.whole("partitions"),
        sources: source::sources(&file, file.entries("sources"), report),
        views: view::views(root, file.entries("views"), report),
        models: model::models(root, file.entries("models"), report),
        monitors: monitor::monitors(root, file.entries("monitors"), report),
    }
}
