//! How clients publish to topics of theirs.

use std::time::Duration;

use super::security::KafkaSecurity;
use super::{Brokers, KAFKA_BROKERS, KAFKA_ENABLED};
use crate::domain::topic::TopicName;
use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed};
use crate::infrastructure::config::variables::Variables;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicsConfig {
    pub brokers: TopicBrokers,
    /// Where records go that could not be published.
    pub dead_letters: String,
    /// Whether a topic that does not exist is made.
    pub auto_create: bool,
    /// Whether clients need no credentials.
    pub is_open: bool,
    pub unconfirmed: Unconfirmed,
    /// How long a client waits for Kafka.
    pub confirm_timeout: Duration,
    pub max_body_bytes: usize,
    pub compression: Compression,
    pub deduplicate: Vec<Deduplicate>,
}

/// Of a topic's records that are alike one is published within a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplicate {
    pub topic: String,
    pub within: Duration,
    /// JSON Pointers into `data`: members that do not count.
    pub without: Vec<String>,
}

/// Which brokers have the topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicBrokers {
    /// No brokers are configured.
    None,
    /// Those that messages travel through.
    OfMessages,
    /// `host:port` each. Messages travel without them.
    Addresses(Vec<String>, KafkaSecurity),
}

/// What a client is answered whose record is kept and not confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconfirmed {
    Ok,
    Accepted,
    /// As the Node bridge did.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    const ALL: [Compression; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its name, also in librdkafka's settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

pub const SECTION: Section = Section {
    title: "Topics",
    about: "Clients publish to topics as soon as `KAFKA_BROKERS` is set, or with `KAFKA_ENABLED=true`: how messages travel does \
            not matter to them, and `KAFKA_TOPIC_PREFIX` does not stand before their topics.",
    settings: &[
        DLQ_TOPIC.entry(),
        TOPICS_AUTO_CREATE.entry(),
        TOPICS_OPEN.entry(),
        TOPICS_UNCONFIRMED_STATUS.entry(),
        TOPICS_CONFIRM_TIMEOUT.entry(),
        TOPICS_MAX_BODY_BYTES.entry(),
        KAFKA_COMPRESSION.entry(),
        TOPICS_DEDUPLICATE.entry(),
    ],
};

const DLQ_TOPIC: Setting<String> = Setting {
    name: "DLQ_TOPIC",
    default: "dlq-topic",
    about: "Topic of the records that Kafka did not take in five tries, or never will. It is created if it is missing.",
    parse: topic,
};

const TOPICS_AUTO_CREATE: Setting<bool> = Setting {
    name: "TOPICS_AUTO_CREATE",
    default: "false",
    about: "`true`: a topic that does not exist is created when a record for it comes, as the broker creates topics. `false`: \
            such a record becomes a dead letter after five tries.",
    parse: values::boolean,
};

const TOPICS_OPEN: Setting<bool> = Setting {
    name: "TOPICS_OPEN",
    default: "false",
    about: "`true`: whoever reaches this port may publish to topics and list them, without credentials, as the tenant \
            `default`. For clients that can show none, in a network of their own.",
    parse: values::boolean,
};

const TOPICS_UNCONFIRMED_STATUS: Setting<Unconfirmed> = Setting {
    name: "TOPICS_UNCONFIRMED_STATUS",
    default: "200",
    about: "What `POST /topics/{topic}` answers when the record is kept and Kafka has not confirmed it in time: `200` or `202`, \
            both with `\"confirmed\": false`, or `500`. A client that takes `500` for a loss may publish the record again.",
    parse: unconfirmed,
};

const TOPICS_CONFIRM_TIMEOUT: Setting<Duration> = Setting {
    name: "TOPICS_CONFIRM_TIMEOUT",
    default: "5s",
    about: "How long a client waits for Kafka to confirm its record, `10ms` to `2m`.",
    parse: |text| values::duration_between(text, Duration::from_millis(10), Duration::from_secs(120)),
};

