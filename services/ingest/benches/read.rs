//! Rows a second of the readers, on rows of 7 numbers, about 60 bytes in CSV and 120 in JSON.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a bench that cannot be set up stops"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mainstem_ingest::Reader;
use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, Source};
use mainstem_schemas::{Millis, Span};

const ROWS: usize = 10_000;
const NAMES: [&str; 7] = [
    "period", "price", "demand", "other", "more", "transfer", "class",
];

fn source() -> Source {
    let field = |name: &str| Field {
        name: name.into(),
        kind: FieldType::Double,
        optional: false,
    };
    Source {
        number: 1,
        fields: NAMES.map(field).into(),
        entity: Entity::Constant("all".into()),
        time: EventTime::Row {
            start: Millis(0),
            every: Span(1_800_000),
        },
        topic: None,
    }
}

fn value(row: usize, column: usize) -> f64 {
    ((row * 7 + column * 31) % 100_003) as f64 / 1e6
}

fn read(criterion: &mut Criterion) {
    let (mut csv, mut quoted, mut jsonl) = (NAMES.join(","), NAMES.join(","), String::new());
    for row in 0..ROWS {
        let values = [0, 1, 2, 3, 4, 5, 6].map(|column| value(row, column).to_string());
        csv += &format!("\n{}", values.join(","));
        quoted += &format!("\n\"{}\"", values.join("\",\""));
        let pairs: Vec<String> = NAMES
            .iter()
            .zip(&values)
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        jsonl += &format!("{{{}}}\n", pairs.join(","));
    }
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, text) in [("csv", &csv), ("csv in quotes", &quoted)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                Reader::csv("s", &source(), text.as_bytes())
                    .expect("a header")
                    .count()
            });
        });
    }
    group.bench_function("jsonl", |bencher| {
        bencher.iter(|| {
            Reader::jsonl("s", &source(), jsonl.as_bytes())
                .expect("a source")
                .count()
        });
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
