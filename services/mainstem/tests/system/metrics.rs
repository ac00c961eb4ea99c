//! `/metrics`, read by Prometheus' own parser, of processes that run; and what `docs/metrics.md` says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use mainstem_test_python::script;
use serde_json::Value;

use crate::client::{LINES, get, post, request};
use crate::place::Place;
use crate::process::until;
use crate::shop::{BEGIN, HEADER, orders, project};

const DOCS: &str = include_str!("../../../../docs/metrics.md");
const ORDERS: &str = "/v1/sources/orders";

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page that was parsed.
pub struct Page(Value);

impl Page {
    pub fn of(address: SocketAddr) -> Page {
        let reply = get(address, "/metrics");
        assert_eq!(reply.status, 200, "{}", reply.body);
        let media = reply.header("content-type").unwrap();
        assert!(media.starts_with("application/openmetrics-text"), "{media}");
        let mut parser = script("metrics.py")
            .unwrap()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = parser.stdin.take().unwrap();
        input.write_all(reply.body.as_bytes()).unwrap();
        drop(input);
        let output = parser.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", reply.body);
        Page(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The names that one asks Prometheus for, with their types.
    fn names(&self) -> BTreeMap<String, String> {
        let families = self.0.as_object().unwrap().iter();
        let named = families.map(|(name, family)| {
            let kind = family["type"].as_str().unwrap().to_owned();
            let end = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{end}"), kind)
        });
        named.collect()
    }

    /// Names of the labels, by name, where there are any samples; those of histograms' buckets left out.
    fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, kind) in self.names() {
            let family = &self.0[name.strip_suffix("_total").unwrap_or(&name)];
            for sample in family["samples"].as_array().unwrap() {
                let keys = sample[1].as_object().unwrap().keys();
                let keys = keys.filter(|key| kind != "histogram" || *key != "le");
                labels
                    .entry(name.clone())
                    .or_default()
                    .extend(keys.cloned());
            }
        }
        labels
    }

    /// How many samples a figure has.
    fn count(&self, family: &str) -> usize {
        self.0[family]["samples"].as_array().map_or(0, Vec::len)
    }

    /// The sum over the samples of that name whose labels hold these.
    pub fn sum(&self, name: &str, labels: Labels<'_>) -> f64 {
        let families = self.0.as_object().unwrap().values();
        let samples = families.flat_map(|family| family["samples"].as_array().unwrap());
        let wanted = samples.filter(|sample| {
            sample[0] == name && labels.iter().all(|(key, value)| sample[1][key] == *value)
        });
        wanted.map(|sample| sample[2].as_f64().unwrap()).sum()
    }
}

/// The rows of the table in the docs: name, type, labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = DOCS.lines().filter(|line| line.starts_with("| `mainstem_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").filter(|label| !label.is_empty());
        let name = cells[1].trim_matches('`').to_owned();
        (
            name,
            (cells[2].to_owned(), labels.map(str::to_owned).collect()),
        )
    };
    rows.map(row).collect()
}

