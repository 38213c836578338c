//! A Kafka in memory, as the ports see it that administer one and read its records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use correio::application::ports::*;
use correio::domain::topic::TopicName;

/// Copies share it.
#[derive(Clone, Default)]
pub struct MemoryKafka(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    topics: BTreeMap<String, TopicInMemory>,
    committed: BTreeMap<String, BTreeMap<TopicPartition, i64>>,
    /// Those that have subscribed.
    members: BTreeMap<String, usize>,
}

#[derive(Default)]
struct TopicInMemory {
    partitions: Vec<Vec<ReadRecord>>,
    settings: BTreeMap<String, String>,
}

const BROKER: i32 = 1;

impl MemoryKafka {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Puts a record into a partition.
    pub fn put(&self, topic: &str, partition: i32, value: &str, timestamp: i64) {
        let mut state = self.state();
        let records = &mut state.topics.get_mut(topic).unwrap().partitions[partition as usize];
        records.push(ReadRecord {
            place: TopicPartition { topic: topic.to_owned(), partition },
            offset: records.len() as i64,
            key: None,
            value: Some(value.as_bytes().to_vec()),
            timestamp: Some(timestamp),
            headers: Vec::new(),
        });
    }
}

fn unknown() -> AdministrationError {
    AdministrationError::Unknown("Broker: Unknown topic or partition".to_owned())
}

fn invalid(reason: &str) -> AdministrationError {
    AdministrationError::Invalid(reason.to_owned())
}

#[async_trait]
impl TopicAdministration for MemoryKafka {
    async fn cluster(&self) -> Result<Cluster, AdministrationError> {
        let broker = BrokerNode { id: BROKER, host: "localhost".to_owned(), port: 9092, rack: None };
        Ok(Cluster { id: "memory".to_owned(), controller: Some(BROKER), brokers: vec![broker] })
    }

    async fn names(&self) -> Result<Vec<String>, AdministrationError> {
        Ok(self.state().topics.keys().cloned().collect())
    }

    async fn describe(&self, topics: &[String]) -> Result<Vec<Topic>, AdministrationError> {
        let state = self.state();
        let described = topics.iter().map(|name| {
            let topic = state.topics.get(name).ok_or_else(unknown)?;
            let partition =
                |id| TopicPartitionState { id, leader: Some(BROKER), replicas: vec![BROKER], in_sync: vec![BROKER] };
            let partitions = (0..topic.partitions.len() as i32).map(partition).collect();
            Ok(Topic { name: name.clone(), id: name.clone(), is_internal: false, partitions })
        });
        described.collect()
    }

    async fn create(&self, topic: &NewTopic, validate_only: bool) -> Result<(), AdministrationError> {
        let mut state = self.state();
        if state.topics.contains_key(&topic.name) {
            return Err(AdministrationError::Exists(format!("Topic '{}' already exists.", topic.name)));
        }
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !topic.name.chars().all(is_allowed) {
            return Err(invalid("Topic name is invalid"));
        }
        if topic.replication_factor.is_some_and(|factor| factor > 1) {
            return Err(invalid("Unable to replicate the partition"));
        }
        if !validate_only {
            let partitions = vec![Vec::new(); topic.partitions.unwrap_or(1) as usize];
            let settings = topic.settings.iter().cloned().collect();
            state.topics.insert(topic.name.clone(), TopicInMemory { partitions, settings });
        }
        Ok(())
    }

    async fn delete(&self, topic: &str) -> Result<(), AdministrationError> {
        self.state().topics.remove(topic).map(drop).ok_or_else(unknown)
    }

    async fn set_partitions(&self, topic: &str, count: i32) -> Result<(), AdministrationError> {
        let mut state = self.state();
        let partitions = &mut state.topics.get_mut(topic).ok_or_else(unknown)?.partitions;
        if count as usize <= partitions.len() {
            return Err(invalid("The topic has as many partitions already"));
        }
        partitions.resize(count as usize, Vec::new());
        Ok(())
    }

    async fn settings(&self, topics: &[String]) -> Result<Vec<Vec<TopicSetting>>, AdministrationError> {
        let state = self.state();
        let of_topic = |name: &String| {
            let own = &state.topics.get(name).ok_or_else(unknown)?.settings;
            let value = own.get("retention.ms");
            Ok(vec![TopicSetting {
                name: "retention.ms".to_owned(),
                value: Some(value.map_or("604800000", String::as_str).to_owned()),
                is_default: value.is_none(),
                is_read_only: false,
                is_sensitive: false,
                source: if value.is_some() { "DYNAMIC_TOPIC_CONFIG" } else { "DEFAULT_CONFIG" },
                synonyms: Vec::new(),
            }])
        };
        topics.iter().map(of_topic).collect()
    }

