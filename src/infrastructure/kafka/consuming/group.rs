//! The consumer group, and why it does not let a process in.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use serde::Deserialize;

use crate::infrastructure::config::GroupProtocol;

/// What a member needs to know of its group.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    pub id: String,
    pub protocol: GroupProtocol,
    pub session_timeout: Duration,
}

/// How librdkafka sees its place in the group.
#[derive(Debug, Deserialize)]
pub struct GroupState {
    /// Of the way to the coordinator: `up` when there is one.
    pub state: String,
    /// `steady` for a member.
    pub join_state: String,
}

impl GroupState {
    pub fn is_member(&self) -> bool {
        self.join_state == "steady"
    }

    fn has_coordinator(&self) -> bool {
        self.state == "up"
    }

    /// Whether the group counts this process in, as far as librdkafka knows. None: as before, because a process that waits for a
    /// rebalance is still a member. One whose group does not answer, or refuses it, is not for sure.
    pub fn counts_in(&self, is_refused: bool) -> Option<bool> {
        if self.is_member() {
            return Some(true);
        }
        (is_refused || !self.has_coordinator()).then_some(false)
    }
}

impl GroupSettings {
    pub fn configure(&self, config: &mut ClientConfig) {
        config.set("group.id", &self.id);
        match self.protocol {
            GroupProtocol::Classic => {
                // A process that is frozen for half of it keeps its place.
                let heartbeat = (self.session_timeout / 4).min(Duration::from_secs(3));
                config
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
                    .set("heartbeat.interval.ms", heartbeat.as_millis().to_string());
            }
            // The rest is the broker's to say (`group.consumer.session.timeout.ms`).
            GroupProtocol::Consumer => _ = config.set("group.protocol", "consumer"),
        }
    }

    /// Why this process is not a member, for an operator. `refusal` is what the coordinator has answered last.
    pub fn reason(&self, state: &GroupState, refusal: Option<RDKafkaErrorCode>) -> String {
        use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
        let id = &self.id;
        match refusal {
            // Without the right to, a process does not even find the coordinator.
            Some(refusal @ (GroupAuthorizationFailed | TopicAuthorizationFailed)) => self.refusal(refusal),
            _ if matches!(state.state.as_str(), "query-coord" | "wait-coord") => format!(
                "nothing is consumed: Kafka answers, but names no coordinator for the consumer group `{id}`; look whether Kafka can \
                 make its topic __consumer_offsets (offsets.topic.replication.factor must not exceed the number of brokers), and \
                 at the brokers' logs"
            ),
            _ if !state.has_coordinator() => format!(
                "nothing is consumed: the broker that coordinates the consumer group `{id}` cannot be reached ({})",
                state.state
            ),
            Some(refusal) => self.refusal(refusal),
            // librdkafka reports nothing when the group of that name is of another type (GROUP_ID_NOT_FOUND).
            None if self.protocol == GroupProtocol::Consumer => format!(
                "nothing is consumed here: the consumer group `{id}` does not let this process in; if workers with \
                 KAFKA_GROUP_PROTOCOL=classic are in it, it does once the last of them has ended; if a share consumer or a client of \
                 another protocol uses its name, stop it, or give all workers another KAFKA_GROUP_ID"
            ),
            None => {
                format!(
                    "nothing is consumed: the consumer group `{id}` has not let this process in ({})",
                    state.join_state
                )
            }
        }
    }

    /// What an answer of the coordinator means, for an operator.
    pub fn refusal(&self, refusal: RDKafkaErrorCode) -> String {
        use RDKafkaErrorCode as Code;
        let id = &self.id;
        match refusal {
            Code::InconsistentGroupProtocol => format!(
                "nothing is consumed: the consumer group `{id}` has other members or another type: clients that do not assign \
                 partitions as this one does (cooperative-sticky) are in it, or a share consumer once used its name; stop those \
                 clients, or give all workers another KAFKA_GROUP_ID"
            ),
            Code::InvalidSessionTimeout => format!(
                "nothing is consumed: the broker does not allow KAFKA_SESSION_TIMEOUT={}s in the consumer group `{id}` \
                 (group.min.session.timeout.ms, group.max.session.timeout.ms)",
                self.session_timeout.as_secs_f64()
            ),
            Code::GroupAuthorizationFailed => format!(
                "nothing is consumed: the broker's ACLs do not let this process into the consumer group `{id}` (Describe and Read on the group)"
            ),
            Code::TopicAuthorizationFailed => {
                "nothing is consumed: the broker's ACLs do not let this process read its topic (Read and Describe on it)".to_owned()
            }
            Code::GroupMaxSizeReached => {
                format!("nothing is consumed here: the consumer group `{id}` is full (group.max.size)")
            }
            // The first from a broker on which it is off, the second from librdkafka, for a broker that does not know it.
            Code::UnsupportedVersion | Code::UnsupportedFeature => format!(
                "nothing is consumed: the broker does not offer KAFKA_GROUP_PROTOCOL=consumer in the consumer group `{id}`: it needs \
                 Kafka 4 with group.version 1 (kafka-features.sh), and `consumer` in group.coordinator.rebalance.protocols; change \
                 that, or unset the setting"
            ),
            other => format!("nothing is consumed: the consumer group `{id}` refuses this process: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(protocol: GroupProtocol) -> GroupSettings {
        GroupSettings { id: "correio".to_owned(), protocol, session_timeout: Duration::from_secs(6) }
    }

    fn state(state: &str, join_state: &str) -> GroupState {
        GroupState { state: state.to_owned(), join_state: join_state.to_owned() }
    }

    #[test]
    fn a_member_that_is_refused_when_it_joins_anew_is_not_one_any_more() {
        assert_eq!(state("up", "steady").counts_in(true), Some(true));
        assert_eq!(state("up", "wait-join").counts_in(false), None, "a rebalance");
        assert_eq!(state("up", "wait-join").counts_in(true), Some(false));
        assert_eq!(state("query-coord", "init").counts_in(false), Some(false));
    }

    #[test]
    fn every_reason_names_the_group_or_the_topic_and_what_to_do() {
        use RDKafkaErrorCode as Code;
        let classic = group(GroupProtocol::Classic);
        for (refusal, part) in [
            (Some(Code::InconsistentGroupProtocol), "KAFKA_GROUP_ID"),
            (Some(Code::InvalidSessionTimeout), "KAFKA_SESSION_TIMEOUT=6s"),
            (Some(Code::GroupAuthorizationFailed), "Read on the group"),
            (Some(Code::UnsupportedVersion), "KAFKA_GROUP_PROTOCOL"),
            (Some(Code::UnsupportedFeature), "KAFKA_GROUP_PROTOCOL"),
            (None, "`correio`"),
        ] {
            let reason = classic.reason(&state("up", "init"), refusal);
            assert!(reason.contains(part), "{reason}");
        }
        for (coordinator, refusal, part) in [
            ("query-coord", Some(Code::InconsistentGroupProtocol), "offsets.topic.replication.factor"),
            ("query-coord", Some(Code::GroupAuthorizationFailed), "Read on the group"),
            ("wait-broker-transport", None, "cannot be reached"),
        ] {
            let reason = classic.reason(&state(coordinator, "init"), refusal);
            assert!(reason.contains(part), "{reason}");
        }
        let reason = group(GroupProtocol::Consumer).reason(&state("up", "init"), None);
        assert!(reason.contains("share consumer"), "{reason}");
    }
}
