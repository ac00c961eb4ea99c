//! Several processes on one log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use mainstem_kernel::pace::Pacer;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::Millis;
use serde_json::Value;

use crate::history::by_key;
use crate::place::Place;
use crate::process::{Process, until};
use crate::shop::{DAY, HEADER, NAME, orders, project};

const CUSTOMERS: u32 = 200;

/// A process with two workers that tells which tasks it has.
fn processor(place: &Place) -> Process {
    let told = ["--log", "info", "--log-format", "json"];
    let mut process = place.start(&[&["run", "processor"], &told[..]].concat());
    process.says("is up in");
    process
}

/// The tasks that the workers of a process last said they have.
fn tasks(process: &Process) -> BTreeSet<String> {
    let mut shares = BTreeMap::new();
    for line in process.err().lines() {
        // The last line may be half written.
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if let Some(tasks) = line["fields"]["tasks"].as_str() {
            shares.insert(line["span"]["seat"].to_string(), tasks.to_owned());
        }
    }
    let tasks = shares.values().flat_map(|tasks| tasks.split_whitespace());
    tasks.map(str::to_owned).collect()
}

/// Waits until each task of the project has one owner among the processes, and each of them as many as the others: one
/// more or less for each of its two workers.
fn shared_out(place: &Place, processes: &[&Process]) -> Vec<BTreeSet<String>> {
    let all = tasks_of(&place.store().project().unwrap());
    let all: BTreeSet<String> = all.into_iter().map(|task| task.id.0).collect();
    let mut shares = Vec::new();
    until("every task has one owner", || {
        shares = processes.iter().map(|process| tasks(process)).collect();
        let held = shares.iter().map(BTreeSet::len).sum::<usize>();
        let once = shares.iter().flatten().collect::<BTreeSet<_>>().len() == held;
        let even = shares
            .iter()
            .all(|share| (share.len() * shares.len()).abs_diff(held) <= 6);
        held == all.len() && once && even
    });
    shares
}

/// Arrivals that each task of the view took.
fn taken(place: &Place) -> BTreeMap<String, i64> {
    let mut taken = BTreeMap::new();
    for (task, arrivals) in place.taken() {
        *taken.entry(task).or_default() += arrivals;
    }
    taken
}

#[test]
fn processes_share_the_tasks_and_do_nothing_twice() {
    let place = Place::applied(&project("wall", 8));
    let _clock = place.start(&["run", "clock"]);
    let (first, mut second, third) = (processor(&place), processor(&place), processor(&place));
    let shares = shared_out(&place, &[&first, &second, &third]);

    // Nobody comes or goes: who has a task now took its turns.
    place.write("one.csv", HEADER.to_owned() + &orders(CUSTOMERS, 0..5));
    place.run(&["publish", "orders", "one.csv"]).with(0);
    let published = u64::from(CUSTOMERS) * 5;
    until("the features are there", || {
        place.count("features.spending") == published
    });
    assert_eq!(shared_out(&place, &[&first, &second, &third]), shares);
    for share in &shares {
        let took: i64 = taken(&place)
            .iter()
            .filter(|(task, _)| share.contains(*task))
            .map(|(_, count)| count)
            .sum();
        assert!(took > 0, "{share:?} took no arrival");
    }

    // One comes and one goes while rows are published.
    place.write("two.csv", HEADER.to_owned() + &orders(CUSTOMERS, 5..25));
    let publisher = place.start(&["publish", "orders", "two.csv"]);
    let fourth = processor(&place);
    second.kill();
    publisher.end().with(0);
    let published = u64::from(CUSTOMERS) * 25;
    until("the features are there", || {
        place.count("features.spending") == published
    });
    shared_out(&place, &[&first, &third, &fourth]);
    drop((first, third, fourth));

    let (arrived, computed) = (
        place.rows("arrivals.orders"),
        place.rows("features.spending"),
    );
    assert_eq!(arrived.len() as u64, published);
    let origins: BTreeSet<_> = computed.iter().map(|row| row.id).collect();
    assert_eq!(origins.len(), computed.len(), "each origin has one row");
    let (arrived, computed) = (by_key(arrived), by_key(computed));
    assert_eq!(arrived.len(), CUSTOMERS as usize);
    for (customer, arrivals) in arrived {
        let ids = |rows: &[(_, _)]| rows.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!(
            ids(&arrivals),
            ids(&computed[&customer]),
            "the order of {customer}"
        );
    }
    place.verify();
}

#[test]
fn a_second_up_is_one_more_worker_and_only_its_port_is_taken() {
    let place = Place::applied(&project("wall", 2));
    let mut first = place.start(&["up", "--port", "0"]);
    let port = first.address().port().to_string();
    let mut second = place.start(&["up", "--port", &port]);
    second.says("is up in");
    second.warns(&format!("port {port} is in use"));
    second.warns("choose another with --port, or stop that one; going on as a worker");
    assert!(!second.out().contains("listening"));

    // A gateway alone has nothing else to do.
    let refused = place.run(&["run", "gateway", "--port", &port]).with(1);
    refused.naming(&[
        &format!("port {port} is in use"),
        "choose another with --port",
    ]);

    // The second goes on with everything when the first is gone.
    first.kill();
    place.write("rows.csv", HEADER.to_owned() + &orders(10, 0..5));
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    until("the features are there", || {
        place.count("features.spending") == 50
    });
    let ticks = place.count("clock");
    until("the clock goes on", || place.count("clock") > ticks + 1);
    drop(second);
    place.verify();
}

#[test]
fn rows_wait_for_a_fresh_clock_and_none_is_taken_for_one_of_the_future() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    let rows: String = (0..50).map(|n| format!("c{n},1,true,{now}\n")).collect();
    // A clock that never ticked, and one that stood for three days.
    let [fresh, old] = [None, Some(Millis(now - 3 * DAY))].map(|last| {
        let place = Place::applied(&project("wall", 2));
        if let Some(last) = last {
            let log = place.store().log.as_ref();
            Pacer::new(log, NAME, Vec::new())
                .unwrap()
                .tick(last)
                .unwrap();
        }
        place.write("rows.csv", HEADER.to_owned() + &rows);
        place.run(&["publish", "orders", "rows.csv"]).with(0);
        let processor = processor(&place);
        (place, processor)
    });
    for (place, mut processor) in [fresh, old] {
        processor.warns("start `mainstem run clock`, or `mainstem up`");
        assert_eq!(
            place.count("features.spending") + place.count("quarantine"),
            0
        );
        let clock = place.start(&["run", "clock"]);
        until("the features are there", || {
            place.count("features.spending") == 50
        });
        assert_eq!(place.count("quarantine"), 0);
        drop((clock, processor));
        place.verify();
    }
}
