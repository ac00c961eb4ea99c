//! The steps from an answer to what it rests on.

use apache_avro::types::Value;
use mainstem_kernel::Partition;
use mainstem_kernel::log::LogError;
use mainstem_rooms::arrivals::origin_of;
use mainstem_rooms::foreign::Translator;
use mainstem_schemas::events::{Event, ModelVersionRegistered};
use mainstem_schemas::{Catalog, EventId, RecordRef, wire};

use super::Step;
use super::archive::{Archive, Placed};
use super::prediction::{Answer, name_of};
use super::words::{self, role_name};
use crate::auditor::fields::{decode, show, text};

/// Where the origin stands in a row of features: after five bytes of header.
const ORIGIN: std::ops::Range<usize> = 5..21;

pub(super) fn steps(
    archive: &mut Archive<'_>,
    answer: &Answer,
    others: &[Answer],
) -> Result<Vec<Step>, LogError> {
    let mut steps = vec![prediction(answer, others)];
    match &answer.made.inputs {
        Some(inputs) => steps.push(asked(answer, inputs)),
        None => {
            steps.push(features(archive, answer)?);
            steps.push(arrival(archive, answer)?);
        }
    }
    let model = &answer.model;
    let version = &answer.made.version;
    let models = archive.events("models", |_, event| match event {
        Event::ModelVersionRegistered(e) => e.model == *model && e.version == *version,
        Event::ModelApproved(e) => e.model == *model && e.version == *version,
        Event::ModelRejected(e) => e.model == *model && e.version == *version,
        _ => false,
    })?;
    let registered = models.iter().find_map(|placed| match &placed.event {
        Event::ModelVersionRegistered(e) => Some(e.clone()),
        _ => None,
    });
    steps.push(match (&registered, models.first()) {
        (Some(registered), Some(placed)) => registration(registered, placed),
        _ => absent(
            "version",
            format!("{version} of {model} is not in the topic `models`"),
        ),
    });
    deployments(archive, answer, &mut steps)?;
    for placed in &models {
        if !matches!(placed.event, Event::ModelVersionRegistered(_)) {
            steps.push(step("gate", placed));
        }
    }
    let run = registered.and_then(|registered| registered.run);
    match run {
        Some(run) => training(archive, model, run, &mut steps)?,
        None => steps.push(absent("run", format!("no training made {version}"))),
    }
    Ok(steps)
}

fn step(what: &'static str, placed: &Placed) -> Step {
    Step {
        what,
        text: words::of(&placed.event),
        fields: Vec::new(),
        at: Some(placed.at.clone()),
        id: Some(placed.id),
    }
}

fn absent(what: &'static str, text: String) -> Step {
    Step {
        what,
        text,
        fields: Vec::new(),
        at: None,
        id: None,
    }
}

fn prediction(answer: &Answer, others: &[Answer]) -> Step {
    let made = &answer.made;
    let mut fields = vec![
        ("event time".to_owned(), made.event_time.to_string()),
        ("target time".to_owned(), made.target_time.to_string()),
        ("origin".to_owned(), made.origin.to_string()),
        ("runtime".to_owned(), made.runtime.clone()),
    ];
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(name_of).collect();
        fields.push(("answered beside it".into(), names.join(", ")));
    }
    Step {
        what: "prediction",
        text: format!(
            "{} predicts class {} with probability {:?} for {}, by {} ({})",
            answer.model,
            made.class,
            made.probability,
            made.entity,
            made.version,
            role_name(made.role)
        ),
        fields,
        at: Some(answer.at.clone()),
        id: Some(answer.id),
    }
}

/// A front door's inputs, which the prediction carries.
fn asked(answer: &Answer, inputs: &[f64]) -> Step {
    let input = |(number, value): (usize, &f64)| (format!("input {number}"), format!("{value:?}"));
    Step {
        what: "inputs",
        text: "asked at a front door; the prediction carries its inputs".into(),
        fields: inputs.iter().enumerate().map(input).collect(),
        at: Some(answer.at.clone()),
        id: Some(answer.made.origin),
    }
}