#[test]
fn a_page_has_what_the_docs_list_and_its_counters_move() {
    let place = Place::applied(&project("wall", 2));
    let mut up = place.start(&["up", "--port", "0"]);
    let address = up.address();
    let before = Page::of(address);
    let documented = documented();
    let mut types: BTreeMap<String, String> = documented
        .iter()
        .map(|(name, (kind, _))| (name.clone(), kind.clone()))
        .collect();
    // It is there while a task is restored.
    types.remove("mainstem_restore_turns_left").unwrap();

    place.write("rows.csv", HEADER.to_owned() + &orders(20, 0..10));
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let good = format!(r#"{{"customer":"ada","amount":1.5,"paid":true,"at":{BEGIN}}}"#);
    // The same again is no newer than the customer's last: it cannot be taken into the features.
    let lines = format!("{good}\n{good}\n{{\"customer\":\"ada\"}}\n");
    let reply = request(address, "POST", ORDERS, &[LINES], lines.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(get(address, "/nothing/of/the/kind").status, 404);
    until("everything is folded", || {
        place.count("features.spending") == 201 && place.count("quarantine") == 1
    });

    let mut page = Page::of(address);
    until("what was committed is counted", || {
        page = Page::of(address);
        page.sum("mainstem_records_quarantined_total", &[]) == 1.0
            && page.sum("mainstem_lag_records", &[]) == 0.0
    });
    assert_eq!(page.names(), types);
    for (name, labels) in page.labels() {
        assert_eq!(labels, documented[&name].1, "{name}");
    }
    let arrivals = [("topic", "shop.arrivals.orders")];
    let features = [("topic", "shop.features.spending")];
    let orders = [("source", "orders")];
    let sums: [(&str, Labels<'_>, f64); 7] = [
        ("mainstem_records_written_total", &features, 201.0),
        ("mainstem_records_quarantined_total", &arrivals, 1.0),
        ("mainstem_source_records_accepted_total", &orders, 2.0),
        ("mainstem_source_records_rejected_total", &orders, 1.0),
        (
            "mainstem_http_problems_total",
            &[("type", "no-such-path")],
            1.0,
        ),
        ("mainstem_tasks_stopped", &[], 0.0),
        ("mainstem_log_readable", &[], 1.0),
    ];
    for (name, labels, expected) in sums {
        assert_eq!(page.sum(name, labels), expected, "{name}");
    }
    let route = [
        ("route", "/v1/sources/{source}"),
        ("status", "200"),
        ("method", "POST"),
    ];
    assert_eq!(page.sum("mainstem_http_requests_total", &route), 1.0);
    let none = [("route", "none"), ("status", "404")];
    assert_eq!(page.sum("mainstem_http_requests_total", &none), 1.0);
    // The entity's partition is read by the features' task, and by the labels'.
    assert!(page.sum("mainstem_records_read_total", &arrivals) >= 202.0);
    let owned = page.sum("mainstem_tasks_owned", &[]);
    assert!(owned >= 5.0, "{owned}");
    let gained = page.sum("mainstem_tasks_gained_total", &[]);
    assert_eq!(gained - page.sum("mainstem_tasks_lost_total", &[]), owned);
    for name in [
        "mainstem_turns_total",
        "mainstem_written_bytes_total",
        "mainstem_commit_seconds_count",
        "mainstem_commit_seconds_sum",
        "mainstem_rebalances_total",
        "mainstem_restore_seconds_count",
    ] {
        assert!(page.sum(name, &[]) > 0.0, "{name}");
    }
    let turns = |page: &Page| page.sum("mainstem_turns_total", &[]);
    assert!(turns(&page) > turns(&before));
}

#[test]
fn a_restore_is_counted_and_says_how_long_it_took() {
    let place = Place::applied(&project("wall", 1));
    place.write("rows.csv", HEADER.to_owned() + &orders(20, 0..10));
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let mut up = place.start(&["up", "--port", "0"]);
    up.address();
    until("everything is folded", || {
        place.count("features.spending") == 200
    });
    up.kill();
    let mut again = place.start(&["run", "processor", "--port", "0", "--log", "info"]);
    let address = again.address();
    again.warns("restored features/");
    let said = again.err();
    let line = said
        .lines()
        .find(|line| line.contains("restored features/"));
    let line = line.unwrap();
    assert!(
        line.contains(" s: ") && line.contains("from its beginning to turn"),
        "{line}"
    );
    let page = Page::of(address);
    assert!(page.sum("mainstem_restore_seconds_count", &[]) >= 5.0);
    assert!(page.sum("mainstem_restore_turns_total", &[]) >= 1.0);
    assert!(page.sum("mainstem_restore_records_total", &[]) >= 200.0);
    until("all are restored", || {
        Page::of(address).sum("mainstem_tasks_restoring", &[]) == 0.0
    });
    assert_eq!(
        Page::of(address).sum("mainstem_restore_turns_left", &[]),
        0.0
    );
}

#[test]
fn the_gateway_tells_the_lag_of_tasks_that_nobody_works_on_and_a_worker_its_own() {
    let place = Place::applied(&project("wall", 1));
    let mut gateway = place.start(&["run", "gateway", "--port", "0"]);
    let door = gateway.address();
    let order = format!(r#"{{"customer":"ada","amount":1.5,"paid":true,"at":{BEGIN}}}"#);
    assert_eq!(post(door, ORDERS, &order).status, 200);
    let behind = |address| {
        let of = [("topic", "shop.arrivals.orders"), ("partition", "0")];
        Page::of(address).sum("mainstem_lag_records", &of)
    };
    until("one record waits for each task that reads it", || {
        behind(door) >= 1.0
    });

    let mut clock = place.start(&["run", "clock", "--port", "0"]);
    let clock = clock.address();
    let page = Page::of(clock);
    assert_eq!(page.sum("mainstem_tasks_owned", &[]), 0.0);
    assert_eq!(page.count("mainstem_lag_records"), 0);
    // Whoever is no gateway has no other doors.
    assert_eq!(get(clock, "/healthz").status, 200);
    assert_eq!(get(clock, "/readyz").status, 200);
    post(clock, ORDERS, &order).problem(404, "no-such-path", ORDERS);

    let mut processor = place.start(&["run", "processor", "--port", "0"]);
    let worker = processor.address();
    until("nobody is behind", || {
        behind(door) == 0.0 && behind(worker) == 0.0
    });
    let lag = |address| Page::of(address).count("mainstem_lag_records");
    until("it owns them all", || lag(worker) == lag(door));
}

#[test]
fn tasks_that_change_hands_are_counted_where_they_come_from_and_where_they_go() {
    let place = Place::applied(&project("stream", 2));
    let all = mainstem_rooms::topology::tasks_of(&place.store().project().unwrap()).len() as f64;
    let start = || {
        let mut processor = place.start(&["run", "processor", "--port", "0"]);
        let address = processor.address();
        (processor, address)
    };
    let owned = |address| Page::of(address).sum("mainstem_tasks_owned", &[]);
    let (_first, one) = start();
    until("the first owns all", || owned(one) == all);
    let before = Page::of(one);
    let (mut second, two) = start();
    until("they share", || {
        let (mine, others) = (owned(one), owned(two));
        mine > 0.0 && others > 0.0 && mine + others == all
    });
    let after = Page::of(one);
    let moved = |name: &str| after.sum(name, &[]) - before.sum(name, &[]);
    assert!(moved("mainstem_rebalances_total") >= 1.0);
    let left = moved("mainstem_tasks_lost_total") - moved("mainstem_tasks_gained_total");
    assert_eq!(left, all - after.sum("mainstem_tasks_owned", &[]));
    let restored = Page::of(two).sum("mainstem_restore_seconds_count", &[]);
    assert!(restored >= owned(two), "{restored}");

    second.kill();
    until("the first owns all again", || owned(one) == all);
}
