//! A project whose schemas get their ids from another's registry, as from one of Confluent's.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use mainstem_host::apply::{ApplyError, Plan, apply_with};
use mainstem_host::{Store, gateway};
use mainstem_registry::Ids;
use mainstem_registry::client::{Client, ClientError, Options};
use mainstem_schemas::events::CONTRACTS;
use mainstem_test_python::script;
use serde_json::json;

use super::client::{get, request};
use super::world::{NOON, Shop};

const MEDIA: (&str, &str) = ("content-type", "application/vnd.schemaregistry.v1+json");

fn client(address: SocketAddr) -> Client {
    let url = format!("http://{address}");
    Client::new(&Options {
        url,
        ..Options::default()
    })
    .unwrap()
}

fn register(address: SocketAddr, subject: &str, body: &serde_json::Value) -> u32 {
    let path = format!("/subjects/{subject}/versions");
    let told = request(
        address,
        "POST",
        &path,
        &[MEDIA],
        body.to_string().as_bytes(),
    );
    assert_eq!(told.status, 200, "{}", told.body);
    told.json()["id"].as_u64().unwrap() as u32
}

#[test]
fn ids_come_from_an_outside_registry() {
    let (outside, handle) = {
        let shop = Shop::new("stream");
        let (handle, address) = shop.serve();
        ((shop, address), handle)
    };
    let address = outside.1;
    // Whatever else it holds, so that its ids are not those that the log would give.
    for number in 0..3 {
        let schema = json!({"type": "enum", "name": format!("E{number}"), "symbols": ["A"]});
        register(
            address,
            &format!("e{number}"),
            &json!({"schema": json!([schema]).to_string()}),
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let text = |kind: &str| {
        format!(
            "project: ours\nsources:\n  orders: {{fields: {{x: {kind}, y: double?, at: long}}, entity: {{constant: all}}, \
             time: {{column: at}}}}\nviews:\n  v: {{features: {{f: y}}}}\n"
        )
    };
    let apply = |text: &str| {
        let project =
            mainstem_project::parse("ours.yaml", text).unwrap_or_else(|m| panic!("{}", m[0]));
        let mut ids = client(address);
        let ids: Option<&mut dyn Ids> = Some(&mut ids);
        apply_with(&store, &project, "ada", NOON, ids)
    };
    assert_eq!(apply(&text("long")).unwrap(), Plan::First);
    let source = store
        .catalog("ours")
        .unwrap()
        .id_of("arrivals.orders")
        .unwrap();
    let theirs = get(address, "/subjects/ours.arrivals.orders-value/versions/1").json();
    assert_eq!(theirs["id"], source);
    assert!(source as usize > CONTRACTS.len() + 3);
    // The product's events are the same schemas, so that the other project's ids are theirs.
    for (name, _) in CONTRACTS {
        let (ours, theirs) = (
            store.catalog("ours").unwrap(),
            outside.0.store.catalog("shop").unwrap(),
        );
        assert_eq!(ours.id_of(name), theirs.id_of(name), "{name}");
    }
    assert_eq!(apply(&text("long")).unwrap(), Plan::Unchanged);

    // Changed, and back again: the old id is the latest once more.
    assert!(matches!(apply(&text("double")), Ok(Plan::Changes(_))));
    let wider = store
        .catalog("ours")
        .unwrap()
        .id_of("arrivals.orders")
        .unwrap();
    assert_ne!(wider, source);
    let level = json!({"compatibility": "NONE"}).to_string();
    let path = "/config/ours.arrivals.orders-value";
    let refused = apply(&text("string")).unwrap_err();
    assert!(matches!(refused, ApplyError::NoId { .. }), "{refused}");
    let words = refused.to_string();
    assert!(
        words.contains("'x'") && words.contains("compatibility level"),
        "{words}"
    );
    assert_eq!(
        request(address, "PUT", path, &[MEDIA], level.as_bytes()).status,
        200
    );
    apply(&text("long")).unwrap();
    assert_eq!(
        store.catalog("ours").unwrap().id_of("arrivals.orders"),
        Some(source)
    );

    // Our own registry knows them, and gives out no ids beside the other.
    let own = gateway::start(&store, &gateway::Options::default()).unwrap();
    let found = get(
        own.address(),
        "/subjects/ours.arrivals.orders-value/versions/latest",
    )
    .json();
    assert_eq!(found["id"], source);
    let body = json!({"schema": "\"int\""}).to_string();
    let refused = request(
        own.address(),
        "POST",
        "/subjects/s/versions",
        &[MEDIA],
        body.as_bytes(),
    );
    assert_eq!(
        (refused.status, refused.json()["error_code"].as_u64()),
        (422, Some(42205))
    );
    own.stop();
    handle.stop();
}

#[test]
fn schemas_are_fetched_by_their_ids() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let place = json!({"type": "record", "name": "geo.Place", "fields": [{"name": "city", "type": "string"}]});
    register(address, "a%2Fplace", &json!({"schema": place.to_string()}));
    let order =
        json!({"type": "record", "name": "Order", "fields": [{"name": "at", "type": "geo.Place"}]});
    let reference = json!({"name": "geo.Place", "subject": "a/place", "version": 1});
    let id = register(
        address,
        "order",
        &json!({"schema": order.to_string(), "references": [reference]}),
    );
    let client = client(address);
    let text = client.schema_by_id(id).unwrap();
    assert!(apache_avro::Schema::parse_str(&text).is_ok(), "{text}");
    assert!(matches!(
        client.schema_by_id(4242),
        Err(ClientError::NoSchema { id: 4242, .. })
    ));
    let wrong = Options {
        url: format!("http://{address}/v2"),
        ..Options::default()
    };
    let told = Client::new(&wrong)
        .unwrap()
        .register("s", "\"int\"")
        .unwrap_err();
    assert!(matches!(told, ClientError::NoRegistry { .. }), "{told}");
    handle.stop();
}

struct Door(Child);

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The door says 503 to every second request.
#[test]
fn a_registry_behind_tls_and_a_password_is_reached() {
    let shop = Shop::new("stream");
    let (handle, address) = shop.serve();
    let dir = tempfile::tempdir().unwrap();
    let mut door = script("https.py")
        .unwrap()
        .arg(dir.path())
        .args([&address.to_string(), "ada", "secret"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(door.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let _door = Door(door);
    let url = format!("https://127.0.0.1:{}", port.trim());
    let user = |password: &str| Some(("ada".to_owned(), password.to_owned()));
    let ca = Some(std::fs::read(dir.path().join("ca.pem")).unwrap());
    let client = |user, ca| {
        let url = url.clone();
        Client::new(&Options { url, user, ca }).unwrap()
    };
    let good = client(user("secret"), ca.clone());
    let id = good.register("s", "\"int\"").unwrap();
    assert_eq!(good.schema_by_id(id).unwrap(), "\"int\"");
    let refused = client(user("wrong"), ca.clone())
        .schema_by_id(id)
        .unwrap_err();
    assert!(
        matches!(refused, ClientError::Refused { status: 401, .. }),
        "{refused}"
    );
    assert!(!refused.to_string().contains("wrong"), "{refused}");
    assert!(matches!(
        client(None, ca).schema_by_id(id),
        Err(ClientError::Refused { .. })
    ));
    let unknown = client(user("secret"), None).schema_by_id(id).unwrap_err();
    assert!(matches!(unknown, ClientError::Silent { .. }), "{unknown}");
    assert!(
        unknown.to_string().to_lowercase().contains("certificate"),
        "{unknown}"
    );
    handle.stop();
}
