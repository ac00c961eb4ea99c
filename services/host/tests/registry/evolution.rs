//! A source's schema evolves while its features are computed: what every version wrote is read, nothing is lost, and the
//! audit recomputes all of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainstem_columns::put::{put_double, put_long, put_null, put_some, put_text};
use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_host::auditor::{Parts, verify};
use mainstem_host::resolver::StoreResolver;
use mainstem_host::{processor, ticker};
use mainstem_kernel::worker::for_each;
use mainstem_rooms::machines::machine;
use mainstem_schemas::events::Event;
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, wire};
use serde_json::{Value, json};

use super::client::{Reply, get, request};
use super::world::{NOON, Shop};

const SUBJECT: &str = "/subjects/shop.arrivals.orders-value/versions";
const MEDIA: (&str, &str) = ("content-type", "application/vnd.schemaregistry.v1+json");

fn record(fields: &[Value]) -> String {
    json!({"type": "record", "name": "orders", "namespace": "theirs", "fields": fields}).to_string()
}

fn field(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": kind})
}

fn optional(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": ["null", kind], "default": null})
}

fn register(address: SocketAddr, schema: &str) -> Reply {
    let body = json!({"schema": schema}).to_string();
    request(address, "POST", SUBJECT, &[MEDIA], body.as_bytes())
}

fn registered(address: SocketAddr, schema: &str) -> u32 {
    let reply = register(address, schema);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["id"].as_u64().unwrap() as u32
}

/// Writes as a foreign producer would: key, event time in a header, and the id of its own schema.
fn write(shop: &Shop, customer: &str, id: u32, body: &[u8]) {
    let mut value = Vec::new();
    wire::put_header(&mut value, id);
    value.extend(body);
    let mut batch = Batch::new();
    let time = NOON.to_string();
    batch.push(
        Some(customer.as_bytes()),
        Some(&value),
        [("ce_time", time.as_bytes())],
    );
    let at = shop.at("arrivals.orders", partition_of(customer.as_bytes(), 2));
    let mut writer = shop.store.log.writer("foreign").unwrap();
    writer.append(&[(at, batch)]).unwrap();
}

/// Appends a field.
type Part<'a> = &'a dyn Fn(&mut Vec<u8>);

fn body(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    parts.iter().for_each(|part| part(&mut body));
    body
}

/// Amount and `was` by entity.
fn features(shop: &Shop) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let layout = Layout::new([
        Wanted::required("entity", Kind::Text),
        Wanted::optional("amount", Kind::Number),
        Wanted::optional("was", Kind::Number),
    ])
    .unwrap();
    let catalog = shop.store.catalog("shop").unwrap();
    let (mut rows, mut columns) = (BTreeMap::new(), Columns::new(&layout));
    let mut reader = shop.store.log.reader().unwrap();
    for index in 0..2 {
        for_each(
            reader.as_mut(),
            &shop.at("features.orders", index),
            |record| {
                let (id, body) = wire::split(record.value.unwrap()).unwrap();
                let writer = catalog.known(id).unwrap().schema().unwrap();
                let decoder = FlatDecoder::compile(writer, &layout).unwrap();
                decoder.append(body, &mut columns).unwrap();
                let row = columns.rows() - 1;
                let entity = columns.text(0, row).unwrap().to_owned();
                let doubled = rows.insert(entity, (columns.number(1, row), columns.number(2, row)));
                assert_eq!(doubled, None);
                Ok(())
            },
        )
        .unwrap();
    }
    rows
}

