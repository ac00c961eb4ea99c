//! Posts that come at once: one append for many, and each its own answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mainstem_host::apply;
use mainstem_schemas::EventId;
use serde_json::json;

use super::client::{LINES, Reply, get, post, request, try_request};
use super::world::{NOON, Shop};

pub const ORDERS: &str = "/v1/sources/orders";

pub fn order(customer: &str) -> String {
    json!({"customer": customer, "at": NOON.0, "amount": 1.5, "returned": 0}).to_string()
}

/// Appends of posts so far.
pub fn appends(address: SocketAddr) -> usize {
    let page = get(address, "/metrics").body;
    let find = |line: &str| {
        line.strip_prefix("mainstem_source_appends_total{source=\"orders\"} ")
            .map(|value| value.parse().unwrap())
    };
    page.lines().find_map(find).unwrap_or(0)
}

/// So many posts at once, of `good(n)` rows that fit and `n % 3` that do not; checks their answers.
pub fn post_at_once(address: SocketAddr, posts: usize) {
    std::thread::scope(|scope| {
        for number in 0..posts {
            scope.spawn(move || {
                let reply = send(address, number);
                let told = reply.json();
                let (good, bad) = (good(number), number % 3);
                assert_eq!(
                    reply.status,
                    if good > 0 { 200 } else { 422 },
                    "{}",
                    reply.body
                );
                assert_eq!(
                    (&told["accepted"], &told["rejected"]),
                    (&json!(good), &json!(bad))
                );
                let lines: Vec<_> = told["rejects"].as_array().unwrap().to_vec();
                let lines: Vec<_> = lines.iter().map(|one| one["line"].as_u64()).collect();
                let want = (0..bad).map(|bad| Some((good + bad + 1) as u64));
                assert_eq!(lines, want.collect::<Vec<_>>(), "{}", reply.body);
            });
        }
    });
}

/// Some have nothing that fits.
pub fn good(number: usize) -> usize {
    if number % 5 == 4 && !number.is_multiple_of(3) {
        0
    } else {
        number % 4 + 1
    }
}

fn send(address: SocketAddr, number: usize) -> Reply {
    let mut lines: Vec<String> = (0..good(number))
        .map(|row| order(&format!("{number}-{row}")))
        .collect();
    lines.extend((0..number % 3).map(|row| format!("{{\"customer\":\"{number}-{row}\"}}")));
    request(
        address,
        "POST",
        ORDERS,
        &[LINES],
        lines.join("\n").as_bytes(),
    )
}

/// Checks that the log holds the rows of so many such posts, each once, in the order of their posts, numbered without a
/// hole from `first` on.
pub fn all_are_there(shop: &Shop, posts: usize, first: u64) {
    let arrived = shop.records("arrivals.orders");
    let rejected = shop.records("rejects.orders");
    let row = |id: &EventId| id.publication_row().unwrap().1;
    let mut rows: BTreeSet<u64> = rejected.iter().map(|(_, id)| row(id)).collect();
    let mut places: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (key, id) in arrived.iter().filter(|(_, id)| row(id) >= first) {
        let (post, at) = key.split_once('-').unwrap();
        let places = places.entry(post.to_owned()).or_default();
        places.resize(places.len().max(at.parse::<usize>().unwrap() + 1), u64::MAX);
        places[at.parse::<usize>().unwrap()] = row(id);
        assert!(rows.insert(row(id)), "{key} has the number of another row");
    }
    for number in (0..posts).filter(|number| good(*number) > 0) {
        let places = &places[&number.to_string()];
        let begin = places[0];
        let want: Vec<u64> = (begin..begin + good(number) as u64).collect();
        assert_eq!(
            places, &want,
            "the rows of post {number} are not neighbours"
        );
    }
    let all: usize = (0..posts).map(|number| good(number) + number % 3).sum();
    assert_eq!(rows, (first..first + all as u64).collect());
}

#[test]
fn posts_that_come_during_an_append_share_the_next_one() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    assert_eq!(post(address, ORDERS, &order("first")).status, 200);
    assert_eq!(appends(address), 1);
    // The log stands still as while another process commits.
    let lock = File::open(shop.dir().join("writer.lock")).unwrap();
    lock.lock().unwrap();
    let free = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        lock.unlock().unwrap();
    });
    let posts = 30;
    post_at_once(address, posts);
    free.join().unwrap();
    let shared = appends(address) - 1;
    assert!(shared <= posts / 3, "{posts} posts took {shared} appends");
    handle.stop();
    all_are_there(&shop, posts, 1);
    assert_eq!(shop.events("requests.sources").len(), 1);
}

