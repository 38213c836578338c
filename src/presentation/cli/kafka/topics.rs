//! `correio topics`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::application::ports::{
    AdministrationError, ConsumerSettings, NewTopic, ReadBounds, ReadRecord, RecordConsumers, Topic,
    TopicAdministration, TopicPartition, TopicSetting,
};
use crate::infrastructure::composition::administer_kafka;
use crate::infrastructure::config::Config;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// List the names of all topics.
    List,
    /// Create a topic.
    Create(Creation),
    /// Describe a topic, or all: partitions, leaders, replicas, and the settings that are not the default.
    Describe {
        #[command(flatten)]
        topic: MaybeTopic,
    },
    /// Print records as they come, as JSON.
    Tail(Tail),
}

#[derive(Debug, Args)]
pub struct MaybeTopic {
    #[arg(value_name = "TOPIC")]
    name: Option<String>,
    /// The same.
    #[arg(long, value_name = "TOPIC", conflicts_with = "name")]
    topic: Option<String>,
}

#[derive(Debug, Args)]
pub struct OneTopic {
    #[arg(value_name = "TOPIC", required_unless_present = "topic")]
    name: Option<String>,
    /// The same.
    #[arg(long, value_name = "TOPIC", conflicts_with = "name")]
    topic: Option<String>,
}