fn wait_for(shop: &Shop, rows: usize) {
    let until = Instant::now() + Duration::from_secs(120);
    while features(shop).len() < rows {
        assert!(Instant::now() < until, "{:?}", features(shop));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_source_evolves_in_flight() {
    let shop = Shop::new("wall");
    let (gateway, address) = shop.serve();
    let options = processor::Options::new(2, "test".into());
    let workers = processor::start(&shop.store, &options).unwrap();
    let clock = ticker::start(&shop.store).unwrap();
    let at = |out: &mut Vec<u8>| put_long(out, NOON.0);
    let mut wanted = BTreeMap::new();
    let mut expect = |name: &str, amount, was| {
        wanted.insert(name.to_owned(), (Some(amount), Some(was)));
        wanted.len()
    };

    let own = get(address, &format!("{SUBJECT}/latest")).json()["id"]
        .as_u64()
        .unwrap() as u32;
    let first = body(&[
        &|out| put_text(out, "ada"),
        &at,
        &|out| put_double(out, 1.5),
        &|out| put_null(out),
        &|out| put_long(out, 1),
    ]);
    write(&shop, "ada", own, &first);
    wait_for(&shop, expect("ada", 1.5, 1.0));

    // A field more, one less, the record in a namespace of its own.
    let fields = [
        field("customer", "string"),
        field("at", "long"),
        field("amount", "double"),
        field("returned", "long"),
        optional("colour", "string"),
    ];
    let second = registered(address, &record(&fields));
    let of_second = body(&[
        &|out| put_text(out, "bob"),
        &at,
        &|out| put_double(out, 2.5),
        &|out| put_long(out, 0),
        &|out| put_some(out),
        &|out| put_text(out, "red"),
    ]);
    write(&shop, "bob", second, &of_second);
    wait_for(&shop, expect("bob", 2.5, 0.0));

    // What the source could not be read without, or would be read as something else.
    let (mut without, mut retyped) = (fields.to_vec(), fields.to_vec());
    without.remove(2);
    retyped[2] = field("amount", "string");
    for (schema, word) in [
        (without, "no field amount"),
        (retyped, "field amount is a string"),
    ] {
        let refused = register(address, &record(&schema));
        assert_eq!(refused.status, 409, "{}", refused.body);
        let message = refused.json()["message"].to_string();
        assert!(message.contains(word), "{message}");
    }

    // Promoted, and renamed by an alias.
    let mut fields = fields.to_vec();
    fields[3] = field("returned", "double");
    fields[2] = json!({"name": "cost", "aliases": ["amount"], "type": "double"});
    let third = registered(address, &record(&fields));
    let of_third = body(&[
        &|out| put_text(out, "cy"),
        &at,
        &|out| put_double(out, 3.5),
        &|out| put_double(out, 1.0),
        &|out| put_null(out),
    ]);
    write(&shop, "cy", third, &of_third);
    wait_for(&shop, expect("cy", 3.5, 1.0));

    // Narrower: the older reader promotes what it reads.
    let level = json!({"compatibility": "FORWARD"}).to_string();
    let path = "/config/shop.arrivals.orders-value";
    assert_eq!(
        request(address, "PUT", path, &[MEDIA], level.as_bytes()).status,
        200
    );
    fields[2] = field("cost", "float");
    let refused = register(address, &record(&fields));
    assert_eq!(
        refused.status, 409,
        "without the alias nobody finds the amount"
    );
    fields[2] = json!({"name": "cost", "aliases": ["amount"], "type": "float"});
    fields[3] = field("returned", "int");
    let fourth = registered(address, &record(&fields));
    let of_fourth = body(&[
        &|out| put_text(out, "dee"),
        &at,
        &|out| out.extend(4.5f32.to_le_bytes()),
        &|out| put_long(out, 0),
        &|out| put_null(out),
    ]);
    write(&shop, "dee", fourth, &of_fourth);

    // A producer that still writes the first version, and one whose schema nobody knows.
    let mut again = first.clone();
    again.splice(1..4, *b"eve");
    write(&shop, "eve", own, &again);
    write(&shop, "fay", 4242, &again);
    expect("dee", 4.5, 0.0);
    wait_for(&shop, expect("eve", 1.5, 1.0));
    let until = Instant::now() + Duration::from_secs(60);
    while shop.events("quarantine").is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    clock.stop();
    workers.stop();
    gateway.stop();

    assert_eq!(features(&shop), wanted);
    let refused = shop.events("quarantine");
    // Each task that reads the record refuses it: the view's, and the labels' of both models.
    assert!(!refused.is_empty());
    for (_, event) in refused {
        let Event::RecordQuarantined(event) = event else {
            panic!("{event:?}")
        };
        assert_eq!(
            (event.schema_id, event.key.unwrap().bytes),
            (Some(4242), b"fay".to_vec())
        );
        assert!(
            event.reason.contains("4242 is not registered"),
            "{}",
            event.reason
        );
    }
    let resolver = StoreResolver::new(shop.store.blobs.clone());
    let parts = Parts {
        log: shop.store.log.as_ref(),
        blobs: shop.store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project: &shop.project,
    };
    let report = verify(&parts, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report}");
}
