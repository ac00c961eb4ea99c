//! TLS, passwords and permissions: what is refused says so soon, and names the remedy but no secret.

use std::path::Path;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{CommitError, FetchLimit, Log, LogError, Partition, TopicSpec};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::Batch;
use mainstem_test_broker::Secured;

use crate::support::{Room, SHORT, one, own, records, run_name};

/// Every password of a user here: whatever shows it is at fault.
const PASSWORD: &str = "correct-horse-battery";

/// A refusal that does not wait for anybody.
const SOON: Duration = Duration::from_secs(30);

fn secured() -> Option<&'static Secured> {
    Secured::for_tests().unwrap()
}

fn options(address: &str, authority: &Path, project: &str, user: &str, word: &str) -> Options {
    let mut options = Options::new(address, project);
    let authority = authority.to_string_lossy();
    let settings = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", user),
        ("sasl.password", word),
        ("ssl.ca.location", &authority),
    ];
    for (key, value) in settings.iter().chain(&SHORT) {
        let (key, value) = ((*key).to_owned(), (*value).to_owned());
        options.settings.insert(key, value);
    }
    options
}

/// A user of one project.
struct User<'a> {
    broker: &'a Secured,
    project: String,
    name: String,
}

impl<'a> User<'a> {
    fn new(broker: &'a Secured, name: &str) -> Self {
        let (name, project) = (run_name(name), run_name("guarded"));
        broker.user(&name, PASSWORD).unwrap();
        User {
            broker,
            project,
            name,
        }
    }

    fn options(&self) -> Options {
        let (broker, authority) = (self.broker.bootstrap(), self.broker.authority());
        options(&broker, &authority, &self.project, &self.name, PASSWORD)
    }

    fn connect(&self) -> KafkaLog {
        KafkaLog::connect(self.options()).unwrap()
    }

    /// Allows what a rule of `docs/kafka.md` allows.
    fn allow(&self, operations: &[&str], resource: &str) {
        let principal = format!("User:{}", self.name);
        let prefix = match resource {
            "--transactional-id" => format!("{}-", self.project),
            _ => format!("{}.", self.project),
        };
        let mut words = vec!["--add", "--force", "--allow-principal", &principal];
        words.extend(operations.iter().flat_map(|name| ["--operation", name]));
        words.extend([resource, &prefix, "--resource-pattern-type", "prefixed"]);
        self.broker.acls(&words).unwrap();
    }

    fn topic(&self, name: &str) -> TopicSpec {
        TopicSpec {
            name: format!("{}.{name}", self.project),
            partitions: 1,
        }
    }
}

#[track_caller]
fn assert_told(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word} is missing: {error}");
    }
    assert!(!error.contains(PASSWORD), "{error}");
    assert!(!error.contains("wrong-secret"), "{error}");
}

