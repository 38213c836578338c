//! How Kafka is found, and what Correio does with it.

pub mod security;
#[cfg(test)]
mod tests;
pub mod topics;
#[cfg(test)]
mod topics_tests;

use std::time::Duration;

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed};
use crate::infrastructure::config::variables::Variables;
use security::KafkaSecurity;

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueConfig {
    /// Accepted messages are delivered at once.
    Direct,
    /// Accepted messages travel through a topic, to the process that consumes it.
    Kafka(Box<KafkaConfig>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    pub brokers: Brokers,
    pub group_id: String,
    /// Stands before every topic's name.
    pub topic_prefix: String,
    /// Of topics that Correio creates.
    pub partitions: i32,
    /// Of topics that Correio creates. None: what the broker is configured for.
    pub replication_factor: Option<i32>,
    /// A message that no broker has confirmed for this long counts as not published.
    pub publish_timeout: Duration,
    pub group_protocol: GroupProtocol,
    /// After so long a silence the group goes on without a worker. The consumer protocol leaves this to the broker.
    pub session_timeout: Duration,
    pub security: KafkaSecurity,
}

/// How workers agree on who consumes which partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// Among themselves. Every broker knows it.
    Classic,
    /// The broker decides (KIP-848; Kafka 4).
    Consumer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// Within this process, and forgotten with it.
    Embedded,
    /// `host:port` each.
    Addresses(Vec<String>),
}

pub const SECTION: Section = Section {
    title: "Kafka",
    about: "All other variables for Kafka are read only with `KAFKA_ENABLED=true`; `KAFKA_BROKERS`, and those of its security, \
            are also read for [topics](#topics).",
    settings: &[
        KAFKA_ENABLED.entry(),
        KAFKA_BROKERS.entry(),
        KAFKA_GROUP_ID.entry(),
        KAFKA_TOPIC_PREFIX.entry(),
        KAFKA_PARTITIONS.entry(),
        KAFKA_REPLICATION_FACTOR.entry(),
        KAFKA_PUBLISH_TIMEOUT.entry(),
        KAFKA_GROUP_PROTOCOL.entry(),
        KAFKA_SESSION_TIMEOUT.entry(),
    ],
};

const KAFKA_ENABLED: Setting<bool> = Setting {
    name: "KAFKA_ENABLED",
    default: "false",
    about: "`true`: messages travel through Kafka and are delivered in the background. \
            `false`: messages are delivered while the caller waits.",
    parse: values::boolean,
};

const KAFKA_BROKERS: Setting<Brokers> = Setting {
    name: "KAFKA_BROKERS",
    default: "localhost:9092",
    about: "Brokers (`host:port`, port 9092 if left out) with commas in between. `embedded` is a broker within this \
            process, for development: that broker forgets everything when the process ends.",
    parse: brokers,
};

const KAFKA_GROUP_ID: Setting<String> = Setting {
    name: "KAFKA_GROUP_ID",
    default: "correio",
    about: "Consumer group. Processes that share the work have the same group.",
    parse: group_id,
};

const KAFKA_TOPIC_PREFIX: Setting<String> = Setting {
    name: "KAFKA_TOPIC_PREFIX",
    default: "",
    about: "Text in front of the names of the topics, `messaging.send` and `messaging.send.dlq`.",
    parse: topic_prefix,
};

const KAFKA_PARTITIONS: Setting<i32> = Setting {
    name: "KAFKA_PARTITIONS",
    default: "3",
    about: "Partitions of each topic that Correio creates because it is missing, 1 to 10000.",
    parse: |text| values::number(text, 1..=10_000),
};

const KAFKA_REPLICATION_FACTOR: OptionalSetting<i32> = OptionalSetting {
    name: "KAFKA_REPLICATION_FACTOR",
    unset: "what the broker is configured for",
    example: "3",
    about: "Replicas of each topic that Correio creates because it is missing, 1 to 32767.",
    parse: |text| values::number(text, 1..=i32::from(i16::MAX)),
};

const KAFKA_PUBLISH_TIMEOUT: Setting<Duration> = Setting {
    name: "KAFKA_PUBLISH_TIMEOUT",
    default: "30s",
    about: "Time after which a message that no broker has confirmed is published again, `1s` to `1h`.",
    parse: |text| values::duration_between(text, Duration::from_secs(1), Duration::from_secs(3600)),
};

