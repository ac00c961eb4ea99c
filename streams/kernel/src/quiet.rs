//! Quiet: nothing waits in any input, nothing is outstanding, and a second look finds the same.

use mainstem_schemas::events::Turn;

use crate::log::{Log, LogError, Partition, Reader};
use crate::task::{Output, TaskId, TaskSpec};

/// Beyond every record.
const END: u64 = i64::MAX as u64;

/// Whether every task that the definition implies has folded all of its inputs and has no effect outstanding. Two
/// looks: between them a task that was seen at its end could have been handed something by one seen later.
///
/// # Errors
/// The log's.
pub fn is_quiet(
    log: &dyn Log,
    reader: &mut dyn Reader,
    tasks: &[TaskSpec],
) -> Result<bool, LogError> {
    let Some(first) = look(log, reader, tasks)? else {
        return Ok(false);
    };
    Ok(look(log, reader, tasks)?.is_some_and(|second| second == first))
}

/// The first task that is not at its end, or has an effect outstanding, if there is one: what quiet waits for.
///
/// # Errors
/// The log's.
pub fn waits_for<'a>(
    log: &dyn Log,
    reader: &mut dyn Reader,
    tasks: &'a [TaskSpec],
) -> Result<Option<&'a TaskSpec>, LogError> {
    for task in tasks {
        if look(log, reader, std::slice::from_ref(task))?.is_none() {
            return Ok(Some(task));
        }
    }
    Ok(None)
}

/// Numbers of the last turns where all stand still. Turns are looked at before ends: what a task was handed since shows
/// as an end beyond its position.
fn look(
    log: &dyn Log,
    reader: &mut dyn Reader,
    tasks: &[TaskSpec],
) -> Result<Option<Vec<i64>>, LogError> {
    let ids: Vec<&TaskId> = tasks.iter().map(|task| &task.id).collect();
    let turns = log.last_turns(&ids)?;
    if turns.iter().flatten().any(|turn| turn.outstanding > 0) {
        return Ok(None);
    }
    let mut positions = Vec::new();
    for (task, turn) in tasks.iter().zip(&turns) {
        positions.extend(positions_of(reader, task, turn.as_ref())?);
        positions.extend(outputs_of(task));
    }
    let number = |turn: &Option<Turn>| turn.as_ref().map_or(0, |turn| turn.number);
    let quiet = reader.are_at_end(&positions)?;
    Ok(quiet.then(|| turns.iter().map(number).collect()))
}

/// Where a task stands on its inputs after its last turn; what a topic of others has forgotten is behind it.
fn positions_of(
    reader: &mut dyn Reader,
    task: &TaskSpec,
    turn: Option<&Turn>,
) -> Result<Vec<(Partition, u64)>, LogError> {
    let mut positions = Vec::new();
    for (rank, partition) in task.partitions().into_iter().enumerate() {
        let mut known = turn.into_iter().flat_map(|turn| &turn.positions);
        let here = known.find(|position| {
            position.partition == partition.index as i32
                && position.topic == partition.topic.as_ref()
        });
        let mut next = here.map_or(0, |position| position.next as u64);
        if task.is_foreign(rank) {
            next = next.max(reader.range(&partition)?.start);
        }
        positions.push((partition, next));
    }
    Ok(positions)
}

/// What a task has written is decided, too: a log may show a turn before all of its outputs, and whoever finds quiet
/// reads those.
fn outputs_of(task: &TaskSpec) -> impl Iterator<Item = (Partition, u64)> {
    let partitions = |output: &Output| {
        let topic = output.topic.clone();
        (0..output.partitions).map(move |index| (Partition::new(&topic, index), END))
    };
    task.outputs.iter().flat_map(partitions)
}
