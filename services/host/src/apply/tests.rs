//! Applying to a real log.

use std::thread;

use super::*;

fn source(name: &str, entity: &str) -> String {
    format!(
        "  {name}: {{fields: {{x: double, y: double, paid: boolean}}, entity: {{constant: {entity}}}, time: {{start: 2024-01-01, every: 1h}}}}\n"
    )
}

/// A project of these sources, and of views by name, source and feature.
fn project(sources: &[&str], views: &[(&str, &str, &str)]) -> Project {
    let sources: String = sources.iter().map(|name| source(name, "all")).collect();
    let view = |(name, source, feature): &(&str, &str, &str)| {
        format!("  {name}: {{source: {source}, features: {{f: {feature}}}}}\n")
    };
    let views: String = views.iter().map(view).collect();
    parse(&format!("sources:\n{sources}views:\n{views}"))
}

fn parse(text: &str) -> Project {
    let text = format!("project: shop\npartitions: 1\n{text}");
    let parsed = mainstem_project::parse("mainstem.yaml", &text);
    parsed.unwrap_or_else(|mistakes| panic!("{}", mistakes[0]))
}

fn put(store: &Store, project: &Project) -> Result<Plan, ApplyError> {
    apply(store, project, "ada", Millis(0))
}

fn refusal(store: &Store, project: &Project) -> String {
    let planned = plan(store, project).unwrap_err().to_string();
    let refused = put(store, project).unwrap_err();
    assert!(matches!(refused, ApplyError::Fixed { .. }), "{refused}");
    assert_eq!(refused.to_string(), planned);
    planned
}

#[test]
fn objects_may_be_called_definitions() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let named = project(&["definitions"], &[("definitions", "definitions", "x")]);
    put(&store, &named).unwrap();
    assert_eq!(store.project().unwrap(), named);
    assert_eq!(put(&store, &named).unwrap(), Plan::Unchanged);
}

#[test]
fn an_apply_that_died_after_its_topics_can_be_made_good_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut died = project(&["a"], &[("v", "a", "x")]);
    died.name = "ash".into();
    store.log.create_topics(&topics_of(&died)).unwrap();
    assert!(matches!(store.project(), Err(StoreError::Empty(_))));
    let other = project(&["a"], &[("v", "a", "x")]);
    assert_eq!(put(&store, &other).unwrap(), Plan::First);
    assert_eq!(store.project().unwrap(), other);
}

#[test]
fn the_number_of_a_source_is_never_given_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let view = [("v", "a", "x")];
    for sources in [&["a", "b"][..], &["a"], &["a", "c"], &["a", "b", "c"]] {
        put(&store, &project(sources, &view)).unwrap();
    }
    let numbers = store.project().unwrap().sources;
    let numbers: Vec<(String, u16)> = numbers.into_iter().map(|(n, s)| (n, s.number)).collect();
    let expected = [("a", 1), ("b", 2), ("c", 3)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(numbers, expected);
    let again = project(&["a", "b", "c"], &view);
    assert_eq!(plan(&store, &again).unwrap(), Plan::Unchanged);
}

#[test]
fn what_was_taken_out_comes_back_as_it_was_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let both = project(&["a", "b"], &[("va", "a", "x"), ("vb", "b", "x")]);
    put(&store, &both).unwrap();
    put(&store, &project(&["a"], &[("va", "a", "x")])).unwrap();

    let changed = project(&["a", "b"], &[("va", "a", "x"), ("vb", "b", "y")]);
    let refused = refusal(&store, &changed);
    assert!(
        refused.contains("the view vb") && refused.contains("_v2"),
        "{refused}"
    );
    let sources = source("a", "all") + &source("b", "each");
    let views = "  va: {source: a, features: {f: x}}\n";
    let refused = refusal(
        &store,
        &parse(&format!("sources:\n{sources}views:\n{views}")),
    );
    assert!(refused.contains("the source b"), "{refused}");

    put(&store, &both).unwrap();
    assert_eq!(store.project().unwrap(), both);
}