    async fn change_settings(
        &self,
        topic: &str,
        changes: &[SettingChange],
        validate_only: bool,
    ) -> Result<(), AdministrationError> {
        let mut state = self.state();
        let settings = &mut state.topics.get_mut(topic).ok_or_else(unknown)?.settings;
        if changes.iter().any(|change| change.value.as_ref().is_some_and(|value| value.parse::<i64>().is_err())) {
            return Err(invalid("Invalid value"));
        }
        for change in changes.iter().filter(|_| !validate_only) {
            match &change.value {
                Some(value) => _ = settings.insert(change.name.clone(), value.clone()),
                None => _ = settings.remove(&change.name),
            }
        }
        Ok(())
    }

    async fn offsets(&self, partitions: &[TopicPartition], place: Place) -> Result<Vec<i64>, AdministrationError> {
        let state = self.state();
        let offset = |asked: &TopicPartition| {
            let topic = state.topics.get(&asked.topic).ok_or_else(unknown)?;
            let records = topic.partitions.get(asked.partition as usize).ok_or_else(unknown)?;
            Ok(match place {
                Place::Beginning => 0,
                Place::End => records.len() as i64,
                Place::Time(millis) => {
                    let later = records.iter().position(|record| record.timestamp >= Some(millis));
                    later.unwrap_or(records.len()) as i64
                }
            })
        };
        partitions.iter().map(offset).collect()
    }
}

impl State {
    fn group_state(&self, group: &str) -> GroupState {
        match (self.members.get(group).copied().unwrap_or_default(), self.committed.contains_key(group)) {
            (0, false) => GroupState::Dead,
            (0, true) => GroupState::Empty,
            _ => GroupState::Stable,
        }
    }
}

#[async_trait]
impl GroupAdministration for MemoryKafka {
    async fn list(&self) -> Result<Vec<ListedGroup>, AdministrationError> {
        let state = self.state();
        let ids: BTreeSet<&String> = state.committed.keys().chain(state.members.keys()).collect();
        let listed = ids.into_iter().map(|id| ListedGroup {
            id: id.clone(),
            is_simple: false,
            state: state.group_state(id),
            protocol: Protocol::Classic,
        });
        Ok(listed.collect())
    }

    async fn describe(&self, group: &str) -> Result<Group, AdministrationError> {
        let state = self.state();
        let member = |number: usize| Member {
            id: number.to_string(),
            instance_id: None,
            client_id: "memory".to_owned(),
            host: "localhost".to_owned(),
            assigned: Vec::new(),
        };
        Ok(Group {
            id: group.to_owned(),
            is_simple: false,
            state: state.group_state(group),
            protocol: Protocol::Classic,
            assignor: String::new(),
            coordinator: Some(BROKER),
            coordinator_address: "localhost:9092".to_owned(),
            members: (0..state.members.get(group).copied().unwrap_or_default()).map(member).collect(),
        })
    }

    async fn committed(&self, group: &str) -> Result<Vec<CommittedOffset>, AdministrationError> {
        let committed = self.state().committed.get(group).cloned().unwrap_or_default();
        Ok(committed.into_iter().map(|(place, offset)| CommittedOffset { place, offset }).collect())
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), AdministrationError> {
        let mut state = self.state();
        if state.group_state(group) == GroupState::Stable {
            return Err(AdministrationError::Active("The group is not empty".to_owned()));
        }
        let committed = state.committed.entry(group.to_owned()).or_default();
        committed.extend(offsets.iter().map(|each| (each.place.clone(), each.offset)));
        Ok(())
    }
}

impl RecordConsumers for MemoryKafka {
    fn open(&self, group: &str, settings: &ConsumerSettings) -> Result<Arc<dyn RecordConsumer>, AdministrationError> {
        let state = Mutex::default();
        Ok(Arc::new(MemoryConsumer { kafka: self.clone(), group: group.to_owned(), settings: settings.clone(), state }))
    }
}

struct MemoryConsumer {
    kafka: MemoryKafka,
    group: String,
    settings: ConsumerSettings,
    state: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    positions: BTreeMap<TopicPartition, i64>,
    is_member: bool,
    /// What was given out, and by the last read alone.
    given: BTreeMap<TopicPartition, i64>,
}

impl MemoryConsumer {
    fn begin(&self, places: Vec<TopicPartition>, joins: bool) {
        let mut kafka = self.kafka.state();
        let mut reading = self.state.lock().unwrap();
        if joins && !reading.is_member {
            *kafka.members.entry(self.group.clone()).or_default() += 1;
            reading.is_member = true;
        }
        let committed = kafka.committed.get(&self.group);
        let position = |place: &TopicPartition| {
            let end = kafka.topics[&place.topic].partitions[place.partition as usize].len() as i64;
            let default = if self.settings.from_beginning { 0 } else { end };
            committed.and_then(|committed| committed.get(place)).copied().unwrap_or(default)
        };
        reading.positions = places.into_iter().map(|place| (place.clone(), position(&place))).collect();
    }

