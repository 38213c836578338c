//! What a refusal of librdkafka's or a broker's means for who asked.

use rdkafka::error::RDKafkaErrorCode;

use super::native::Refused;
use crate::application::ports::AdministrationError;

impl From<Refused> for AdministrationError {
    fn from(refused: Refused) -> Self {
        use RDKafkaErrorCode as Code;
        let Refused { code, reason } = refused;
        match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => Self::Unknown(reason),
            Code::TopicAlreadyExists => Self::Exists(reason),
            Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidReplicaAssignment
            | Code::InvalidConfig
            | Code::InvalidRequest
            | Code::InvalidArgument
            | Code::InvalidGroupId
            | Code::PolicyViolation
            | Code::SecurityDisabled
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::OffsetOutOfRange => Self::Invalid(reason),
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::Authentication => Self::Forbidden(reason),
            Code::NonEmptyGroup | Code::UnknownMemberId | Code::RebalanceInProgress | Code::IllegalGeneration => {
                Self::Active(reason)
            }
            Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::NotController
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::NetworkException
            | Code::WaitingForCoordinator => Self::Unavailable(reason),
            _ => Self::Failed(reason),
        }
    }
}