#[test]
fn a_monitor_keeps_its_source_and_may_change_its_bins() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let monitor = |of: &str, edge: u32| {
        let sources = source("a", "all") + &source("b", "all");
        parse(&format!(
            "sources:\n{sources}views:\n  v: {{source: a, features: {{f: x}}}}\n\
             monitors:\n  w: {{source: {of}, columns: {{x: {{edges: [{edge}]}}}}}}\n"
        ))
    };
    put(&store, &monitor("a", 1)).unwrap();
    let Plan::Changes(lines) = put(&store, &monitor("a", 2)).unwrap() else {
        panic!("no changes");
    };
    assert!(lines.concat().contains("monitor"), "{lines:?}");
    let refused = refusal(&store, &monitor("b", 2));
    assert!(refused.contains("the source of the monitor w"), "{refused}");
    assert!(refused.contains("add a new monitor"), "{refused}");
}

#[test]
fn a_model_keeps_its_view() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let model = |view: &str| {
        let sources = source("a", "all");
        parse(&format!(
            "sources:\n{sources}views:\n  v: {{features: {{f: x}}}}\n  w: {{features: {{f: y}}}}\n\
             models:\n  m: {{view: {view}, label: {{column: paid, horizon: 1d}}, windows: {{origin: 2024-01-01, length: 4d}}}}\n"
        ))
    };
    put(&store, &model("v")).unwrap();
    let refused = refusal(&store, &model("w"));
    assert!(refused.contains("the view of the model m"), "{refused}");
    assert!(refused.contains("add a new model"), "{refused}");
    put(
        &store,
        &project(&["a"], &[("v", "a", "x"), ("w", "a", "y")]),
    )
    .unwrap();
    refusal(&store, &model("w"));
    put(&store, &model("v")).unwrap();
}

#[test]
fn of_two_applies_at_once_each_knows_of_the_other_or_gives_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, &project(&["a"], &[("v", "a", "x")])).unwrap();
    for round in 0..8 {
        thread::scope(|scope| {
            for name in ["left", "right"] {
                let (store, name) = (&store, format!("{name}{round}"));
                scope.spawn(move || {
                    let wanted = project(&["a", &name], &[("v", "a", "x")]);
                    match put(store, &wanted) {
                        Ok(_) | Err(ApplyError::Overtaken) => {}
                        Err(error) => panic!("{error}"),
                    }
                });
            }
        });
    }
    let mut numbers = std::collections::BTreeMap::new();
    for definition in store.definitions().unwrap() {
        for (name, source) in definition.sources {
            let owner = numbers.entry(source.number).or_insert_with(|| name.clone());
            assert_eq!(
                *owner, name,
                "two sources have the number {}",
                source.number
            );
        }
    }
}

/// A registry that counts on from a number.
struct Counting(u32);

impl Ids for Counting {
    fn id(&mut self, _: &str, _: &str) -> Result<u32, String> {
        self.0 += 1;
        Ok(self.0)
    }
}

#[test]
fn an_id_that_means_another_schema_here_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (one, two) = (
        project(&["a"], &[("v", "a", "x")]),
        project(&["a", "b"], &[("v", "a", "x")]),
    );
    put(&store, &one).unwrap();
    let mut ids = Counting(0);
    let refused = apply_with(&store, &two, "ada", Millis(0), Some(&mut ids)).unwrap_err();
    assert!(
        matches!(refused, ApplyError::IdTaken { id: 1, .. }),
        "{refused}"
    );
    let words = refused.to_string();
    let (first, _) = CONTRACTS[0];
    for word in ["arrivals.b", first, "--registry"] {
        assert!(words.contains(word), "{word} is not in {words}");
    }
    assert_eq!(store.project().unwrap(), one);
    assert!(matches!(put(&store, &two), Ok(Plan::Changes(_))));
}

#[test]
fn a_log_that_gives_no_ids_takes_new_schemas_with_its_registry_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (one, two) = (
        project(&["a"], &[("v", "a", "x")]),
        project(&["a", "b"], &[("v", "a", "x")]),
    );
    let mut ids = Counting(1_000);
    apply_with(&store, &one, "ada", Millis(0), Some(&mut ids)).unwrap();
    assert_eq!(put(&store, &one).unwrap(), Plan::Unchanged);
    let refused = put(&store, &two).unwrap_err();
    assert!(
        matches!(refused, ApplyError::NoIds) && refused.to_string().contains("--registry"),
        "{refused}"
    );
    assert_eq!(store.project().unwrap(), one);
    let changed = apply_with(&store, &two, "ada", Millis(0), Some(&mut ids));
    assert!(matches!(changed, Ok(Plan::Changes(_))));
    let catalog = store.catalog("shop").unwrap();
    assert_eq!(catalog.id_of("arrivals.b"), Some(ids.0));
}