fn refused(options: Options) -> String {
    let start = Instant::now();
    let shown = format!("{options:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("wrong-secret"));
    let refused = KafkaLog::connect(options).err().unwrap().to_string();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    refused
}

#[test]
fn what_keeps_a_client_from_connecting_is_named() {
    let Some(broker) = secured() else { return };
    let user = User::new(broker, "visitor");
    let (at, known) = (broker.bootstrap(), broker.authority());
    let as_visitor = |at: &str, authority: &Path, word: &str| {
        refused(options(at, authority, "p", &user.name, word))
    };
    let wrong = as_visitor(&at, &known, "wrong-secret");
    assert_told(&wrong, &["credentials", "sasl.password", "kafka-configs"]);
    let nobody = refused(options(&at, &known, "p", "nobody", "wrong-secret"));
    assert_told(&nobody, &["credentials", "sasl.username"]);
    let unknown = as_visitor(&at, &broker.stranger(), PASSWORD);
    assert_told(&unknown, &["authority", "ssl.ca.location"]);
    let expired = as_visitor(&broker.expired(), &known, PASSWORD);
    assert_told(&expired, &["certificate has expired", "renew"]);
}

/// Where nobody answers, brokers get the time that a restart takes.
#[test]
fn where_nobody_answers_the_address_and_the_protocol_are_named() {
    let Some(broker) = secured() else { return };
    let (at, known) = (broker.bootstrap(), broker.authority());
    let options = |at: &str| options(at, &known, "p", "somebody", PASSWORD);
    let mut plain = options(&at);
    for key in ["security.protocol", "sasl.mechanism", "ssl.ca.location"] {
        plain.settings.remove(key);
    }
    let (gone, lost) = ("127.0.0.1:1", "no-such-host.invalid:9092");
    let [plain, gone, lost] = std::thread::scope(|scope| {
        [plain, options(gone), options(lost)]
            .map(|options| scope.spawn(|| refused(options)))
            .map(|refused| refused.join().unwrap())
    });
    assert_told(
        &plain,
        &["no Kafka broker answers", &at, "security.protocol"],
    );
    assert_told(
        &gone,
        &["no Kafka broker answers at 127.0.0.1:1", "address"],
    );
    assert_told(&lost, &["no-such-host.invalid:9092", "address"]);
}

fn told(refused: impl Into<CommitError>) -> String {
    match refused.into() {
        CommitError::Log(LogError::Other(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// The rules are given one by one; before each, what it allows is refused with the command that gives it.
#[test]
fn a_missing_permission_is_named_with_the_rule_that_gives_it() {
    let Some(broker) = secured() else { return };
    let user = User::new(broker, "novice");
    let (log, topic) = (user.connect(), user.topic("out"));
    let at = Partition::new(&topic.name, 0);
    let rule = |operation: &str, rest: &str| {
        format!(
            "--allow-principal User:{} --operation {operation} {rest}",
            user.name
        )
    };
    let topics = format!("--topic {}. --resource-pattern-type prefixed", user.project);
    let create = told(log.create_topics(std::slice::from_ref(&topic)).unwrap_err());
    assert_told(&create, &["Create", "kafka-acls", &rule("Create", &topics)]);
    user.allow(&["Create", "Describe"], "--topic");
    log.create_topics(std::slice::from_ref(&topic)).unwrap();
    let again = told(user.connect().create_topics(&[topic]).unwrap_err());
    assert_told(&again, &[&rule("DescribeConfigs", &topics)]);

    let ids = format!("--transactional-id {}-", user.project);
    let id = told(log.writer("w").err().unwrap());
    assert_told(&id, &[&rule("Write", &ids)]);
    user.allow(&["Write", "Describe"], "--transactional-id");
    let mut writer = log.writer("w").unwrap();
    let start = Instant::now();
    let write = told(writer.append(&[(at.clone(), one("x"))]).unwrap_err());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_told(&write, &[&rule("Write", &topics), &at.topic]);
    user.allow(&["Write"], "--topic");
    let mut writer = log.writer("w").unwrap();
    writer.append(&[(at.clone(), one("x"))]).unwrap();

    let fetch = || {
        let mut batch = Batch::new();
        let limit = FetchLimit::default();
        log.reader().unwrap().fetch(&at, 0, limit, &mut batch)
    };
    let read = told(fetch().unwrap_err());
    assert_told(&read, &[&rule("Read", &topics)]);
    user.allow(&["Read"], "--topic");
    fetch().unwrap();

    let tasks = [TaskSpec {
        id: TaskId("room/a/0".into()),
        project: user.project.clone(),
        lead: Some(at),
        inputs: Vec::new(),
        outputs: Vec::new(),
    }];
    let mut worker = log.worker("w").unwrap();
    let deadline = Instant::now() + SOON;
    let group = loop {
        assert!(Instant::now() < deadline, "joined without permission");
        match worker.assign(&tasks) {
            Ok(_) => std::thread::sleep(Duration::from_millis(10)),
            Err(why) => break told(why),
        }
    };
    let groups = format!("--group {}.", user.project);
    assert_told(&group, &[&rule("Read", &groups)]);
}

/// What others write is allowed topic by topic, not by the project's prefix.
#[test]
fn a_missing_permission_on_a_topic_of_others_is_named_with_a_rule_of_its_own() {
    let Some(broker) = secured() else { return };
    let user = User::new(broker, "guest");
    let (log, topic) = (user.connect(), run_name("web.clicks"));
    let create = ["--create", "--topic", &topic, "--partitions=1"];
    let create = broker.administered(&create);
    let create: Vec<&str> = create.iter().map(String::as_str).collect();
    mainstem_test_broker::tool("org.apache.kafka.tools.TopicCommand", &create, "").unwrap();
    let allow = |operation: &str| {
        let principal = format!("User:{}", user.name);
        let words = ["--add", "--force", "--allow-principal", &principal];
        let on = ["--operation", operation, "--topic", &topic];
        broker.acls(&[&words[..], &on].concat()).unwrap();
    };
    allow("Describe");
    let week = mainstem_schemas::Span(7 * 86_400_000);
    let refused = told(log.check_horizon(&topic, week).unwrap_err());
    let rule = format!("--operation DescribeConfigs --topic {topic} (");
    assert_told(&refused, &[&topic, &rule]);
    allow("DescribeConfigs");
    log.check_horizon(&topic, week).unwrap();
}

/// What `docs/kafka.md` lists is enough: nothing beyond it was allowed.
#[test]
fn the_documented_permissions_suffice() {
    let Some(broker) = secured() else { return };
    let mut user = User::new(broker, "service");
    user.allow(
        &["Create", "Describe", "DescribeConfigs", "Read", "Write"],
        "--topic",
    );
    user.allow(&["Write", "Describe"], "--transactional-id");
    user.allow(&["Read"], "--group");
    let room = Room::of(user.project.clone(), user.connect(), 1);
    // The topics are there: this looks at their settings.
    let room = Room::of(room.project, user.connect(), 1);
    let tasks = [room.task("a", Some(0)), room.task("door", None)];
    let mut worker = room.owner("w", &tasks);
    worker.commit(&[room.commit(&tasks[0], 1)]).unwrap();
    worker.commit(&[room.commit(&tasks[1], 1)]).unwrap();
    drop(worker);
    let mut slot = room.log.slot(&room.task("slot", None)).unwrap();
    slot.commit(&[room.commit(&room.task("slot", None), 1)])
        .unwrap();
    let mut heir = room.log.worker("heir").unwrap();
    own(heir.as_mut(), &tasks, 2);
    heir.commit(&[room.commit(&tasks[0], 2)]).unwrap();
    assert_eq!(room.out().len(), 4);

    // An auditor reads, and writes nothing.
    let project = user.project;
    user = User::new(broker, "auditor");
    user.project = project;
    user.allow(&["Describe", "Read"], "--topic");
    let log = user.connect();
    assert_eq!(records(&log, &room.at("out", 0)).len(), 4);
    assert_eq!(
        log.last_turn(&tasks[0].id).unwrap().map(|turn| turn.number),
        Some(2)
    );
    assert!(log.writer("w").is_err());
}
