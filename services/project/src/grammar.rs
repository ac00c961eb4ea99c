//! The language of the project file: every key, what its value looks like, its range, its default and its doc.
//!
//! The one table: the checker, the definition's defaults and the JSON Schema for editors are all read from it.

use crate::shape::{Absent, Key, Shape};
use crate::tree::MAX_ENTRIES;
use Absent::{Nothing, Refused, Scalar};

const fn key(name: &'static str, absent: Absent, shape: &'static Shape, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        shape,
        absent,
    }
}

/// The whole file.
pub(crate) const PROJECT: &[Key] = &[
    key(
        "project",
        Refused,
        &Shape::TopicName,
        "Name of the project: the prefix of its topics.",
    ),
    key(
        "clock",
        Scalar("wall"),
        &Shape::Word(&[
            ("wall", "Log time is the wall clock: production."),
            (
                "stream",
                "Log time follows the data's event time: a backtest.",
            ),
        ]),
        "What moves log time, by which schedules, cool-downs and timeouts are counted.",
    ),
    // More partitions than 1024 per object are more than one broker is advised to hold for a project of a few objects.
    key(
        "partitions",
        Scalar("8"),
        &Shape::Whole(1, 1024),
        "Partitions of the data topics: how many workers can share the work. Fixed for life.",
    ),
    key(
        "sources",
        Refused,
        &table("source", &Shape::TopicName, &Shape::Record(SOURCE)),
        "Where data come in.",
    ),
    key(
        "views",
        Refused,
        &table("view", &Shape::TopicName, &Shape::Record(VIEW)),
        "Feature views: what is computed from each arrival and those before it.",
    ),
    key(
        "models",
        Nothing,
        &Shape::Table {
            what: "model",
            name: &Shape::TopicName,
            of: &Shape::Record(MODEL),
            most: MAX_ENTRIES,
            empty: true,
        },
        "Models: what is predicted, from which features, and how it is kept good.",
    ),
    key(
        "monitors",
        Nothing,
        &Shape::Table {
            what: "monitor",
            name: &Shape::TopicName,
            of: &Shape::Record(MONITOR),
            most: MAX_ENTRIES,
            empty: true,
        },
        "Monitors: columns of a source beside bins that are declared here, without a model.",
    ),
];

const fn table(what: &'static str, name: &'static Shape, of: &'static Shape) -> Shape {
    Shape::Table {
        what,
        name,
        of,
        most: MAX_ENTRIES,
        empty: false,
    }
}

/// Types of columns; the second form of each may be missing.
pub(crate) const TYPES: &[(&str, &str)] = &[
    ("double", "64-bit float."),
    ("double?", "64-bit float that may be missing."),
    ("long", "64-bit integer."),
    ("long?", "64-bit integer that may be missing."),
    ("boolean", "True or false."),
    ("boolean?", "True or false, or missing."),
    ("string", "Text."),
    ("string?", "Text that may be missing."),
];

/// A source.
pub(crate) const SOURCE: &[Key] = &[
    key(
        "fields",
        Refused,
        &table("column", &Shape::FieldName, &Shape::Word(TYPES)),
        "Columns of a record and their types: double, long, boolean or string, with ? where it may be missing.",
    ),
    key(
        "entity",
        Refused,
        &Shape::Choice(ENTITY),
        "Whom a record is about: {column: customer}, {constant: all} where all are about one, or {key: text}, the key of a topic's record.",
    ),
    key(
        "time",
        Refused,
        &Shape::Choice(TIME),
        "When a record happened: {column: ts}, {start: 1996-05-07T00:00, every: 30m} for rows without a time, or {record: timestamp} for a topic's record.",
    ),
    key(
        "topic",
        Nothing,
        &Shape::Record(TOPIC),
        "The existing topic that its records are copied from; without one they are published. Features want each entity's records in the order of their times, so in one partition of the topic.",
    ),
];

/// A topic that others write.
pub(crate) const TOPIC: &[Key] = &[
    key(
        "name",
        Refused,
        &Shape::Text,
        "Full name of the topic, such as shop.clicks.",
    ),
    key(
        "format",
        Refused,
        &Shape::Word(&[
            (
                "avro",
                "Avro in the wire format of Confluent's schema registry.",
            ),
            ("json", "One JSON object a record."),
        ]),
        "How its values are written: avro or json. Fields that the source does not declare are passed by.",
    ),
    key(
        "registry",
        Scalar("outside"),
        &Shape::Word(&[
            (
                "outside",
                "A registry beside Mainstem: each schema is copied into the log before its first use.",
            ),
            (
                "own",
                "Mainstem's own: the producers register their schemas with it.",
            ),
        ]),
        "Whose schema ids its Avro values hold.",
    ),
    key(
        "read",
        Scalar("copy"),
        &Shape::Word(&[
            (
                "copy",
                "Each record is copied into the source's arrivals, which are kept for ever.",
            ),
            (
                "in_place",
                "Views, models and monitors read the topic itself, and an audit recomputes as far back as it keeps its records.",
            ),
        ]),
        "Whether the topic is copied or read in place: then with a horizon, `entity: {key: text}`, as many partitions as the project has, and Java's partitioner (murmur2).",
    ),
    key(
        "horizon",
        Nothing,
        &Shape::Span,
        "With read: in_place, for how long the topic keeps its records at least, such as 30d: as far back as that an audit recomputes what follows from them. At least 1d.",
    ),
    key(
        "only",
        Nothing,
        &Shape::Choice(ONLY),
        "Which of several event types: {header: [ce_type, shop.click]}, {record: com.shop.Click} or {field: [kind, click]}.",
    ),
];