#[test]
fn a_post_that_is_refused_does_not_touch_its_neighbours() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let posts = 12;
    std::thread::scope(|scope| {
        scope.spawn(|| post_at_once(address, posts));
        for body in ["[{", "", "{} {}"] {
            scope.spawn(move || post(address, ORDERS, body).problem(400, "bad-request", ORDERS));
        }
        let parcels = "/v1/sources/parcels";
        scope.spawn(move || post(address, parcels, "{}").problem(404, "unknown-source", parcels));
    });
    handle.stop();
    all_are_there(&shop, posts, 0);
}

#[test]
fn a_definition_that_is_applied_meanwhile_is_read_by_whoever_posts_after_it() {
    let mut shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let field = |shop: &Shop, name: &str| {
        let mut field = shop.project.sources["orders"].fields[3].clone();
        assert!(field.optional);
        field.name = name.into();
        field
    };
    let stop = AtomicBool::new(false);
    let posted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stop, posted) = (&stop, &posted);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::SeqCst) {
                    let key = format!("{thread}/{number}");
                    assert_eq!(post(address, ORDERS, &order(&key)).status, 200);
                    posted.fetch_add(1, Ordering::SeqCst);
                    number += 1;
                }
            });
        }
        for name in ["colour", "size", "weight"] {
            let mut body = serde_json::from_str::<serde_json::Value>(&order("new")).unwrap();
            body[name] = json!("much");
            let body = body.to_string();
            post(address, ORDERS, &body).problem(422, "all-rejected", ORDERS);
            let field = field(&shop, name);
            let orders = shop.project.sources.get_mut("orders").unwrap();
            orders.fields.push(field);
            apply::apply(&shop.store, &shop.project, "test", NOON).unwrap();
            let reply = post(address, ORDERS, &body);
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        stop.store(true, Ordering::SeqCst);
    });
    handle.stop();
    let arrived = shop.records("arrivals.orders");
    let keys: BTreeSet<_> = arrived.iter().map(|(key, _)| key).collect();
    let ids: BTreeSet<_> = arrived.iter().map(|(_, id)| id).collect();
    let all = posted.into_inner();
    assert_eq!(
        (keys.len(), ids.len(), arrived.len()),
        (all + 1, all + 3, all + 3)
    );
}

#[test]
fn the_actor_who_posted_least_lately_makes_room_for_another() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let post = |actor: usize| {
        let actor = format!("till {actor}");
        let headers = [LINES, ("x-mainstem-actor", actor.as_str())];
        let reply = request(address, "POST", ORDERS, &headers, order("ada").as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.body);
        shop.events("requests.sources").len()
    };
    let begun: Vec<usize> = (0..64).map(post).collect();
    assert_eq!(begun.last(), Some(&64), "a publication for each actor");
    assert_eq!(post(0), 64);
    assert_eq!(post(64), 65);
    assert_eq!(post(0), 65, "it was used a moment ago, and is still open");
    assert_eq!(post(1), 66, "it had made room, and begins anew");
    handle.stop();
    assert_eq!(shop.records("arrivals.orders").len(), 68);
}

#[test]
fn a_gateway_that_stops_loses_nothing_that_it_answered() {
    let shop = Shop::new("stream");
    for round in 0..3 {
        let (handle, address) = shop.serve();
        let answered = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let answered = &answered;
                scope.spawn(move || {
                    for number in 0.. {
                        let key = format!("{round}/{thread}/{number}");
                        let body = order(&key).into_bytes();
                        match try_request(address, "POST", ORDERS, &[LINES], &body) {
                            Ok(reply) if reply.status == 200 => answered.lock().unwrap().push(key),
                            _ => return,
                        }
                    }
                });
            }
            while answered.lock().unwrap().len() < 100 {
                std::thread::yield_now();
            }
            handle.stop();
        });
        let arrived = shop.records("arrivals.orders");
        let keys: BTreeSet<_> = arrived.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys.len(), arrived.len(), "a record is there twice");
        for key in answered.into_inner().unwrap() {
            assert!(
                keys.contains(key.as_str()),
                "{key} was answered and is lost"
            );
        }
    }
}
