//! What Kafka says of a record, and whether that can get better.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::application::ports::{PublishError, Refusal};

/// Whether another record in its batch may be what was refused.
pub fn is_about_its_batch(code: RDKafkaErrorCode, may_have_company: bool) -> bool {
    use RDKafkaErrorCode::{
        InvalidDifferentRecord, InvalidRecord, InvalidTimestamp, MessageBatchTooLarge, MessageSizeTooLarge,
    };
    match code {
        // Kafka blames the whole batch for a time; and one of ours may give way.
        InvalidDifferentRecord | InvalidTimestamp => true,
        // And for a record without a key.
        MessageSizeTooLarge | MessageBatchTooLarge | InvalidRecord => may_have_company,
        _ => false,
    }
}

/// Whether the topic has to be looked up: it is not there, or was not when librdkafka looked last.
pub fn is_about_the_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, UnknownTopic | UnknownTopicOrPartition | UnknownPartition)
}

pub fn translate(error: &KafkaError) -> PublishError {
    use RDKafkaErrorCode as Code;
    let Some(code) = error.rdkafka_error_code() else {
        return PublishError::unanswered(format!("Kafka did not answer: {error}."));
    };
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => {
            let reason = "The record is larger than the topic takes (max.message.bytes).";
            PublishError::refused_for_good(Refusal::TooLarge, reason)
        }
        Code::InvalidRecord => {
            let reason = "Kafka refused the record: a compacted topic takes none without a key.";
            PublishError::refused_for_good(Refusal::Invalid, reason)
        }
        Code::InvalidTopic
        | Code::InvalidTimestamp
        | Code::PolicyViolation
        | Code::UnknownPartition
        | Code::UnsupportedForMessageFormat => {
            PublishError::refused_for_good(Refusal::Invalid, format!("Kafka refused the record: {code}."))
        }
        Code::QueueFull => PublishError::unanswered("Too many records wait for Kafka."),
        Code::MessageTimedOut
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::PurgeQueue
        | Code::PurgeInflight
        | Code::Resolve
        | Code::Fatal
        | Code::BrokerDestroy => PublishError::unanswered(format!("Kafka did not answer: {code}.")),
        _ => PublishError::refused(format!("Kafka refused the record: {code}.")),
    }
}
