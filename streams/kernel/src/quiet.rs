//! Quiet: nothing waits in any input, nothing is outstanding, and a second look finds the same.

use mainstem_schemas::events::Turn;

use crate::log::{Log, LogError, Reader};
use crate::task::TaskSpec;

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
        if stands(log, reader, task)?.is_none() {
            return Ok(Some(task));
        }
    }
    Ok(None)
}

/// Numbers of the last turns where all stand still.
fn look(
    log: &dyn Log,
    reader: &mut dyn Reader,
    tasks: &[TaskSpec],
) -> Result<Option<Vec<i64>>, LogError> {
    let stand = tasks.iter().map(|task| stands(log, reader, task));
    stand.collect()
}

/// Number of the last turn of a task that stands still.
fn stands(
    log: &dyn Log,
    reader: &mut dyn Reader,
    task: &TaskSpec,
) -> Result<Option<i64>, LogError> {
    let turn = log.last_turn(&task.id)?;
    let busy = turn.as_ref().is_some_and(|turn| turn.outstanding > 0)
        || !at_end(reader, task, turn.as_ref())?;
    Ok((!busy).then(|| turn.map_or(0, |turn| turn.number)))
}

fn at_end(reader: &mut dyn Reader, task: &TaskSpec, turn: Option<&Turn>) -> Result<bool, LogError> {
    for (rank, partition) in task.partitions().into_iter().enumerate() {
        let position = turn
            .into_iter()
            .flat_map(|turn| &turn.positions)
            .find(|position| {
                position.partition == partition.index as i32
                    && position.topic == partition.topic.as_ref()
            });
        let mut position = position.map_or(0, |position| position.next as u64);
        if task.is_foreign(rank) {
            position = position.max(reader.range(&partition)?.start);
        }
        if !reader.at_end(&partition, position)? {
            return Ok(false);
        }
    }
    Ok(true)
}