/// Which of several event types; the others are passed by.
const ONLY: &[&[Key]] = &[
    &[key(
        "header",
        Refused,
        &Shape::List(&Shape::Text, 2, 2),
        "Records with this header of this value: [name, value].",
    )],
    &[key(
        "record",
        Refused,
        &Shape::Text,
        "Records written with the Avro record of this full name.",
    )],
    &[key(
        "field",
        Refused,
        &Shape::List(&Shape::Text, 2, 2),
        "Records that hold this text in this field: [name, value].",
    )],
];

/// Whom a record is about.
const ENTITY: &[&[Key]] = &[
    &[key(
        "column",
        Refused,
        &Shape::FieldName,
        "Column of text or whole numbers.",
    )],
    &[key("constant", Refused, &Shape::Text, "Always the same.")],
    &[key(
        "key",
        Refused,
        &Shape::Word(&[
            ("text", "The key's bytes are text."),
            ("json", "The key is a JSON string or whole number."),
            (
                "avro",
                "The key is a string, int or long in the wire format.",
            ),
        ]),
        "The key of the topic's record, and how it is written: text, json or avro.",
    )],
];

/// When a record happened.
const TIME: &[&[Key]] = &[
    &[key(
        "column",
        Refused,
        &Shape::FieldName,
        "Column of RFC 3339 text, or of whole milliseconds since 1970.",
    )],
    &[
        key(
            "start",
            Refused,
            &Shape::Moment,
            "Time of the first row of a publication.",
        ),
        key("every", Refused, &Shape::Span, "Time between rows."),
    ],
    &[key(
        "record",
        Refused,
        &Shape::Word(&[(
            "timestamp",
            "What the producer or the broker set as the record's timestamp.",
        )]),
        "The timestamp of the topic's record.",
    )],
];

/// A view.
pub(crate) const VIEW: &[Key] = &[
    key(
        "source",
        Nothing,
        &Shape::TopicName,
        "Source of its arrivals; where there is one source, that one.",
    ),
    key(
        "features",
        Refused,
        &table("feature", &Shape::FieldName, FEATURE),
        "Features in the order of their rows: a column's name, or how it is computed.",
    ),
];

/// Records that a window or a lag reaches back: its values are held in memory, for every entity.
const REACH: &Shape = &Shape::Whole(1, 10_000);

const BY: Key = key("by", Refused, REACH, "Records of the entity back.");
const LAST: Key = key(
    "last",
    Refused,
    REACH,
    "Records of the entity, this one included.",
);

const FEATURE: &Shape = &Shape::Short(&Shape::FieldName, &Shape::Choice(EXPRESSIONS));
const PAIR: &Shape = &Shape::List(&Shape::FieldName, 2, 2);

const fn operand(name: &'static str, doc: &'static str) -> Key {
    key(name, Refused, &Shape::FieldName, doc)
}

/// How a feature is computed: the first key of each says how.
pub(crate) const EXPRESSIONS: &[&[Key]] = &[
    &[operand(
        "column",
        "A column as a number; true is 1, false 0.",
    )],
    &[
        operand("lag", "The operand as it was some records ago."),
        BY,
    ],
    &[
        operand("change", "The operand less what it was some records ago."),
        BY,
    ],
    &[key(
        "difference",
        Refused,
        PAIR,
        "One operand less another: [left, right].",
    )],
    &[key(
        "ratio",
        Refused,
        PAIR,
        "One operand divided by another: [left, right]; missing where the divisor is 0.",
    )],
    &[
        operand("count", "How many of the last values are not missing."),
        LAST,
    ],
    &[operand("sum", "Sum of the last values."), LAST],
    &[operand("mean", "Mean of the last values."), LAST],
    &[
        operand(
            "std_population",
            "Standard deviation of the last values, divided by n.",
        ),
        LAST,
    ],
    &[
        operand(
            "std_sample",
            "Standard deviation of the last values, divided by n - 1.",
        ),
        LAST,
    ],
    &[operand("min", "Smallest of the last values."), LAST],
    &[operand("max", "Largest of the last values."), LAST],
    &[
        operand(
            "ewma",
            "Mean of all values so far, the newer the heavier; it begins with the first value.",
        ),
        key(
            "alpha",
            Refused,
            &Shape::Between(0.0, 1.0),
            "Weight of a new value; what was before weighs 1 - alpha.",
        ),
    ],
];

pub(crate) use model::*;
pub(crate) use monitor::*;

mod model;
mod monitor;