/// Fields of a decoded record.
fn fields_of(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Record(fields) => {
            let field = |(name, value): &(String, Value)| (name.clone(), show(value));
            fields.iter().map(field).collect()
        }
        other => vec![("value".into(), show(other))],
    }
}

fn features(archive: &mut Archive<'_>, answer: &Answer) -> Result<Step, LogError> {
    let view = archive
        .project
        .models
        .get(&answer.model)
        .map_or_else(String::new, |model| model.view.clone());
    let partition = archive.of_entity("features", &view, &answer.made.entity);
    let origin = answer.made.origin;
    let found = archive.find(&partition, |catalog, record| {
        let value = record.value.unwrap_or_default();
        (value.get(ORIGIN) == Some(&origin.0)).then(|| decode(catalog, value))
    })?;
    Ok(match found {
        None => absent(
            "features",
            format!("no row of {view} has the origin {origin}"),
        ),
        Some((at, row)) => Step {
            what: "features",
            text: format!("the row of {view} that was predicted from"),
            fields: match &row {
                Ok(row) => fields_of(row),
                Err(why) => vec![("damaged".into(), why.clone())],
            },
            at: Some(at),
            id: None,
        },
    })
}

fn arrival(archive: &mut Archive<'_>, answer: &Answer) -> Result<Step, LogError> {
    let project = archive.project;
    let view = project
        .models
        .get(&answer.model)
        .and_then(|model| project.views.get(&model.view));
    let name = view.map_or("", |view| view.source.as_str());
    let Some(source) = project.sources.get(name) else {
        return Ok(absent(
            "arrival",
            format!("the definition has no source {name}"),
        ));
    };
    let mut partition = archive.of_entity("arrivals", name, &answer.made.entity);
    let in_place = source.topic.as_ref();
    let in_place = in_place.filter(|topic| topic.in_place.is_some());
    let mut translator = None;
    if let Some(topic) = in_place {
        partition = Partition::new(&topic.name, partition.index);
        translator = Some(Translator::new(project, name).map_err(LogError::Other)?);
    }
    let (origin, index) = (answer.made.origin, partition.index);
    let found = archive.find(&partition, |catalog, record| {
        let id = match &translator {
            Some(translator) => translator.origin(record, index),
            None => origin_of(record, source.number, index),
        };
        (id == origin).then(|| {
            let mut fields = vec![("key".to_owned(), text(record.key))];
            let header = |(name, value): (&str, &[u8])| (name.to_owned(), text(Some(value)));
            fields.extend(record.headers().map(header));
            match value_of(catalog, translator.as_mut(), record) {
                Ok(value) => fields.extend(fields_of(&value)),
                Err(why) => fields.push(("damaged".into(), why)),
            }
            fields
        })
    })?;
    Ok(match found {
        None => absent(
            "arrival",
            match in_place {
                None => format!("no arrival of {name} has the id {origin}"),
                Some(topic) => format!(
                    "the topic {} of {name}, which is read in place, has no record of the id {origin} any more",
                    topic.name
                ),
            },
        ),
        Some((at, fields)) => Step {
            what: "arrival",
            text: format!("the record of {name} that started it"),
            fields,
            at: Some(at),
            id: Some(origin),
        },
    })
}

/// The values of an arrival, or of the record in whose place there is none.
fn value_of(
    catalog: &Catalog,
    translator: Option<&mut Translator>,
    record: &RecordRef<'_>,
) -> Result<Value, String> {
    let Some(translator) = translator else {
        return decode(catalog, record.value.unwrap_or_default());
    };
    let good = translator.read(catalog, record);
    let good = good.map_err(|refusal| refusal.to_string())?;
    let good = good.ok_or("it is passed by")?;
    let mut value = Vec::new();
    wire::put_header(&mut value, translator.schema(catalog)?);
    value.extend_from_slice(&good.body);
    decode(catalog, &value)
}

