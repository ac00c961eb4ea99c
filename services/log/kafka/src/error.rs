//! librdkafka's errors as the port's, by their type and never by their text. A value of a setting may be a secret and
//! is in none of them.

use mainstem_kernel::log::{LogError, Partition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::Options;

/// What was tried, and so what to allow where it was denied.
#[derive(Clone, Copy)]
pub(crate) struct Act<'a> {
    /// As `kafka-acls` names it.
    operation: &'static str,
    on: On<'a>,
}

#[derive(Clone, Copy)]
enum On<'a> {
    Cluster,
    Topic(&'a str),
    Partition(&'a Partition),
    Group(&'a str),
    Id(&'a str),
}

impl<'a> Act<'a> {
    pub(crate) fn connect() -> Self {
        let (operation, on) = ("Describe", On::Cluster);
        Act { operation, on }
    }

    pub(crate) fn create(topic: &'a str) -> Self {
        let (operation, on) = ("Create", On::Topic(topic));
        Act { operation, on }
    }

    pub(crate) fn settings(topic: &'a str) -> Self {
        let (operation, on) = ("DescribeConfigs", On::Topic(topic));
        Act { operation, on }
    }

    pub(crate) fn describe(topic: &'a str) -> Self {
        let (operation, on) = ("Describe", On::Topic(topic));
        Act { operation, on }
    }

    pub(crate) fn read(partition: &'a Partition) -> Self {
        let (operation, on) = ("Read", On::Partition(partition));
        Act { operation, on }
    }

    pub(crate) fn write(partition: &'a Partition) -> Self {
        let (operation, on) = ("Write", On::Partition(partition));
        Act { operation, on }
    }

    pub(crate) fn delete(partition: &'a Partition) -> Self {
        let (operation, on) = ("Delete", On::Partition(partition));
        Act { operation, on }
    }

    pub(crate) fn join(group: &'a str) -> Self {
        let (operation, on) = ("Read", On::Group(group));
        Act { operation, on }
    }

    pub(crate) fn own(id: &'a str) -> Self {
        let (operation, on) = ("Write", On::Id(id));
        Act { operation, on }
    }

    /// The refusal, and the command that allows the act: for the whole project, or for a topic of others alone.
    fn denied(self, options: &Options) -> LogError {
        let project = &options.project;
        let topics = format!("{project}.");
        let own = |topic: &str| topic.starts_with(&topics);
        let rule_of = |topic: &str| match own(topic) {
            true => format!("--topic {topics}"),
            false => format!("--topic {topic}"),
        };
        let (what, rule) = match self.on {
            On::Cluster => ("the cluster".to_owned(), "--cluster".to_owned()),
            On::Topic(topic) => (format!("topic {topic}"), rule_of(topic)),
            On::Partition(at) => (format!("topic {}", at.topic), rule_of(&at.topic)),
            On::Group(group) => (format!("group {group}"), format!("--group {project}.")),
            On::Id(id) => (
                format!("transactional id {id}"),
                format!("--transactional-id {project}-"),
            ),
        };
        let prefixed = match self.on {
            On::Cluster => "",
            On::Topic(topic) if !own(topic) => "",
            On::Partition(at) if !own(&at.topic) => "",
            _ => " --resource-pattern-type prefixed",
        };
        let user = options.settings.get("sasl.username");
        let user = user.map_or("THIS_USER", String::as_str);
        let (operation, brokers) = (self.operation, &options.bootstrap);
        LogError::Other(format!(
            "Kafka denies {user} the operation {operation} on {what}; allow it with kafka-acls --bootstrap-server \
             {brokers} --add --allow-principal User:{user} --operation {operation} {rule}{prefixed} (docs/kafka.md \
             lists all rules)"
        ))
    }
}

/// What an error means for something that was tried.
pub(crate) fn log(options: &Options, act: Act<'_>, error: &KafkaError) -> LogError {
    if let KafkaError::ClientConfig(_, _, key, _) = error {
        return LogError::Other(format!(
            "Kafka's client does not take the setting {key}; correct or remove it"
        ));
    }
    let Some(code) = code(error) else {
        let text = options.without_secrets(&error.to_string());
        return LogError::Other(format!("Kafka: {text}"));
    };
    use RDKafkaErrorCode as Code;
    match (code, act.on) {
        _ if is_denied(code) => act.denied(options),
        (_, On::Partition(partition)) if is_unknown(code) => {
            LogError::UnknownTopic(partition.clone())
        }
        (Code::BadMessage | Code::InvalidMessage | Code::BadCompression, _) => {
            LogError::Damaged(format!("the broker's log ({code})"))
        }
        (Code::KafkaStorageError, _) => LogError::ReadOnly("the broker's log directory".into()),
        _ if is_unanswered(code) => LogError::Other(format!(
            "no Kafka broker answers at {} ({code}); check the address, that the broker runs, and that \
             security.protocol is the listener's",
            options.bootstrap
        )),
        _ => LogError::Other(format!("Kafka: {code}")),
    }
}

/// The code of an error, where it has one.
pub(crate) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        _ => error.rdkafka_error_code(),
    }
}

/// Nobody answered: an event of the client may say why.
pub(crate) fn is_unanswered(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut
            | Code::WaitingForCoordinator
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::Authentication
            | Code::SSL
    )
}

/// Errors that end when a broker is back or a leader elected.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::ReplicaNotAvailable
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::BrokerTransportFailure
                | Code::BrokerNotAvailable
                | Code::NetworkException
                | Code::UnknownBroker
                | Code::DestroyBroker
                | Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
        )
    )
}

/// What the same commit would meet again.
pub(crate) fn is_lasting(code: RDKafkaErrorCode) -> bool {
    code == RDKafkaErrorCode::MessageSizeTooLarge || is_denied(code) || is_unknown(code)
}

/// The user lacks a permission.
pub(crate) fn is_denied(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// No such topic or partition.
pub(crate) fn is_unknown(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition
    )
}

/// A newer owner of the transactional id, or a newer generation of the group.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_s_value_is_in_no_error() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("sasl.passw0rd", "hunter2");
        let error = config.create_native_config().err().unwrap();
        let text = log(&Options::new("b", "p"), Act::connect(), &error).to_string();
        assert!(
            text.contains("sasl.passw0rd") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