    fn leave(&self) {
        let mut reading = self.state.lock().unwrap();
        reading.positions.clear();
        if std::mem::take(&mut reading.is_member) {
            *self.kafka.state().members.get_mut(&self.group).unwrap() -= 1;
        }
    }

    fn write(&self, offsets: impl IntoIterator<Item = (TopicPartition, i64)>) {
        self.kafka.state().committed.entry(self.group.clone()).or_default().extend(offsets);
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.leave();
    }
}

#[async_trait]
impl RecordConsumer for MemoryConsumer {
    async fn subscribe(&self, subscription: &Subscription) -> Result<(), AdministrationError> {
        let places: Vec<TopicPartition> = {
            let state = self.kafka.state();
            let is_wanted = |name: &String| match subscription {
                Subscription::Topics(topics) => topics.contains(name),
                Subscription::Pattern(pattern) => TopicName::parse(name).is_ok_and(|name| pattern.matches(&name)),
            };
            let topics = state.topics.iter().filter(|(name, _)| is_wanted(name));
            let places = topics.flat_map(|(name, topic)| {
                let place = |partition| TopicPartition { topic: name.clone(), partition };
                (0..topic.partitions.len() as i32).map(place).collect::<Vec<_>>()
            });
            places.collect()
        };
        self.begin(places, true);
        Ok(())
    }

    async fn unsubscribe(&self) -> Result<(), AdministrationError> {
        self.leave();
        Ok(())
    }

    async fn assign(&self, partitions: &[TopicPartition]) -> Result<(), AdministrationError> {
        self.begin(partitions.to_vec(), false);
        Ok(())
    }

    async fn assignment(&self) -> Result<Vec<TopicPartition>, AdministrationError> {
        Ok(self.state.lock().unwrap().positions.keys().cloned().collect())
    }

    async fn read_ahead(&self, _: ReadBounds) -> Result<(), AdministrationError> {
        if self.settings.commits_itself {
            let given = self.state.lock().unwrap().given.clone();
            self.write(given);
        }
        Ok(())
    }

    fn take(&self, most_bytes: usize) -> Vec<ReadRecord> {
        let kafka = self.kafka.state();
        let mut reading = self.state.lock().unwrap();
        let (mut read, mut bytes) = (Vec::new(), 0);
        let positions = reading.positions.clone();
        for (place, position) in positions {
            for record in &kafka.topics[&place.topic].partitions[place.partition as usize][position as usize..] {
                bytes += record.size();
                if bytes > most_bytes && !read.is_empty() {
                    return read;
                }
                reading.positions.insert(place.clone(), record.offset + 1);
                read.push(record.clone());
            }
        }
        read
    }

    fn gave(&self, records: &[ReadRecord]) {
        let behind = records.iter().map(|record| (record.place.clone(), record.offset + 1));
        self.state.lock().unwrap().given.extend(behind);
    }

    fn take_back(&self, records: Vec<ReadRecord>) {
        let mut reading = self.state.lock().unwrap();
        for record in records.into_iter().rev() {
            reading.positions.insert(record.place, record.offset);
        }
    }

    async fn commit(&self, offsets: Option<&[CommittedOffset]>) -> Result<(), AdministrationError> {
        match offsets {
            Some(offsets) => self.write(offsets.iter().map(|each| (each.place.clone(), each.offset))),
            None => self.write(self.state.lock().unwrap().given.clone()),
        }
        Ok(())
    }

    async fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>, AdministrationError> {
        let committed = GroupAdministration::committed(&self.kafka, &self.group).await?;
        Ok(committed.into_iter().filter(|each| partitions.contains(&each.place)).collect())
    }

    async fn seek(&self, places: &[(TopicPartition, SeekTo)]) -> Result<(), AdministrationError> {
        for (place, to) in places {
            let at = match to {
                SeekTo::Offset(offset) => *offset,
                SeekTo::Place(at) => self.kafka.offsets(std::slice::from_ref(place), *at).await?[0],
            };
            let mut reading = self.state.lock().unwrap();
            reading.positions.insert(place.clone(), at);
            reading.given.remove(place);
        }
        Ok(())
    }

    async fn close(&self) {
        if self.settings.commits_itself {
            let given = self.state.lock().unwrap().given.clone();
            self.write(given);
        }
        self.leave();
    }
}