fn registration(registered: &ModelVersionRegistered, placed: &Placed) -> Step {
    let mut fields = vec![
        ("onnx".to_owned(), registered.onnx.to_string()),
        ("view".to_owned(), registered.view.to_string()),
    ];
    fields.extend(
        registered
            .run
            .map(|run| ("run".to_owned(), run.to_string())),
    );
    Step {
        fields,
        ..step("version", placed)
    }
}

/// How the version came to predict, and from when to when it was champion.
fn deployments(
    archive: &mut Archive<'_>,
    answer: &Answer,
    steps: &mut Vec<Step>,
) -> Result<(), LogError> {
    let (model, version) = (&answer.model, &answer.made.version);
    let events = archive.events("deployments", |_, event| match event {
        Event::DeploymentStarted(e) => e.model == *model && e.version == *version,
        Event::DeploymentEnded(e) => e.model == *model && e.version == *version,
        Event::Promoted(e) => {
            e.model == *model && (e.version == *version || e.previous.as_ref() == Some(version))
        }
        Event::RolledBack(e) => e.model == *model && [&e.version, &e.previous].contains(&version),
        _ => false,
    })?;
    if events.is_empty() {
        steps.push(absent(
            "deployment",
            format!("{version} is not in the topic `deployments`"),
        ));
    }
    steps.extend(events.iter().map(|placed| step("deployment", placed)));
    Ok(())
}

/// The run, its data set, its figures, what asked for it and the evidence.
fn training(
    archive: &mut Archive<'_>,
    model: &str,
    run: EventId,
    steps: &mut Vec<Step>,
) -> Result<(), LogError> {
    let mut parameters = Vec::new();
    let runs = archive.events("runs", |_, event| match event {
        Event::RunFinished(e) => e.run == run,
        Event::DatasetBound(e) => e.run == run,
        Event::ParamLogged(e) if e.run == run => {
            let value = format!("{:?}", e.parameter.value);
            parameters.push((e.parameter.name.clone(), value));
            false
        }
        _ => false,
    })?;
    for placed in runs.iter().rev() {
        match &placed.event {
            Event::RunFinished(_) => steps.push(Step {
                fields: std::mem::take(&mut parameters),
                ..step("run", placed)
            }),
            Event::DatasetBound(e) => steps.push(Step {
                fields: vec![
                    ("content".into(), e.content.to_string()),
                    ("parquet".into(), e.parquet.to_string()),
                    ("view".into(), e.view.to_string()),
                ],
                ..step("data set", placed)
            }),
            _ => {}
        }
    }
    if runs.is_empty() {
        steps.push(absent(
            "run",
            format!("the run {run} is not in the topic `runs`"),
        ));
    }
    let asked = archive.events("triggers", |id, event| {
        *id == run && matches!(event, Event::RetrainRequested(e) if e.model == model)
    })?;
    let Some(trigger) = asked.first() else {
        steps.push(absent(
            "trigger",
            format!("no request of a retrain has the id {run}"),
        ));
        return Ok(());
    };
    steps.push(step("trigger", trigger));
    let Event::RetrainRequested(request) = &trigger.event else {
        return Ok(());
    };
    evidence(archive, &request.evidence, steps)
}

fn evidence(
    archive: &mut Archive<'_>,
    ids: &[EventId],
    steps: &mut Vec<Step>,
) -> Result<(), LogError> {
    let mut found: Vec<Placed> = Vec::new();
    for room in [
        "drift",
        "performance",
        "requests.trigger",
        "deployments",
        "models",
    ] {
        if found.len() < ids.len() {
            found.extend(archive.events(room, |id, _| ids.contains(id))?);
        }
    }
    for id in ids {
        steps.push(match found.iter().find(|placed| placed.id == *id) {
            Some(placed) => step("evidence", placed),
            None => absent("evidence", format!("the event {id}, which was not found")),
        });
    }
    Ok(())
}