const KAFKA_GROUP_PROTOCOL: Setting<GroupProtocol> = Setting {
    name: "KAFKA_GROUP_PROTOCOL",
    default: "classic",
    about: "How workers agree on who consumes which partitions: `classic`, or `consumer` (KIP-848), for which brokers must be \
            Kafka 4 or newer.",
    parse: group_protocol,
};

const KAFKA_SESSION_TIMEOUT: Setting<Duration> = Setting {
    name: "KAFKA_SESSION_TIMEOUT",
    default: "6s",
    about: "Silence after which the group goes on without a worker, `1s` to `5m`, with `KAFKA_GROUP_PROTOCOL=classic`. Less than \
            `6s` is refused by brokers unless their `group.min.session.timeout.ms` is lower.",
    parse: |text| values::duration_between(text, Duration::from_secs(1), Duration::from_secs(300)),
};

impl QueueConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        // Without Kafka, what else is set for it may stay in the environment, unread.
        if KAFKA_ENABLED.read(variables)? {
            return Ok(Self::Kafka(Box::new(KafkaConfig::read(variables)?)));
        }
        Ok(Self::Direct)
    }
}

impl KafkaConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            brokers: KAFKA_BROKERS.read(variables)?,
            group_id: KAFKA_GROUP_ID.read(variables)?,
            topic_prefix: KAFKA_TOPIC_PREFIX.read(variables)?,
            partitions: KAFKA_PARTITIONS.read(variables)?,
            replication_factor: KAFKA_REPLICATION_FACTOR.read(variables)?,
            publish_timeout: KAFKA_PUBLISH_TIMEOUT.read(variables)?,
            group_protocol: KAFKA_GROUP_PROTOCOL.read(variables)?,
            session_timeout: KAFKA_SESSION_TIMEOUT.read(variables)?,
            security: KafkaSecurity::read(variables)?,
        })
    }
}

const DEFAULT_PORT: u16 = 9092;

/// Kafka's limit for a topic's name is 249; the longest that the prefix stands before is `messaging.send.dlq`.
const LONGEST_PREFIX: usize = 249 - "messaging.send.dlq".len();

const LONGEST_GROUP_ID: usize = 255;

fn brokers(text: &str) -> Parsed<Brokers> {
    // As lists are written that scripts put together.
    let text = text.strip_suffix(',').unwrap_or(text);
    if text == "embedded" {
        return Ok(Brokers::Embedded);
    }
    if text.split(',').any(|address| address.trim() == "embedded") {
        return Err("must be `embedded` alone, or brokers, because the embedded broker joins no others".to_owned());
    }
    let addresses: Option<Vec<String>> = text.split(',').map(|address| broker(address.trim())).collect();
    addresses.map(Brokers::Addresses).ok_or_else(|| {
        "must be `embedded`, or brokers like `kafka-1:9092`, `10.0.0.1` or `[::1]:9092` with commas in between"
            .to_owned()
    })
}

/// `host:port`, from an address whose port may be missing.
fn broker(address: &str) -> Option<String> {
    // The colons of an IPv6 address are within brackets.
    let host_end = address.find(']').map_or_else(|| address.find(':'), |bracket| Some(bracket + 1));
    let (host, rest) = address.split_at(host_end.unwrap_or(address.len()));
    let port = match rest.strip_prefix(':') {
        Some(port) => values::number(port, 1..=u16::MAX).ok()?,
        None if rest.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    is_host(host).then(|| format!("{host}:{port}"))
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(allowed)
}

fn group_id(text: &str) -> Parsed<String> {
    if text.len() > LONGEST_GROUP_ID || text.chars().any(char::is_control) {
        return Err(format!("must be at most {LONGEST_GROUP_ID} bytes long and without control characters"));
    }
    Ok(text.to_owned())
}

fn group_protocol(text: &str) -> Parsed<GroupProtocol> {
    match text {
        "classic" => Ok(GroupProtocol::Classic),
        "consumer" => Ok(GroupProtocol::Consumer),
        _ => Err("must be `classic` or `consumer`".to_owned()),
    }
}

fn topic_prefix(text: &str) -> Parsed<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.len() > LONGEST_PREFIX || !text.bytes().all(allowed) {
        return Err(format!("must be at most {LONGEST_PREFIX} letters, digits, `.`, `_` and `-`"));
    }
    Ok(text.to_owned())
}
