//! A paced run on a log whose offsets have gaps: after each transaction its marker, and aborted records.

use mainstem_kernel::log::{Log, TopicSpec};
use mainstem_kernel::pace::Pacer;
use mainstem_kernel::testkit::toys::push;
use mainstem_schemas::events::{Event, OutputWritten, RunTaken, Turn};
use mainstem_schemas::{Batch, Digest, Envelope, Millis};

use crate::support::{Room, broker, records};

fn clock_of(name: &str) -> Option<Room> {
    let room = Room::new(broker()?, name, 1, &[]);
    let name = format!("{}.clock", room.project);
    let partitions = 1;
    room.log
        .create_topics(&[TopicSpec { name, partitions }])
        .unwrap();
    Some(room)
}

fn ticks(room: &Room) -> usize {
    records(&room.log, &room.at("clock", 0)).len()
}

/// A pacer that was killed after a tick which a task answered has another round to go; one whose last round added
/// nothing has none.
#[test]
fn a_pacer_that_goes_on_knows_what_its_last_round_added() {
    for (name, answers, rounds) in [("answered", true, 2), ("silent", false, 1)] {
        let Some(room) = clock_of(name) else { return };
        let pacer = || Pacer::new(&room.log, &room.project, Vec::new()).unwrap();
        pacer().tick(Millis(1_000)).unwrap();
        let run = RunTaken {
            topic: format!("{}.clock", room.project),
            partition: 0,
            first: 0,
            next: 1,
            count: 1,
            root: Digest::default(),
            blocks: Vec::new(),
        };
        let output = OutputWritten {
            topic: format!("{}.out", room.project),
            partition: 0,
            count: 1,
            root: Digest::default(),
        };
        let turn = Turn {
            task: "room/a/0".into(),
            number: 1,
            machine_version: 1,
            definition: Digest::default(),
            runs: vec![run],
            positions: Vec::new(),
            outputs: if answers { vec![output] } else { Vec::new() },
            outstanding: 0,
            previous: Digest::default(),
            hash: Digest::default(),
        };
        let (mut turns, event) = (Batch::new(), Event::Turn(turn));
        push(
            &mut turns,
            room.catalog(),
            b"",
            &event,
            &Envelope::default(),
        );
        let mut writer = room.log.writer("turns").unwrap();
        writer.append(&[(room.at("turns", 0), turns)]).unwrap();
        pacer().settle(Millis(1_000), &|| false).unwrap();
        assert_eq!(ticks(&room), rounds, "{name}");
    }
}