impl OneTopic {
    fn name(self) -> String {
        self.name.or(self.topic).unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub struct Creation {
    #[command(flatten)]
    topic: OneTopic,
    /// The broker's default without it.
    #[arg(long)]
    partitions: Option<i32>,
    /// The broker's default without it.
    #[arg(long)]
    replication_factor: Option<i32>,
    /// A setting, `NAME=VALUE`; several by repeating it.
    #[arg(long, value_parser = setting)]
    config: Vec<(String, String)>,
    /// A topic that is there already is left as it is.
    #[arg(long)]
    if_not_exists: bool,
}

#[derive(Debug, Args)]
pub struct Tail {
    #[command(flatten)]
    topic: OneTopic,
    /// Begins with the oldest records, and not with those that come from now on.
    #[arg(long)]
    from_beginning: bool,
    /// Ends after so many.
    #[arg(long)]
    max_messages: Option<u64>,
    /// Only this partition.
    #[arg(long)]
    partition: Option<i32>,
    /// Ends when nothing has come for so long.
    #[arg(long, value_name = "MILLISECONDS")]
    timeout_ms: Option<u64>,
    /// Indented, on several lines a record.
    #[arg(long)]
    pretty: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "not NAME=VALUE".to_owned())
}

pub async fn run(config: &Config, command: TopicsCommand) -> Result<(), CommandError> {
    let (topics, consumers) = administer_kafka(config)?;
    match command {
        TopicsCommand::List => {
            for name in topics.names().await.map_err(said)? {
                println!("{name}");
            }
            Ok(())
        }
        TopicsCommand::Create(creation) => create(&topics, creation).await,
        TopicsCommand::Describe { topic } => describe(&topics, topic.name.or(topic.topic)).await,
        TopicsCommand::Tail(tail) => follow(&topics, &consumers, tail).await,
    }
}

pub fn said(error: AdministrationError) -> CommandError {
    CommandError::Other(error.to_string())
}

async fn create(topics: &dyn TopicAdministration, creation: Creation) -> Result<(), CommandError> {
    let Creation { topic, partitions, replication_factor, config, if_not_exists } = creation;
    let name = topic.name();
    let new = NewTopic { name, partitions, replication_factor, assignments: Vec::new(), settings: config };
    match topics.create(&new, false).await {
        Ok(()) => println!("Created topic {}.", new.name),
        Err(AdministrationError::Exists(_)) if if_not_exists => {}
        Err(error) => return Err(said(error)),
    }
    Ok(())
}

async fn describe(topics: &dyn TopicAdministration, topic: Option<String>) -> Result<(), CommandError> {
    let names = match topic {
        Some(name) => vec![name],
        None => topics.names().await.map_err(said)?,
    };
    let described = topics.describe(&names).await.map_err(|error| match error {
        AdministrationError::Unknown(_) => {
            CommandError::Other(format!("Topic '{}' does not exist as expected", names.join("', '")))
        }
        error => said(error),
    })?;
    let settings = topics.settings(&names).await.map_err(said)?;
    for (topic, settings) in described.iter().zip(&settings) {
        println!("{}", description(topic, settings));
    }
    Ok(())
}

fn description(topic: &Topic, settings: &[TopicSetting]) -> String {
    let own = settings.iter().filter(|setting| !setting.is_default);
    let own: Vec<String> =
        own.map(|setting| format!("{}={}", setting.name, setting.value.as_deref().unwrap_or_default())).collect();
    let mut lines = vec![format!(
        "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
        topic.name,
        topic.id,
        topic.partitions.len(),
        topic.replication_factor(),
        own.join(",")
    )];
    let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    lines.extend(topic.partitions.iter().map(|partition| {
        format!(
            "\tTopic: {}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}",
            topic.name,
            partition.id,
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            ids(&partition.replicas),
            ids(&partition.in_sync)
        )
    }));
    lines.join("\n")
}

/// Between two looks for records.
const LOOK: Duration = Duration::from_millis(200);

async fn follow(
    topics: &dyn TopicAdministration,
    consumers: &dyn RecordConsumers,
    tail: Tail,
) -> Result<(), CommandError> {
    let Tail { topic, from_beginning, max_messages, partition, timeout_ms, pretty } = tail;
    let name = topic.name();
    let described = topics.describe(std::slice::from_ref(&name)).await.map_err(said)?;
    let there = described.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.id);
    let wanted: Vec<TopicPartition> = there
        .filter(|id| partition.is_none_or(|partition| partition == *id))
        .map(|partition| TopicPartition { topic: name.clone(), partition })
        .collect();
    if wanted.is_empty() {
        return Err(CommandError::Other(format!("topic {name} has no such partition")));
    }
    // Of a group that nobody else has, and that commits nothing.
    let longest_silence = Duration::from_secs(300);
    let settings = ConsumerSettings { from_beginning, commits_itself: false, longest_silence, tenant: None };
    let consumer = consumers.open(&format!("correio-tail-{}", Uuid::new_v4()), &settings).map_err(said)?;
    consumer.assign(&wanted).await.map_err(said)?;
    let mut left = max_messages.unwrap_or(u64::MAX);
    let mut silent = Duration::ZERO;
    while left > 0 {
        let bounds = ReadBounds { timeout: LOOK, least_bytes: Some(1), most_bytes: 1024 * 1024 };
        let records = Arc::clone(&consumer).read(bounds).await.map_err(said)?;
        silent = if records.is_empty() { silent + LOOK } else { Duration::ZERO };
        if timeout_ms.is_some_and(|limit| silent >= Duration::from_millis(limit)) {
            break;
        }
        for record in records.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            let shown = shown(record);
            println!("{}", if pretty { format!("{shown:#}") } else { shown.to_string() });
            left -= 1;
        }
    }
    Ok(())
}

fn shown(record: &ReadRecord) -> Value {
    let headers: BTreeMap<&str, Value> =
        record.headers.iter().map(|(name, value)| (name.as_str(), as_text(value.as_deref()))).collect();
    let at = record.timestamp.and_then(chrono::DateTime::from_timestamp_millis);
    json!({
        "topic": record.place.topic,
        "partition": record.place.partition,
        "offset": record.offset,
        "timestamp": at.map(|at| at.format("%FT%T%.3fZ").to_string()),
        "key": as_text(record.key.as_deref()),
        "headers": headers,
        "value": as_json(record.value.as_deref()),
    })
}

fn as_text(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// What is JSON as JSON, everything else as text.
fn as_json(bytes: Option<&[u8]>) -> Value {
    bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_else(|| as_text(bytes))
}
