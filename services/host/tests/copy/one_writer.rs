//! One kind of writer a topic: what is copied takes no publications, and a source keeps its topic for life.

use mainstem_host::apply::{ApplyError, Plan};
use mainstem_host::publisher::{Format, Input, PublishError, publish};
use mainstem_rooms::topology::topics_of;

use crate::world::{World, record};

fn project(topic: &str) -> String {
    format!(
        "project: shop\npartitions: 2\nsources:\n  clicks:\n{topic}    fields: {{user: string, at: long, price: double}}\n    entity: {{column: user}}\n    time: {{column: at}}\nviews:\n  v: {{features: {{price: price}}}}\n"
    )
}

const CLICKS: &str = "    topic: {name: web.clicks, format: json}\n";

fn fixed(world: &World, text: &str) -> String {
    match world.apply(text) {
        Err(error @ ApplyError::Fixed { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_copied_source_takes_no_publications() {
    let world = World::new();
    world.apply(&project(CLICKS)).unwrap();
    let input = Input {
        project: &world.store.project().unwrap(),
        source: "clicks",
        name: "clicks.csv",
        format: Format::Csv,
        bytes: &b"user,at,price\nada,1,2\n"[..],
        actor: "ada",
        resume: false,
        is_file: true,
    };
    let refused = publish(&world.store, input).unwrap_err();
    assert!(matches!(refused, PublishError::Copied { .. }), "{refused}");
    let told = refused.to_string();
    assert!(
        told.contains("clicks") && told.contains("web.clicks"),
        "{told}"
    );
    let topics = topics_of(&world.store.project().unwrap());
    assert!(topics.iter().all(|topic| !topic.name.contains("rejects")));
}

#[test]
fn a_topic_that_is_not_there_is_told_when_the_project_is_applied() {
    let world = World::new();
    let error = world.apply(&project(&CLICKS.replace("web.clicks", "web.clocks")));
    let told = error.unwrap_err().to_string();
    assert!(
        told.contains("web.clocks") && told.contains("clicks"),
        "{told}"
    );
    assert!(world.store.definitions().unwrap().is_empty());
}

#[test]
fn a_source_keeps_its_topic_for_life() {
    let world = World::new();
    world.create("web.others", 2);
    world.create("web.one", 1);
    world.apply(&project(CLICKS)).unwrap();
    for other in [String::new(), CLICKS.replace("web.clicks", "web.others")] {
        let told = fixed(&world, &project(&other));
        assert!(told.contains("the topic of the source clicks"), "{told}");
    }
    // What may change: which records are taken.
    let narrower = CLICKS.replace("json", "json, only: {field: [kind, click]}");
    let changed = world.apply(&project(&narrower)).unwrap();
    assert_eq!(changed, Plan::Changes(vec!["~ source clicks".into()]));
    assert_eq!(world.apply(&project(&narrower)).unwrap(), Plan::Unchanged);
}

#[test]
fn a_definition_that_changes_what_is_taken_counts_from_where_it_is_read() {
    let world = World::new();
    world.apply(&project(CLICKS)).unwrap();
    let click =
        |user: &str, kind: &str| format!(r#"{{"user":"{user}","at":1,"price":2,"kind":"{kind}"}}"#);
    let write = |users: [&str; 2]| {
        let (one, other) = (click(users[0], "click"), click(users[1], "view"));
        world.write(0, &[record("k", &one), record("k", &other)]);
    };
    write(["a", "b"]);
    world.run();
    let narrower = CLICKS.replace("json", "json, only: {field: [kind, click]}");
    world.apply(&project(&narrower)).unwrap();
    write(["c", "d"]);
    world.run();
    let mut keys: Vec<String> = world
        .arrived("shop.arrivals.clicks")
        .into_iter()
        .map(|a| a.key)
        .collect();
    keys.sort();
    assert_eq!(keys, ["a", "b", "c"]);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
}
