//! Files that are not as they should be: what fits goes through, what does not is kept with its reason, and the exit code
//! and the summary say so.

use std::io::Write;

use mainstem_schemas::Digest;
use mainstem_schemas::events::{Event, RecordQuarantined, RecordRejected};

use crate::history::by_key;
use crate::place::Place;
use crate::process::until;
use crate::shop::{BEGIN, DAY, HEADER, NAME, project};

impl Place {
    pub fn rejected(&self) -> Vec<RecordRejected> {
        let rejects = self.events("rejects.orders").into_iter();
        let rejected = rejects.map(|(_, event)| match event {
            Event::RecordRejected(rejected) => rejected,
            other => panic!("{other:?}"),
        });
        rejected.collect()
    }

    pub fn quarantined(&self) -> Vec<RecordQuarantined> {
        let quarantine = self.events("quarantine").into_iter();
        let quarantined = quarantine.map(|(_, event)| match event {
            Event::RecordQuarantined(quarantined) => quarantined,
            other => panic!("{other:?}"),
        });
        quarantined.collect()
    }

    /// Keys of the arrivals, in order.
    pub fn arrived(&self) -> Vec<String> {
        let rows = self.rows("arrivals.orders").into_iter();
        rows.map(|row| row.key).collect()
    }
}

#[test]
fn a_header_that_does_not_fit_stops_the_file_and_leaves_nothing() {
    let place = Place::applied(&project("wall", 1));
    let missing = "customer,amount,paid\na,1,true\n";
    let twice = "customer,amount,amount,paid,at\na,1,2,true,1\n";
    let unknown = "customer,amount,paid,at,colour\na,1,true,1,red\n";
    let cases = [
        (
            "wrong.csv",
            "a,b\n1,2\n",
            ["\"a,b\"", "customer,amount,paid,at"],
        ),
        (
            "missing.csv",
            missing,
            ["column at", "declare the field optional"],
        ),
        (
            "twice.csv",
            twice,
            ["amount is named twice", "remove or rename"],
        ),
        (
            "unknown.csv",
            unknown,
            ["colour", "add it to the source's fields"],
        ),
        (
            "empty.csv",
            "",
            ["the file is empty", "customer,amount,paid,at"],
        ),
    ];
    for (file, text, words) in cases {
        place.write(file, text);
        let ended = place.run(&["publish", "orders", file]).with(1);
        let said = ended.naming(&[file, "line 1, the header"]).naming(&words);
        assert!(said.out.is_empty(), "{}", said.out);
    }
    for topic in ["arrivals.orders", "rejects.orders", "requests.sources"] {
        assert_eq!(place.count(topic), 0, "{topic}");
    }
}

