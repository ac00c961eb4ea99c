//! librdkafka's errors as the port's, by their type and never by their text. A value of a setting may be a secret and
//! is in none of them.

use mainstem_kernel::log::{LogError, Partition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What an error means for a call about one partition.
pub(crate) fn of_partition(partition: &Partition, error: &KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(code) if is_unknown(code) => LogError::UnknownTopic(partition.clone()),
        _ => log(error),
    }
}

/// What an error means for a call about no particular partition.
pub(crate) fn log(error: &KafkaError) -> LogError {
    if let KafkaError::ClientConfig(_, _, key, _) = error {
        return LogError::Other(format!(
            "Kafka's client does not take the setting {key}; correct or remove it"
        ));
    }
    match error.rdkafka_error_code() {
        Some(code) => of_code(code),
        None => LogError::Other(format!("Kafka: {error}")),
    }
}

pub(crate) fn of_code(code: RDKafkaErrorCode) -> LogError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::BadMessage | Code::InvalidMessage | Code::BadCompression => {
            LogError::Damaged(format!("the broker's log ({code})"))
        }
        Code::KafkaStorageError => LogError::ReadOnly("the broker's log directory".into()),
        Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve => LogError::Other(format!(
            "no Kafka broker answers ({code}); check the address and that the broker runs"
        )),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => LogError::Other(format!(
            "Kafka refuses ({code}); give this user the rights that the guide lists"
        )),
        Code::Authentication | Code::SaslAuthenticationFailed => LogError::Other(
            "Kafka does not accept the credentials; correct the sasl.* or ssl.* settings".into(),
        ),
        _ => LogError::Other(format!("Kafka: {code}")),
    }
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
        let text = log(&error).to_string();
        assert!(
            text.contains("sasl.passw0rd") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
