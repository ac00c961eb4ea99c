//! Records in.

use std::collections::BTreeSet;

use mainstem_host::apply;
use mainstem_kernel::TopicSpec;
use mainstem_schemas::EventId;
use mainstem_schemas::definition::{ForeignTopic, Format, RegistryOf};
use mainstem_schemas::events::Event;
use serde_json::json;

use super::client::{JSON, LINES, post, request};
use super::world::{NOON, Shop};

const ORDERS: &str = "/v1/sources/orders";

fn order(customer: &str, amount: f64) -> String {
    json!({"customer": customer, "at": NOON.0, "amount": amount, "returned": 0}).to_string()
}

#[test]
fn objects_arrays_and_lines_are_taken() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let one = post(address, ORDERS, &order("ada", 1.0));
    assert_eq!(one.status, 200, "{}", one.body);
    assert_eq!(
        one.json(),
        json!({"accepted": 1, "rejected": 0, "rejects": []})
    );
    let array = format!("[{},\n {}]", order("bob", 2.0), order("cy", 3.0));
    assert_eq!(post(address, ORDERS, &array).json()["accepted"], 2);
    let lines = format!("\u{feff}{}\r\n\n{}\n", order("dee", 4.0), order("eve", 5.0));
    assert_eq!(
        request(address, "POST", ORDERS, &[LINES], lines.as_bytes()).json()["accepted"],
        2
    );
    handle.stop();
    let got: BTreeSet<_> = shop.records("arrivals.orders").into_iter().collect();
    let want = ["ada", "bob", "cy", "dee", "eve"].into_iter().zip(0..);
    let number = shop.project.sources["orders"].number;
    let want: BTreeSet<_> = want
        .map(|(key, row)| (key.to_owned(), EventId::row(number, 1, row)))
        .collect();
    assert_eq!(
        got, want,
        "the rows of all requests are numbered on in one publication"
    );
    let begun = shop.events("requests.sources");
    let [(envelope, Event::PublicationStarted(begun))] = begun.as_slice() else {
        panic!("{begun:?}")
    };
    assert_eq!(
        (
            begun.source.as_str(),
            begun.name.as_str(),
            begun.publication
        ),
        ("orders", "http", 1)
    );
    assert_eq!(envelope.actor.as_deref(), Some("http"));
}

#[test]
fn good_records_go_through_beside_bad_ones() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let body = [
        &order("ada", 1.0),
        "not json",
        &json!({"customer": "bob", "at": NOON.0, "amount": "much", "returned": 0}).to_string(),
        &order("cy", 2.0),
        "",
        &json!({"customer": "dee", "at": NOON.0, "amount": 1, "returned": 0, "colour": "red"})
            .to_string(),
    ]
    .join("\n");
    let reply = request(
        address,
        "POST",
        ORDERS,
        &[LINES, ("x-mainstem-actor", "till 7")],
        body.as_bytes(),
    );
    assert_eq!(reply.status, 200, "{}", reply.body);
    let told = reply.json();
    assert_eq!(
        (told["accepted"].as_u64(), told["rejected"].as_u64()),
        (Some(2), Some(3))
    );
    let rejects = told["rejects"].as_array().unwrap();
    let place = |reject: &serde_json::Value| {
        (
            reject["record"].as_u64().unwrap(),
            reject["line"].as_u64().unwrap(),
        )
    };
    assert_eq!(
        rejects.iter().map(place).collect::<Vec<_>>(),
        [(2, 2), (3, 3), (5, 6)]
    );
    assert_eq!(rejects[1]["field"], "amount");
    assert!(
        rejects[1]["reason"].as_str().unwrap().contains("much"),
        "{}",
        rejects[1]
    );
    handle.stop();
    assert_eq!(shop.records("arrivals.orders").len(), 2);
    let rejected = shop.events("rejects.orders");
    assert_eq!(rejected.len(), 3);
    let (_, Event::RecordRejected(first)) = &rejected[0] else {
        panic!("{rejected:?}")
    };
    assert_eq!(
        (first.row, first.line, first.bytes.as_slice()),
        (1, 2, &b"not json"[..])
    );
    assert_eq!(
        shop.events("requests.sources")[0].0.actor.as_deref(),
        Some("till 7")
    );
}

#[test]
fn what_cannot_be_taken_is_told() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let why = post(address, "/v1/sources/parcels", "{}").problem(
        404,
        "unknown-source",
        "/v1/sources/parcels",
    );
    assert!(why.contains("orders") && why.contains("prices"), "{why}");
    for body in ["{", "[{}", "", "[]", "  \n"] {
        let why = post(address, ORDERS, body).problem(400, "bad-request", ORDERS);
        assert!(why.contains("JSON") || why.contains("no record"), "{why}");
    }
    assert_eq!(
        shop.records("rejects.orders"),
        [],
        "a body that is no JSON is no record"
    );
    let refused = post(address, ORDERS, r#"[{"customer": "ada"}, 7]"#);
    refused.problem(422, "all-rejected", ORDERS);
    let told = refused.json();
    assert_eq!(
        (told["accepted"].as_u64(), told["rejected"].as_u64()),
        (Some(0), Some(2))
    );
    assert_eq!(told["rejects"].as_array().unwrap().len(), 2);
    assert_eq!(
        shop.records("rejects.orders").len(),
        2,
        "they are kept all the same"
    );
    handle.stop();
    assert_eq!(shop.records("arrivals.orders"), []);
}