const TOPICS_MAX_BODY_BYTES: Setting<usize> = Setting {
    name: "TOPICS_MAX_BODY_BYTES",
    default: "10485760",
    about: "Largest body of a request that publishes to a topic in bytes, 1 to 1073741824.",
    parse: |text| values::number(text, 1..=1_073_741_824),
};

const KAFKA_COMPRESSION: Setting<Compression> = Setting {
    name: "KAFKA_COMPRESSION",
    default: "gzip",
    about: "How records on clients' topics are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`. Every consumer reads \
            `gzip`; kafkajs reads no other without a plugin.",
    parse: compression,
};

const TOPICS_DEDUPLICATE: OptionalSetting<Vec<Deduplicate>> = OptionalSetting {
    name: "TOPICS_DEDUPLICATE",
    unset: "every record is published",
    example: "protheus-notas-fiscais=1h-/metadata/dataHoraEnvio",
    about: "Topics, with commas in between, of whose records with the same key and `data` one is published within a time, `1m` \
            to `24h`: `topic=1h`, and after that a JSON Pointer with `-` before it for each member of `data` that does not count.",
    parse: deduplicate,
};

impl TopicsConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            brokers: TopicBrokers::read(variables)?,
            dead_letters: DLQ_TOPIC.read(variables)?,
            auto_create: TOPICS_AUTO_CREATE.read(variables)?,
            is_open: TOPICS_OPEN.read(variables)?,
            unconfirmed: TOPICS_UNCONFIRMED_STATUS.read(variables)?,
            confirm_timeout: TOPICS_CONFIRM_TIMEOUT.read(variables)?,
            max_body_bytes: TOPICS_MAX_BODY_BYTES.read(variables)?,
            compression: KAFKA_COMPRESSION.read(variables)?,
            deduplicate: TOPICS_DEDUPLICATE.read(variables)?.unwrap_or_default(),
        })
    }
}

impl TopicBrokers {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        if KAFKA_ENABLED.read(variables)? {
            return Ok(Self::OfMessages);
        }
        if variables.value(KAFKA_BROKERS.name)?.is_none() {
            return Ok(Self::None);
        }
        match KAFKA_BROKERS.read(variables)? {
            Brokers::Addresses(addresses) => Ok(Self::Addresses(addresses, KafkaSecurity::read(variables)?)),
            // It is there only where messages travel through it.
            Brokers::Embedded => Ok(Self::None),
        }
    }
}

fn topic(text: &str) -> Parsed<String> {
    TopicName::parse(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
}

fn unconfirmed(text: &str) -> Parsed<Unconfirmed> {
    match text {
        "200" => Ok(Unconfirmed::Ok),
        "202" => Ok(Unconfirmed::Accepted),
        "500" => Ok(Unconfirmed::Error),
        _ => Err("must be `200`, `202` or `500`".to_owned()),
    }
}

fn compression(text: &str) -> Parsed<Compression> {
    let named = Compression::ALL.into_iter().find(|compression| compression.as_str() == text);
    named.ok_or_else(|| "must be `none`, `gzip`, `snappy`, `lz4` or `zstd`".to_owned())
}

fn deduplicate(text: &str) -> Parsed<Vec<Deduplicate>> {
    text.split(',').map(|one| deduplicate_one(one.trim())).collect()
}

fn deduplicate_one(text: &str) -> Parsed<Deduplicate> {
    let malformed = || "must be like `topic=1h-/member/within`, with commas between topics".to_owned();
    let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
    let mut parts = rest.split("-/");
    let within = parts.next().unwrap_or_default().trim();
    let within = values::duration_between(within, Duration::from_secs(60), Duration::from_secs(24 * 3_600))?;
    let without = parts.map(|pointer| format!("/{}", pointer.trim())).collect();
    Ok(Deduplicate { topic: topic(name.trim())?, within, without })
}
