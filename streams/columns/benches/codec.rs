//! Rows a second of the codec, on records of about 95 bytes with 12 fields.

#![allow(clippy::expect_used, reason = "a bench that cannot be set up stops")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mainstem_columns::put::{put_boolean, put_double, put_long, put_null, put_some, put_text};
use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted, put_features, view_schema};
use mainstem_schemas::{EventId, Millis};

const ROWS: usize = 1024;

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"id","type":"string"},{"name":"at","type":"long"},{"name":"open","type":"boolean"},
    {"name":"units","type":"int"},{"name":"a","type":"double"},{"name":"b","type":"double"},
    {"name":"c","type":["null","double"]},{"name":"d","type":["null","double"]},{"name":"e","type":"double"},
    {"name":"f","type":"double"},{"name":"g","type":"double"},{"name":"note","type":["null","string"]}]}"#;

fn body(row: usize) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, &format!("customer-{:05}", row % 1000));
    put_long(&mut body, 840_427_200_000 + row as i64 * 1000);
    put_boolean(&mut body, row.is_multiple_of(2));
    put_long(&mut body, row as i64 % 100);
    for column in 0..7 {
        if column == 2 || column == 3 {
            if row.is_multiple_of(10) {
                put_null(&mut body);
                continue;
            }
            put_some(&mut body);
        }
        put_double(&mut body, row as f64 / (column + 1) as f64);
    }
    put_some(&mut body);
    put_text(&mut body, "paid");
    body
}

fn decode(criterion: &mut Criterion) {
    let schema = apache_avro::Schema::parse_str(SCHEMA).expect("a schema");
    let number = |name: &&str| Wanted::optional(name, Kind::Number);
    let mut wanted: Vec<Wanted> = ["units", "open", "a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .map(number)
        .collect();
    wanted.push(Wanted::required("id", Kind::Text));
    wanted.push(Wanted::required("at", Kind::Time));
    wanted.push(Wanted::optional("note", Kind::Text));
    let layout = Layout::new(wanted).expect("a layout");
    let decoders = [(); 3].map(|()| FlatDecoder::compile(&schema, &layout).expect("a decoder"));
    let bodies: Vec<Vec<u8>> = (0..ROWS).map(body).collect();

    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut columns = Columns::new(&layout);
    for (name, bad) in [("good", usize::MAX), ("1 bad in 100", 100)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (row, body) in bodies.iter().enumerate() {
                    let cut = usize::from(row % bad == bad - 1);
                    let body = &body[..body.len() - cut];
                    let _ = decoders[row % 3].append(body, &mut columns);
                }
                columns.finish().expect("arrays")
            });
        });
    }
    group.bench_function("without arrays", |bencher| {
        bencher.iter(|| {
            columns.clear();
            for (row, body) in bodies.iter().enumerate() {
                let _ = decoders[row % 3].append(body, &mut columns);
            }
        });
    });
    group.finish();
}

fn features(criterion: &mut Criterion) {
    let names: Vec<String> = (0..10).map(|at| format!("f{at}")).collect();
    let schema = apache_avro::Schema::parse_str(&view_schema("p", "v", &names)).expect("a schema");
    let mut wanted: Vec<Wanted> = names
        .iter()
        .map(|name| Wanted::optional(name, Kind::Number))
        .collect();
    wanted.push(Wanted::required("origin", Kind::Origin));
    wanted.push(Wanted::required("event_time", Kind::Time));
    wanted.push(Wanted::required("entity", Kind::Text));
    let layout = Layout::new(wanted).expect("a layout");
    let decoder = FlatDecoder::compile(&schema, &layout).expect("a decoder");
    let write = |out: &mut Vec<u8>, row: usize| {
        let values = (0..10).map(|at| (at != 7).then_some((row * at) as f64));
        put_features(
            out,
            9,
            &EventId::row(1, 1, row as u64),
            Millis(row as i64),
            "customer-1",
            values,
        );
    };

    let mut group = criterion.benchmark_group("features");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter_batched_ref(
            || Vec::with_capacity(ROWS * 200),
            |out| (0..ROWS).for_each(|row| write(out, row)),
            BatchSize::SmallInput,
        );
    });
    let mut value = Vec::new();
    write(&mut value, 3);
    let mut columns = Columns::new(&layout);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            columns.clear();
            for _ in 0..ROWS {
                let _ = decoder.append(&value[5..], &mut columns);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode, features);
criterion_main!(benches);
