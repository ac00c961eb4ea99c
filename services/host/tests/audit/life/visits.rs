//! A topic that somebody else writes: records, tombstones, and what is none.

use mainstem_host::Store;
use mainstem_kernel::{Partition, TopicSpec};
use mainstem_schemas::Batch;
use mainstem_schemas::definition::{
    Entity, EventTime, Field, FieldType, ForeignTopic, Format, KeyFormat, RegistryOf, Source,
};

/// Writes a topic of two partitions that somebody else has written.
pub fn write(store: &Store) {
    let topic = TopicSpec {
        name: "web.visits".into(),
        partitions: 2,
    };
    store.log.create_topics(&[topic]).unwrap();
    let mut writer = store.log.writer("web").unwrap();
    for n in 0..400i64 {
        let (mut batch, page) = (Batch::new(), n % 7);
        let value = match n % 9 {
            8 => "no visit".to_owned(),
            _ => format!(r#"{{"page":{page},"seconds":{}}}"#, n / 3),
        };
        let key = format!("c{}", n % 5);
        let value = Some(value.as_bytes()).filter(|_| n % 11 != 10);
        batch.push(Some(key.as_bytes()), value, []);
        let at = Partition::new("web.visits", (n % 2) as u32);
        writer.append(&[(at, batch)]).unwrap();
    }
}

/// The source that copies it.
pub fn source() -> Source {
    let field = |name: &str, kind| Field {
        name: name.into(),
        kind,
        optional: false,
    };
    Source {
        number: 0,
        fields: vec![
            field("page", FieldType::Long),
            field("seconds", FieldType::Double),
        ],
        entity: Entity::Key(KeyFormat::Text),
        time: EventTime::Column("page".into()),
        topic: Some(ForeignTopic {
            name: "web.visits".into(),
            format: Format::Json,
            registry: RegistryOf::Outside,
            only: None,
            in_place: None,
            partitions: 0,
        }),
    }
}
