//! Refusals, with the codes that clients of Confluent's registry know.

/// Why the registry refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No such subject.
    #[error("Subject '{0}' not found.")]
    NoSubject(String),
    /// No such version.
    #[error("Version {0} not found.")]
    NoVersion(u32),
    /// No such schema under the subject.
    #[error("Schema not found")]
    NoSchema,
    /// No such id.
    #[error("Schema {0} not found")]
    NoId(u32),
    /// Deleted already.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectHidden(String),
    /// Deleted for good before it was deleted.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotHidden(String),
    /// Deleted already.
    #[error("Subject '{0}' Version {1} was soft deleted. Set permanent=true to delete permanently")]
    VersionHidden(String, u32),
    /// Deleted for good before it was deleted.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotHidden(String, u32),
    /// The subject has no level of its own.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoLevel(String),
    /// The subject has no mode of its own.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoMode(String),
    /// The new version does not fit the old ones.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        .messages.join(", ")
    )]
    Incompatible {
        /// Subject.
        subject: String,
        /// What does not fit, field by field, and the version that it is about.
        messages: Vec<String>,
    },
    /// No Avro schema.
    #[error("Invalid schema of type {kind}, details: {why}")]
    InvalidSchema {
        /// Type that the client gave.
        kind: String,
        /// What is wrong.
        why: String,
    },
    /// No version's number.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// No level.
    #[error(
        "Invalid compatibility level {0:?}. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel(String),
    /// No mode.
    #[error(
        "Invalid mode {0:?}. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT"
    )]
    InvalidMode(String),
    /// The mode, or who owns the subject, forbids it.
    #[error("{0}")]
    NotPermitted(String),
    /// Another schema refers to it.
    #[error(
        "One or more references exist to the schema {{subject={0},version={1}}}; delete those that refer to it first"
    )]
    Referred(String, u32),
}

impl RegistryError {
    /// The error code; its first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            RegistryError::NoSubject(_) => 40401,
            RegistryError::NoVersion(_) => 40402,
            RegistryError::NoSchema | RegistryError::NoId(_) => 40403,
            RegistryError::SubjectHidden(_) => 40404,
            RegistryError::SubjectNotHidden(_) => 40405,
            RegistryError::VersionHidden(..) => 40406,
            RegistryError::VersionNotHidden(..) => 40407,
            RegistryError::NoLevel(_) => 40408,
            RegistryError::NoMode(_) => 40409,
            RegistryError::Incompatible { .. } => 409,
            RegistryError::InvalidSchema { .. } => 42201,
            RegistryError::InvalidVersion(_) => 42202,
            RegistryError::InvalidLevel(_) => 42203,
            RegistryError::InvalidMode(_) => 42204,
            RegistryError::NotPermitted(_) => 42205,
            RegistryError::Referred(..) => 42206,
        }
    }
}
