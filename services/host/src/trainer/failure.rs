//! Why an effect was not brought about.

use mainstem_kernel::log::LogError;

/// Why an effect was not brought about, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub reason: String,
    /// Whether another attempt may succeed.
    pub retriable: bool,
    /// Whether the log could not be read: nor can it be told of the failure, so the same attempt goes on once it is back.
    pub log_away: bool,
}

impl Failure {
    /// The same request would fail again.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Failure {
            reason: reason.into(),
            retriable: false,
            log_away: false,
        }
    }

    /// The log or the store refuses: that may pass.
    pub fn passing(reason: impl std::fmt::Display) -> Self {
        Failure {
            reason: reason.to_string(),
            retriable: true,
            log_away: false,
        }
    }

    /// Nobody waits for it any more.
    pub fn closed() -> Self {
        Self::passing("the trainer was stopped")
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Failure {
            // Also a broker that is losing its disk, or has just begun and knows no topic yet.
            log_away: matches!(
                error,
                LogError::Other(_)
                    | LogError::UnknownTopic(_)
                    | LogError::ReadOnly(_)
                    | LogError::Full(_)
            ),
            ..Self::passing(error)
        }
    }
}
