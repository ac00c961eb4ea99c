//! A project whose log is on Kafka and whose blobs are in a bucket of S3: the loop trains, serves and is audited, and
//! nothing lies on the disk of any process. Both servers are real and not ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mainstem_blobs::S3Blobs;
use mainstem_host::Store;
use mainstem_host::store::{Place, each_event};
use mainstem_kernel::Partition;
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::events::Event;
use mainstem_test_broker::Broker;
use mainstem_test_s3::{Key, S3};
use mainstem_tests::binary::mainstem;
use tempfile::TempDir;

const DAY: i64 = 86_400_000;

/// First day of the data: 2024-01-01.
const BEGIN: i64 = 1_704_067_200_000;

/// A shop whose customers pay or not; a model is trained on the eleventh day, and there are twenty.
struct Site<'a> {
    dir: TempDir,
    brokers: &'a str,
    s3: S3,
    name: String,
    blobs: String,
}

impl<'a> Site<'a> {
    fn new(brokers: &'a str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let name = format!("bucket{}", now.as_millis());
        let (dir, s3) = (tempfile::tempdir().unwrap(), S3::start().unwrap());
        let project = format!(
            "\
project: {name}
clock: stream
partitions: 2
sources:
  orders:
    fields: {{customer: string, amount: double, paid: boolean, at: long}}
    entity: {{column: customer}}
    time: {{column: at}}
views:
  spending:
    source: orders
    features: {{amount: amount, mean: {{mean: amount, last: 5}}}}
models:
  pays:
    view: spending
    label: {{column: paid, horizon: 1d}}
    training: {{min_rows: 20, parameters: {{iterations: 5}}}}
    windows: {{origin: 2024-01-01, length: 4d}}
    retrain: {{initial: {{at: 2024-01-11}}}}
"
        );
        let rows = (0..20).flat_map(|day| (0..6).map(move |customer| (day, customer)));
        let row = |(day, customer): (i64, i64)| {
            let amount = |day: i64| (day * 7 + customer * 3).rem_euclid(10);
            let (paid, at) = (amount(day - 1) > 4, BEGIN + day * DAY);
            format!("c{customer},{},{paid},{at}\n", amount(day))
        };
        let data = format!(
            "customer,amount,paid,at\n{}",
            rows.map(row).collect::<String>()
        );
        std::fs::write(dir.path().join("mainstem.yaml"), project).unwrap();
        std::fs::write(dir.path().join("orders.csv"), data).unwrap();
        let blobs = format!("s3://{}/{name}", s3.bucket());
        Site {
            dir,
            brokers,
            s3,
            name,
            blobs,
        }
    }

    /// A command that reaches the bucket as a user.
    fn command(&self, words: &[&str], user: &Key) -> Command {
        let mut command = mainstem();
        command
            .args(words)
            .args(["--kafka", self.brokers])
            .env("MAINSTEM_BLOBS", &self.blobs)
            .envs(self.s3.environment(user))
            .current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end; it must end well.
    fn run(&self, words: &[&str]) -> String {
        let output = self.command(words, self.s3.worker()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        said(&output)
    }

    /// What a command that must not start says.
    fn refused(&self, words: &[&str], user: &Key) -> String {
        let output = self.command(words, user).output().unwrap();
        assert!(!output.status.success(), "{words:?}: {}", said(&output));
        let said = said(&output);
        assert!(
            !said.contains(&user.secret) && !said.contains(&user.id),
            "{said}"
        );
        said
    }

    fn store(&self) -> Store {
        let log = KafkaLog::connect(Options::new(self.brokers, &self.name)).unwrap();
        let environment = self.s3.environment(self.s3.worker());
        Store {
            place: Place::kafka(self.brokers, &self.name),
            log: Arc::new(log),
            blobs: Arc::new(S3Blobs::open(&self.blobs, environment).unwrap()),
        }
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A service that dies with the test.
struct Service(Child);

impl Service {
    fn start(mut command: Command) -> Self {
        Service(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_model_is_trained_served_and_audited_with_its_blobs_in_a_bucket() {
    let Some(broker) = Broker::for_tests().unwrap() else {
        return;
    };
    let site = Site::new(broker.bootstrap());
    site.run(&["apply", "-f", "mainstem.yaml"]);
    let named = ["--project", &site.name];
    let with = |words: &[&'static str]| [words, &named[..]].concat();
    let workers = ["up", "run processor"].map(|words| {
        let words: Vec<&'static str> = words.split(' ').collect();
        let mut words = with(&words);
        if words[0] == "up" {
            words.extend(["--port", "0"]);
        }
        Service::start(site.command(&words, site.s3.worker()))
    });
    site.run(&with(&["publish", "orders", "orders.csv", "--pace", "1d"]));
    drop(workers);

    let verified = site.run(&with(&["audit", "verify"]));
    assert!(verified.contains("0 mismatches"), "{verified}");
    let store = site.store();
    let (mut reader, mut models, mut predictions) = (store.log.reader().unwrap(), Vec::new(), 0);
    let catalog = store.catalog(&site.name).unwrap();
    let topic = |room: &str| Partition::new(&format!("{}.{room}", site.name), 0);
    each_event(reader.as_mut(), &catalog, &topic("models"), |_, event| {
        if let Event::ModelVersionRegistered(version) = event {
            models.push(version.onnx);
        }
    })
    .unwrap();
    each_event(
        reader.as_mut(),
        &catalog,
        &topic("predictions.pays"),
        |_, event| {
            predictions += u32::from(matches!(event, Event::PredictionMade(_)));
        },
    )
    .unwrap();
    assert!(
        !models.is_empty() && predictions > 0,
        "{models:?} {predictions}"
    );
    for onnx in models {
        assert!(!store.blobs.get(&onnx).unwrap().is_empty());
    }
    let beside = |name: &&&str| site.dir.path().join(name).exists();
    assert_eq!(["blobs", "s3:", "mainstem-data"].iter().find(beside), None);

    refusals(&site);
}

/// What a service is told that cannot use the bucket: at its start, and before it takes a turn.
fn refusals(site: &Site<'_>) {
    let words = ["run", "processor", "--project", &site.name];
    let said = site.refused(&words, site.s3.reader());
    let probe = format!("{}/probe was not written: AccessDenied", site.blobs);
    assert!(
        said.contains(&probe) && said.contains("s3:PutObject"),
        "{said}"
    );
    let wrong = Key {
        id: site.s3.worker().id.clone(),
        secret: "hush-hush".into(),
    };
    let said = site.refused(&words, &wrong);
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
    // Another prefix is another store.
    let other = format!("{}/other", site.blobs);
    let said = site.refused(
        &[&words[..], &["--blobs", &other]].concat(),
        site.s3.worker(),
    );
    assert!(
        said.contains("does not hold the definition that is in force"),
        "{said}"
    );
}
