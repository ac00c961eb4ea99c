//! A project's life on real data, audited and explained.

use std::io::BufReader;
use std::path::Path;

use mainstem_host::Store;
use mainstem_host::auditor::{Asked, ExplainError, Parts, explain, verify};
use mainstem_host::processor::{self, Options};
use mainstem_host::publisher::{Format, Input, Pace, publish_paced};
use mainstem_host::resolver::StoreResolver;
use mainstem_rooms::machines::machine;
use mainstem_schemas::{EventId, Millis, Span};

/// Rows of the file: three months of warming up, a first training, four weeks of predictions.
const ROWS: usize = 6_400;

pub fn live(store: &Store, rows: usize) {
    let project = mainstem_project::parse("mainstem.yaml", mainstem_project::example()).unwrap();
    mainstem_host::apply::apply(store, &project, "ada", Millis(0)).unwrap();
    let options = Options::new(2, "test".into());
    let workers = processor::start(store, &options).unwrap();
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/electricity/electricity.csv");
    let text = std::fs::read_to_string(file).unwrap();
    let lines: String = text
        .lines()
        .take(rows + 1)
        .flat_map(|line| [line, "\n"])
        .collect();
    let input = Input {
        project: &project,
        source: "market",
        name: "electricity.csv",
        format: Format::Csv,
        bytes: BufReader::new(lines.as_bytes()),
        actor: "ada",
        resume: false,
        is_file: true,
    };
    let pace = Pace {
        first: "1996-08-19T04:00:00Z".parse().unwrap(),
        step: Span(7 * 86_400_000),
        stop: &|| false,
        progress: &mut |_, _| {},
        waiting: &mut |_| {},
    };
    publish_paced(store, input, pace).unwrap();
    workers.stop();
}

#[test]
fn a_life_is_verified_and_its_predictions_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    live(&store, ROWS);
    let project = store.project().unwrap();
    let resolver = StoreResolver::new(store.blobs.clone());
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project: &project,
    };
    let mut told = 0;
    let report = verify(&parts, &mut |progress| told = progress.done).unwrap();
    assert!(told > 0 && told <= report.turns);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.uncovered, []);

    let id = EventId::row(project.sources["market"].number, 1, 6_000).to_string();
    let asked = Asked {
        id: &id,
        version: None,
        role: None,
    };
    let explanation = explain(&parts, &asked).unwrap();
    let text = explanation.to_string();
    assert!(
        text.contains("at electricity.arrivals.market/0 offset 6000"),
        "{text}"
    );
    let whats: Vec<&str> = explanation.steps.iter().map(|step| step.what).collect();
    for what in [
        "prediction",
        "features",
        "arrival",
        "version",
        "deployment",
        "gate",
        "run",
        "data set",
        "trigger",
    ] {
        assert!(whats.contains(&what), "{what} of {whats:?}");
    }
    // The same by the prediction's own id; a shadow's by its role.
    let own = explanation.steps[0].id.unwrap().to_string();
    let again = explain(&parts, &Asked { id: &own, ..asked }).unwrap();
    assert_eq!(again.steps[1..], explanation.steps[1..]);
    let naive = explain(
        &parts,
        &Asked {
            version: Some("baseline"),
            ..asked
        },
    )
    .unwrap();
    assert!(
        naive.steps[0].text.contains("by baseline (baseline)"),
        "{naive}"
    );
    let none = explain(
        &parts,
        &Asked {
            version: Some("v99"),
            ..asked
        },
    );
    assert!(matches!(none, Err(ExplainError::NoSuchVersion { names, .. }) if names.len() >= 2));
    let unknown = EventId::row(9, 9, 9).to_string();
    let unknown = explain(
        &parts,
        &Asked {
            id: &unknown,
            ..asked
        },
    )
    .unwrap_err();
    assert!(
        unknown
            .to_string()
            .contains("the newest there is has the origin 0200"),
        "{unknown}"
    );
    let text = explain(
        &parts,
        &Asked {
            id: "yesterday",
            ..asked
        },
    )
    .unwrap_err();
    assert!(matches!(text, ExplainError::NotAnId { .. }));
}