#[test]
fn concurrent_posts_lose_nothing_and_double_nothing() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let (threads, posts, records) = (8, 12, 7);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let actor = format!("till {}", thread % 3);
                for post in 0..posts {
                    let name = |record: usize| format!("{thread}-{post}-{record}");
                    let mut lines: Vec<String> = (0..records)
                        .map(|record| order(&name(record), 1.0))
                        .collect();
                    lines.push("{}".into());
                    let headers = [LINES, ("x-mainstem-actor", actor.as_str())];
                    let reply = request(
                        address,
                        "POST",
                        ORDERS,
                        &headers,
                        lines.join("\n").as_bytes(),
                    );
                    assert_eq!(
                        reply.json()["accepted"].as_u64(),
                        Some(records as u64),
                        "{}",
                        reply.body
                    );
                }
            });
        }
    });
    handle.stop();
    let arrived = shop.records("arrivals.orders");
    let all = threads * posts * records;
    assert_eq!(arrived.len(), all);
    assert_eq!(
        arrived
            .iter()
            .map(|(key, _)| key)
            .collect::<BTreeSet<_>>()
            .len(),
        all
    );
    let rejected = shop.records("rejects.orders");
    assert_eq!(rejected.len(), threads * posts);
    let ids: BTreeSet<_> = arrived.iter().chain(&rejected).map(|(_, id)| id).collect();
    assert_eq!(
        ids.len(),
        all + threads * posts,
        "every row has an id of its own"
    );
    assert_eq!(
        shop.events("requests.sources").len(),
        3,
        "a publication for each actor"
    );
    // Each publication's rows are numbered without a hole.
    let mut rows: Vec<(u32, u64)> = ids.iter().map(|id| id.publication_row().unwrap()).collect();
    rows.sort_unstable();
    for pair in rows.windows(2) {
        assert!(
            pair[1] == (pair[0].0, pair[0].1 + 1) || pair[1] == (pair[0].0 + 1, 0),
            "{pair:?}"
        );
    }
}

#[test]
fn another_gateway_and_another_definition_begin_anew() {
    let mut shop = Shop::new("stream");
    for number in 1..=2 {
        let (handle, address) = shop.serve();
        assert_eq!(
            post(address, "/v1/sources/prices", r#"{"price": 1.5, "at": 1}"#).status,
            200
        );
        assert_eq!(shop.events("requests.sources").len(), number);
        handle.stop();
    }
    let (handle, address) = shop.serve();
    assert_eq!(
        post(address, "/v1/sources/prices", r#"{"price": 1.5, "at": 1}"#).status,
        200
    );
    let mut field = shop.project.sources["prices"].fields[0].clone();
    (field.name, field.optional) = ("tax".into(), true);
    shop.project
        .sources
        .get_mut("prices")
        .unwrap()
        .fields
        .push(field);
    let refused = post(
        address,
        "/v1/sources/prices",
        r#"{"price": 2, "at": 2, "tax": 0.2}"#,
    );
    refused.problem(422, "all-rejected", "/v1/sources/prices");
    mainstem_host::apply::apply(&shop.store, &shop.project, "test", NOON).unwrap();
    let taken = request(
        address,
        "POST",
        "/v1/sources/prices",
        &[JSON],
        br#"{"price": 2, "at": 2, "tax": 0.2}"#,
    );
    assert_eq!(taken.status, 200, "{}", taken.body);
    handle.stop();
    assert_eq!(shop.records("arrivals.prices").len(), 4);
    assert_eq!(shop.events("requests.sources").len(), 4);
}

#[test]
fn a_source_that_times_rows_by_their_number_takes_no_posts() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let why = post(address, "/v1/sources/hours", r#"{"price": 1.5}"#).problem(
        409,
        "timed-by-row",
        "/v1/sources/hours",
    );
    for word in ["hours", "publish a file", "time column"] {
        assert!(why.contains(word), "{why}");
    }
    handle.stop();
    assert!(shop.events("requests.sources").is_empty());
    assert!(shop.records("arrivals.hours").is_empty());
}

#[test]
fn a_source_that_is_copied_from_a_topic_has_no_door() {
    let shop = Shop::new("wall");
    let topic = TopicSpec {
        name: "web.clicks".into(),
        partitions: 1,
    };
    shop.store.log.create_topics(&[topic]).unwrap();
    let mut project = shop.project.clone();
    let mut clicks = project.sources["prices"].clone();
    clicks.topic = Some(ForeignTopic {
        name: "web.clicks".into(),
        format: Format::Json,
        registry: RegistryOf::Outside,
        only: None,
        in_place: None,
        partitions: 0,
    });
    project.sources.insert("clicks".into(), clicks);
    apply::apply(&shop.store, &project, "test", NOON).unwrap();
    let (handle, address) = shop.serve();
    let refused = post(address, "/v1/sources/clicks", r#"{"price": 1, "at": 2}"#);
    assert_eq!(refused.status, 409, "{}", refused.body);
    let problem = refused.json();
    assert!(
        problem["type"].as_str().unwrap().ends_with("copied-source"),
        "{problem}"
    );
    assert!(problem["detail"].as_str().unwrap().contains("web.clicks"));
    assert_eq!(shop.records("arrivals.clicks"), []);
    handle.stop();
}