#[test]
fn rows_that_do_not_fit_are_kept_with_bytes_line_and_reason_and_the_others_go_through() {
    let place = Place::applied(&project("wall", 1));
    // With a byte order mark and carriage returns, as some programs write them.
    let good = |name: &str| format!("{name},1.5,true,{BEGIN}").into_bytes();
    let bad: [(&[u8], Option<&str>, [&str; 2]); 9] = [
        (b"x,much,true,1", Some("amount"), ["\"much\"", "write"]),
        (b"x,NaN,true,1", Some("amount"), ["NaN", "leave it empty"]),
        (b"x,inf,true,1", Some("amount"), ["inf", "leave it empty"]),
        (b"x,1,perhaps,1", Some("paid"), ["\"perhaps\"", "true"]),
        (b"x,1,true,soon", Some("at"), ["\"soon\"", "write"]),
        (b",1,true,1", Some("customer"), ["customer", "write"]),
        (
            b"\xffx,1,true,1",
            Some("customer"),
            ["not UTF-8", "save the file as UTF-8"],
        ),
        (b"x,1,true", None, ["3 columns", "the header 4"]),
        (b"\"x,1,true,1", None, ["quote", "close it"]),
    ];
    let mut bytes = b"\xef\xbb\xbfcustomer,amount,paid,at\r\n".to_vec();
    for (number, (line, ..)) in bad.iter().enumerate() {
        bytes.extend(good(&format!("c{number}")));
        bytes.extend(b"\r\n");
        bytes.extend(*line);
        bytes.extend(b"\r\n");
    }
    bytes.extend(good("last"));
    place.write("rows.csv", bytes);
    let ended = place.run(&["publish", "orders", "rows.csv"]).with(2);
    assert!(
        ended.out.contains("10 records in, 9 rejected"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains(&format!("{NAME}.rejects.orders")),
        "{}",
        ended.out
    );

    let rejected = place.rejected();
    assert_eq!(rejected.len(), bad.len());
    for (number, (told, (line, field, words))) in rejected.iter().zip(bad).enumerate() {
        assert_eq!(told.bytes, line);
        assert_eq!(
            (told.length, told.digest),
            (line.len() as i64, Digest::of(line))
        );
        assert_eq!(
            (told.line, told.row),
            (2 * number as i64 + 3, 2 * number as i64 + 1)
        );
        assert_eq!(told.field.as_deref(), field, "{}", told.reason);
        for word in words {
            assert!(
                told.reason.contains(word),
                "{word:?} is not in {:?}",
                told.reason
            );
        }
    }
    let mut expected: Vec<String> = (0..9).map(|number| format!("c{number}")).collect();
    expected.push("last".into());
    assert_eq!(place.arrived(), expected);
}

#[test]
fn lines_of_json_that_do_not_fit_are_kept_and_the_others_go_through() {
    let place = Place::applied(&project("wall", 1));
    let good = |name: &str| {
        format!("{{\"customer\":\"{name}\",\"amount\":1,\"paid\":false,\"at\":{BEGIN}}}")
    };
    let bad: [(&[u8], &str); 6] = [
        (b"not json", "JSON"),
        (
            b"{\"customer\":\"x\",\"amount\":NaN,\"paid\":true,\"at\":1}",
            "must be finite",
        ),
        (
            b"{\"customer\":\"x\",\"amount\":\"1\",\"paid\":true,\"at\":1}",
            "amount",
        ),
        (
            b"{\"customer\":\"\",\"amount\":1,\"paid\":true,\"at\":1}",
            "customer",
        ),
        (
            b"{\"customer\":\"x\",\"amount\":1,\"paid\":true}",
            "at is missing",
        ),
        (
            b"{\"customer\":\"\xff\",\"amount\":1,\"paid\":true,\"at\":1}",
            "UTF-8",
        ),
    ];
    let mut publisher = place.fed(&["publish", "orders", "-"]);
    let mut input = publisher.input();
    writeln!(input, "{}\r", good("first")).unwrap();
    for (line, _) in bad {
        input.write_all(&[line, b"\n"].concat()).unwrap();
    }
    write!(input, "{}", good("last")).unwrap();
    drop(input);
    let ended = publisher.end().with(2);
    assert!(
        ended.out.contains("2 records in, 6 rejected"),
        "{}",
        ended.out
    );
    let rejected = place.rejected();
    assert_eq!(rejected.len(), bad.len());
    for (number, (told, (line, word))) in rejected.iter().zip(bad).enumerate() {
        assert_eq!(
            (told.bytes.as_slice(), told.line),
            (line, number as i64 + 2)
        );
        assert!(
            told.reason.contains(word),
            "{word:?} is not in {:?}",
            told.reason
        );
    }
    assert_eq!(place.arrived(), ["first", "last"]);
}

#[test]
fn a_file_without_records_says_so() {
    let place = Place::applied(&project("wall", 1));
    place.write("header.csv", HEADER);
    place.write("empty.jsonl", "");
    for file in ["header.csv", "empty.jsonl"] {
        let ended = place.run(&["publish", "orders", file]).with(0);
        assert!(ended.out.contains("0 records in"), "{}", ended.out);
        ended.naming(&[file, "holds no record"]);
    }
}

#[test]
fn what_cannot_be_published_is_told_with_a_remedy() {
    let place = Place::applied(&project("wall", 1));
    place.write("rows.csv", HEADER);
    place.write("rows.txt", HEADER);
    let publish = |args: &[&str], words: &[&str]| {
        place
            .run(&[&["publish"], args].concat())
            .with(1)
            .naming(words);
    };
    publish(
        &["order", "rows.csv"],
        &["no source order", "it has: orders"],
    );
    publish(
        &["orders", "none.csv"],
        &["none.csv: No such file", "name a file"],
    );
    publish(
        &["orders", "rows.txt"],
        &["rows.txt", "--format csv or --format jsonl"],
    );
    publish(
        &["orders", "rows.csv", "--resume"],
        &["no publication", "without --resume"],
    );
    publish(
        &["orders", "rows.csv", "--pace", "1d"],
        &["clock: wall", "clock: stream"],
    );
    publish(
        &["orders", "rows.csv", "--dir", "none"],
        &["none does not exist", "mainstem apply"],
    );
    std::fs::create_dir(place.path("bare")).unwrap();
    publish(
        &["orders", "rows.csv", "--dir", "bare"],
        &["holds no project", "mainstem apply"],
    );
    assert_eq!(place.count("requests.sources"), 0);
}

#[test]
fn a_line_of_a_gibibyte_costs_no_memory_and_no_good_row() {
    const LENGTH: u64 = 1 << 30;
    let place = Place::applied(&project("wall", 1));
    let mut publisher = place.fed(&["publish", "orders", "-", "--format", "csv"]);
    let mut input = publisher.input();
    let row = |name: &str| format!("{name},1,true,{BEGIN}\n");
    write!(input, "{HEADER}{}", row("before")).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..LENGTH / piece.len() as u64 {
        input.write_all(&piece).unwrap();
    }
    assert!(
        publisher.peak_memory() < 100_000,
        "{} kB",
        publisher.peak_memory()
    );
    write!(input, "\n{}", row("after")).unwrap();
    drop(input);
    let ended = publisher.end().with(2);
    assert!(
        ended.out.contains("2 records in, 1 rejected"),
        "{}",
        ended.out
    );
    let [told] = place.rejected().try_into().unwrap();
    assert_eq!((told.line, told.length), (3, LENGTH as i64));
    assert_eq!(
        told.bytes,
        vec![b'x'; 64 << 10],
        "its first 64 KiB are kept"
    );
    assert!(
        told.reason.contains("at most 1048576") && told.reason.contains("shorten it"),
        "{}",
        told.reason
    );
    assert_eq!(place.arrived(), ["before", "after"]);
}

#[test]
fn rows_of_a_pipe_are_published_as_they_come() {
    let place = Place::applied(&project("wall", 1));
    let mut publisher = place.fed(&["publish", "orders", "-", "--format", "csv"]);
    let mut input = publisher.input();
    write!(input, "{HEADER}").unwrap();
    for number in 1..=3 {
        writeln!(input, "c{number},1,true,{BEGIN}").unwrap();
        until("the row is there", || {
            place.count("arrivals.orders") == number
        });
    }
    drop(input);
    let ended = publisher.end().with(0);
    assert!(ended.out.contains("3 records in"), "{}", ended.out);
}

#[test]
fn long_rows_are_appended_a_few_at_a_time() {
    let fields = "at: long, note: string}";
    let place = Place::applied(&project("wall", 1).replace("at: long}", fields));
    let mut publisher = place.fed(&["publish", "orders", "-", "--format", "csv"]);
    let mut input = publisher.input();
    writeln!(input, "customer,amount,paid,at,note").unwrap();
    let note = "x".repeat(1_000_000);
    for number in 0..100 {
        writeln!(input, "c{number},1,true,{BEGIN},{note}").unwrap();
    }
    assert!(
        publisher.peak_memory() < 100_000,
        "{} kB",
        publisher.peak_memory()
    );
    drop(input);
    let ended = publisher.end().with(0);
    assert!(ended.out.contains("100 records in"), "{}", ended.out);
    assert_eq!(place.count("arrivals.orders"), 100);
}

#[test]
fn rows_out_of_order_and_of_the_far_future_are_quarantined_whole() {
    let place = Place::applied(&project("wall", 1));
    let row = |name: &str, at: i64| format!("{name},1,true,{at}\n");
    let far = BEGIN + 100_000 * DAY;
    let rows = [
        HEADER.to_owned(),
        row("late", BEGIN + DAY),
        row("late", BEGIN),
        row("late", BEGIN + 2 * DAY),
        row("again", BEGIN),
        row("again", BEGIN),
        row("future", far),
        row("future", BEGIN),
    ];
    place.write("rows.csv", rows.concat());
    // Each is a sound record of its source, so all of them arrive.
    place.run(&["publish", "orders", "rows.csv"]).with(0);
    let up = place.start(&["up", "--port", "0"]);
    until("every row is folded", || {
        place.count("features.spending") + place.count("quarantine") == 7
    });
    drop(up);
    let quarantined = place.quarantined();
    let arrivals = place.rows("arrivals.orders");
    for (number, words) in [
        (1, ["newest of its entity", "in the order"]),
        (4, ["newest of its entity", "in the order"]),
        (5, ["more than a day ahead", "check the writer's clock"]),
    ] {
        let arrival = &arrivals[number];
        let whole = |told: &&RecordQuarantined| told.origin == Some(arrival.id);
        let told = quarantined.iter().find(whole).unwrap();
        assert!(told.value.ends_with(&arrival.body));
        for word in words {
            assert!(
                told.reason.contains(word),
                "{word:?} is not in {:?}",
                told.reason
            );
        }
    }
    assert_eq!(quarantined.len(), 3);
    let computed = by_key(place.rows("features.spending"));
    let counts = |name: &str| computed[name].len();
    assert_eq!(
        (counts("late"), counts("again"), counts("future")),
        (2, 1, 1)
    );
    place.verify();
}
