//! Why did the system predict this? From an answer back to everything that it rests on, each with its place in the log.

mod archive;
mod lineage;
mod prediction;
mod words;

use std::fmt;

use mainstem_kernel::log::LogError;
use mainstem_schemas::EventId;
use mainstem_schemas::events::Role;

use super::Parts;
use super::report::Place;

pub use prediction::role_of;

/// What is asked about: a prediction's own id, or the id of the arrival or request that started it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// 32 hexadecimal digits.
    pub id: &'a str,
    /// One of the versions that answered; else the champion's answer is explained.
    pub version: Option<&'a str>,
    /// One of the roles.
    pub role: Option<Role>,
}

/// One thing that a prediction rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is, in a word: `prediction`, `features`, `arrival` …
    pub what: &'static str,
    /// What it says.
    pub text: String,
    /// Its fields, where they are many.
    pub fields: Vec<(String, String)>,
    /// Where it stands.
    pub at: Option<Place>,
    /// Its id.
    pub id: Option<EventId>,
}

/// A prediction, and what it rests on, from the answer backwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The steps.
    pub steps: Vec<Step>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{:<12} {}", step.what, step.text)?;
            for (name, value) in &step.fields {
                write!(f, "\n{:<12}   {name} = {value}", "")?;
            }
            let place = step.at.as_ref().map(ToString::to_string);
            let id = step.id.as_ref().map(|id| format!("id {id}"));
            let where_it_is: Vec<String> = place.into_iter().chain(id).collect();
            if !where_it_is.is_empty() {
                write!(f, "\n{:<12}   at {}", "", where_it_is.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Why a prediction cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// Text of another shape.
    #[error(
        "{given:?} is no id: an id is 32 hexadecimal digits, as answers carry it and as the column origin of predictions shows it"
    )]
    NotAnId {
        /// The text.
        given: String,
    },
    /// No prediction has it.
    #[error(
        "no prediction of {project} has the id or the origin {id}; take one from `parameters.predictions` of an answer of POST /v2/models/{model}/infer, or the id of an arrival that was predicted from"
    )]
    Unknown {
        /// The id.
        id: EventId,
        /// The project.
        project: String,
        /// A model of it.
        model: String,
    },
    /// The version or role that was asked for did not answer.
    #[error("no such version answered {id}; those that did: {}", names.join(", "))]
    NoSuchVersion {
        /// The id.
        id: EventId,
        /// Versions and roles that answered.
        names: Vec<String>,
    },
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Explains a prediction.
///
/// # Errors
/// [`ExplainError`]; what damage hides is said in its step.
pub fn explain(parts: &Parts<'_>, asked: &Asked<'_>) -> Result<Explanation, ExplainError> {
    let mut archive = archive::Archive::open(parts)?;
    let (answer, others) = prediction::find(&mut archive, asked)?;
    let steps = lineage::steps(&mut archive, &answer, &others)?;
    Ok(Explanation { steps })
}
