//! Project files: what is wrong is told as a compiler does, and nothing of a wrong one comes into force.

use crate::place::Place;
use crate::shop::project;

/// A sound file with one part replaced, and what is told of it: the place, the mistake, and the remedy.
const MISTAKES: [(&str, &str, [&str; 3]); 6] = [
    (
        "mean: {mean: amount, last: 5}",
        "mean: {lag: rel, by: 1}",
        [
            "mainstem.yaml:13:",
            "mean -> rel -> mean",
            "from columns alone",
        ],
    ),
    (
        "amount: amount",
        "amount: amuont",
        ["mainstem.yaml:12:", "amuont", "amount"],
    ),
    ("label:", "lable:", ["mainstem.yaml:19:", "lable", "label"]),
    (
        "view: spending",
        "view: spendings",
        ["mainstem.yaml:18:", "spendings", "spending"],
    ),
    (
        "{column: customer}",
        "{column: custom}",
        ["mainstem.yaml:7:", "custom", "customer"],
    ),
    (
        "horizon: 1d",
        "horizon: soon",
        ["mainstem.yaml:19:36", "\"soon\"", "12h or 7d"],
    ),
];

fn sound() -> String {
    project("wall", 2)
        .replace("  pays:\n", "  pays:\n    view: spending\n")
        .replace(
            "      paid: paid\n",
            "      paid: paid\n      rel: {difference: [amount, mean]}\n",
        )
}

#[test]
fn a_mistake_is_told_with_its_place_a_caret_and_a_remedy_and_leaves_nothing() {
    let place = Place::new(&sound());
    let said = place.run(&["check"]).with(0).out;
    assert!(
        said.contains("project shop is sound (1 source, 1 view, 1 model)"),
        "{said}"
    );
    let monitors = "monitors:\n  m: {columns: {amount: {edges: [10, 20]}}}\n";
    place.write("mainstem.yaml", sound() + monitors);
    let said = place.run(&["check"]).with(0).out;
    assert!(said.contains("1 model, 1 monitor)"), "{said}");
    for (right, wrong, words) in MISTAKES {
        assert!(sound().contains(right), "{right}");
        place.write("mainstem.yaml", sound().replacen(right, wrong, 1));
        let told = place.run(&["check"]).with(1).naming(&words);
        assert!(told.err.contains('^'), "{}", told.err);
        assert!(told.err.contains("1 mistake found"), "{}", told.err);
        for command in [
            &["apply"][..],
            &["up", "-f", "mainstem.yaml", "--port", "0"],
        ] {
            assert_eq!(place.run(command).with(1).err, told.err);
            assert!(!place.data().exists(), "{command:?} made a log");
        }
    }
    let missing = place.run(&["check", "-f", "none.yaml"]).with(1);
    missing.naming(&["none.yaml: No such file", "-f"]);
}

#[test]
fn what_is_fixed_for_life_is_refused_and_the_definition_stays() {
    let place = Place::new(&sound());
    let dry = place.run(&["apply", "--dry-run"]).with(0);
    assert!(dry.out.contains("would be in force"), "{}", dry.out);
    place.run(&["apply"]).with(0);
    let applied = place.count("definitions");
    for (right, wrong, words) in [
        (
            "partitions: 2",
            "partitions: 3",
            ["the number of partitions (2 to 3)", "--dir"],
        ),
        (
            "project: shop",
            "project: store",
            ["the project's name (shop to store)", "--dir"],
        ),
        (
            "last: 5",
            "last: 6",
            ["the view spending cannot change", "_v2"],
        ),
        (
            "{column: customer}",
            "{constant: all}",
            ["the source orders", "another name"],
        ),
    ] {
        place.write("mainstem.yaml", sound().replacen(right, wrong, 1));
        place.run(&["check"]).with(0);
        place.run(&["apply"]).with(1).naming(&words);
        place
            .run(&["up", "-f", "mainstem.yaml", "--port", "0"])
            .with(1)
            .naming(&words);
    }
    assert_eq!((applied, place.count("definitions")), (1, 1));

    // The same again changes nothing; what may change does, and says what.
    place.write("mainstem.yaml", sound());
    let again = place.run(&["apply"]).with(0);
    assert!(again.out.contains("nothing changes"), "{}", again.out);
    place.write(
        "mainstem.yaml",
        sound().replace("cooldown: 4d", "cooldown: 5d"),
    );
    let dry = place.run(&["apply", "--dry-run"]).with(0);
    assert!(
        dry.out.contains("would be changed") && dry.out.contains("~ model pays"),
        "{}",
        dry.out
    );
    assert_eq!(place.count("definitions"), 1);
    place.run(&["apply"]).with(0);
    assert_eq!(place.count("definitions"), 2);
}
