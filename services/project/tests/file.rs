//! The example, the published schema, the limits, and files damaged in every way.

use mainstem_project::{MAX_BYTES, MAX_DEPTH, example, json_schema, parse, parse_bytes};
use mainstem_schemas::definition::{EventTime, Project};
use mainstem_schemas::{Millis, Span};
use proptest::prelude::*;

#[test]
fn the_example_is_right() {
    let project = parse("mainstem.yaml", example()).unwrap_or_else(|mistakes| {
        let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        unreachable!("{}", told.join("\n"))
    });
    let market = &project.sources["market"];
    assert_eq!((market.number, market.fields.len()), (1, 7));
    let start: Millis = "1996-05-07T00:00".parse().unwrap();
    let every = Span(1_800_000);
    assert_eq!(market.time, EventTime::Row { start, every });
    let model = &project.models["price_up"];
    let of_view = features_of(&project);
    assert_eq!(model.features.len(), 11);
    assert!(model.features.iter().all(|name| of_view.contains(name)));
}

#[test]
fn a_model_without_a_list_takes_all_features_of_its_view() {
    let (head, listed) = example()
        .split_once("    features:\n      - period\n")
        .unwrap();
    let (_, tail) = listed.split_once("    label:").unwrap();
    let project = parse("mainstem.yaml", &format!("{head}    label:{tail}")).unwrap();
    assert_eq!(project.models["price_up"].features, features_of(&project));
}

fn features_of(project: &Project) -> Vec<String> {
    let view = &project.views["market"];
    view.features.iter().map(|f| f.name.clone()).collect()
}

#[test]
fn canonical_json_round_trips() {
    let project = parse("mainstem.yaml", example()).unwrap();
    let read: Project = serde_json::from_str(&project.canonical()).unwrap();
    assert_eq!(read, project);
    assert_eq!(read.digest(), project.digest());
}

/// `MAINSTEM_UPDATE=1` writes the file.
#[test]
fn the_published_schema_is_up_to_date() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/project.schema.json"
    );
    let schema = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("MAINSTEM_UPDATE").is_some() {
        std::fs::write(file, &schema).unwrap();
    }
    let published = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        published == schema,
        "docs/project.schema.json is old; run the test with MAINSTEM_UPDATE=1"
    );
}

#[test]
fn large_and_deep_files_are_refused_at_once() {
    let large = "#".repeat(MAX_BYTES + 1);
    assert!(
        parse("t", &large).unwrap_err()[0]
            .message()
            .contains("1048577 bytes")
    );
    for (open, shut) in [("[", "]"), ("{a: ", "}")] {
        let deep = format!("a: {}{}", open.repeat(100_000), shut.repeat(100_000));
        let why = parse("t", &deep).unwrap_err();
        assert!(
            why[0]
                .message()
                .contains(&format!("deeper than {MAX_DEPTH}")),
            "{}",
            why[0].message()
        );
    }
    let wide: String = (0..100_000).map(|n| format!("k{n}: 1\n")).collect();
    assert!(
        parse("t", &wide).unwrap_err()[0]
            .message()
            .contains("more than 1000")
    );
}

#[test]
fn bombs_are_refused_where_they_begin() {
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assert!(
        parse("t", bomb).unwrap_err()[0]
            .message()
            .contains("anchors")
    );
    assert!(parse("t", "a: *a\n").is_err());
    assert!(
        parse("t", "a: !!binary aGk=\n").unwrap_err()[0]
            .message()
            .contains("tags")
    );
    assert!(
        parse("t", "a: 1\n---\nb: 1\n").unwrap_err()[0]
            .message()
            .contains("documents")
    );
}

#[test]
fn places_are_counted_in_characters() {
    let text = "project: shop\n# größe\nquelle: 'ä' # ö\nviews: 1\n";
    let mistakes = parse("t", text).unwrap_err();
    let views = mistakes
        .iter()
        .find(|mistake| mistake.message().contains("`views`"))
        .unwrap();
    assert_eq!((views.line(), views.column()), (4, 8));
    let windows = parse("t", &text.replace('\n', "\r\n")).unwrap_err();
    let views = windows
        .iter()
        .find(|mistake| mistake.message().contains("`views`"))
        .unwrap();
    assert_eq!((views.line(), views.column()), (4, 8));
}

/// Pieces that a hand or an editor would put in the wrong place.
const PIECES: [&str; 24] = [
    "\t", "  ", "\n", ":", ": ", "- ", "[", "]", "{", "}", "'", "\"", "#", "&a ", "*a", "!t ", "|",
    ">", "---\n", "? ", "\u{feff}", "é", "\0", "1e999",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever happens to a file, it is read or refused; and every mistake can be shown.
    #[test]
    fn damage_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..PIECES.len(), 0..4u8, 1..40usize), 1..5)
    ) {
        let mut text: Vec<char> = example().chars().collect();
        for (at, piece, how, length) in damage {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            match how {
                0 => { text.splice(at..at, PIECES[piece].chars()); }
                1 => { text.splice(at..end, PIECES[piece].chars()); }
                2 => { text.drain(at..end); }
                _ => { let copy = text[at..end].to_vec(); text.splice(at..at, copy); }
            }
        }
        show(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        show(&text);
        show(&format!("project: a\nsources:\n  {text}"));
        if let Err(mistakes) = parse_bytes("t", &bytes) {
            prop_assert!(!mistakes[0].to_string().is_empty());
        }
    }

    /// What a definition says survives its JSON, to the last bit of every number.
    #[test]
    fn numbers_survive_their_json(threshold in 0.0..1.0f64, validation in 0.001..0.999f64, rate in -1e9..1e9f64) {
        let text = example()
            .replace("threshold: 0.5", &format!("threshold: {threshold}"))
            .replace("validation: 0.2", &format!("validation: {validation}"))
            .replace("learning_rate: 0.1", &format!("learning_rate: {rate}"));
        let project = parse("t", &text).unwrap();
        let read: Project = serde_json::from_str(&project.canonical()).unwrap();
        prop_assert_eq!(read, project);
    }
}

fn show(text: &str) {
    for mistake in parse("mainstem.yaml", text).err().into_iter().flatten() {
        assert!(mistake.line() > 0 && mistake.column() > 0);
        assert!(mistake.span().end <= text.len());
        assert!(
            mistake
                .to_string()
                .contains(mistake.message().lines().next().unwrap_or_default())
                || mistake.message().contains(char::is_control)
        );
        assert!(!mistake.render(true).is_empty());
    }
}
