//! Requests of people: appended as facts; the answer is the event that names the request as its cause.

use std::process::ExitCode;

use mainstem_host::gateway::ask::{Answer, ask};
use mainstem_schemas::events::{Event, PromotionAsked, RetrainAsked, RollbackAsked};

use super::{Done, actor};
use crate::cli::{Ask, Promote};

pub fn retrain(options: &Ask) -> Done {
    let event = RetrainAsked {
        model: options.model.clone(),
        note: options.note.clone(),
    };
    send(options, "requests.trigger", event.into())
}

pub fn promote(options: &Promote) -> Done {
    let (model, note) = (options.ask.model.clone(), options.ask.note.clone());
    send(
        &options.ask,
        "requests.rollout",
        PromotionAsked {
            model,
            version: options.version.clone(),
            note,
        }
        .into(),
    )
}

pub fn rollback(options: &Ask) -> Done {
    let event = RollbackAsked {
        model: options.model.clone(),
        note: options.note.clone(),
    };
    send(options, "requests.rollout", event.into())
}

fn send(options: &Ask, topic: &str, event: Event) -> Done {
    let (store, project) = options.place.existing()?;
    match ask(
        &store,
        &project,
        topic,
        &options.model,
        &event,
        &actor(&options.actor),
    )? {
        Answer::Caused(event) => out!("{}: {}", event.name(), event.to_json()),
        Answer::Waiting(id) => out!(
            "request {id} is in the log; it is answered on the next tick of the clock (is `mainstem up` running?)"
        ),
    }
    Ok(ExitCode::SUCCESS)
}
