//! What a reader hands out at once.

use std::time::Duration;

use mainstem_kernel::Log;
use mainstem_kernel::log::FetchLimit;
use mainstem_schemas::Batch;

use crate::support::{Room, broker, one};

/// Between records that come one by one lie events that say that the partition ended: a fetch goes on beyond them.
#[test]
fn records_that_came_one_by_one_are_handed_out_together() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "single", 1, &[]);
    let at = room.at("out", 0);
    let mut writer = room.log.writer("w").unwrap();
    let mut append = |value: &str| writer.append(&[(at.clone(), one(value))]).unwrap();
    append("first");
    append("second");
    let (mut reader, mut batch) = (room.log.reader().unwrap(), Batch::new());
    // One is left, so that the client goes on fetching, and hears of each end.
    let first = FetchLimit {
        records: 1,
        ..FetchLimit::default()
    };
    reader.fetch(&at, 0, first, &mut batch).unwrap();
    assert_eq!(batch.len(), 1);
    for value in ["third", "fourth", "fifth"] {
        append(value);
        std::thread::sleep(Duration::from_millis(200));
    }
    let next = batch.offsets()[0] + 1;
    let limit = FetchLimit::default();
    reader.fetch(&at, next, limit, &mut batch).unwrap();
    let values = batch.iter().map(|record| record.value.unwrap().to_vec());
    let wanted = ["first", "second", "third", "fourth", "fifth"];
    assert_eq!(values.collect::<Vec<_>>(), wanted.map(Vec::from));
}
