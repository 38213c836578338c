//! What a caller's consumer has read, and where it goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::followed_topics::{FollowedTopics, matching};
use super::reader_events::{ReaderEvents, Shared, State};
use crate::application::ports::{ConsumerSettings, Place, ReadBounds, ReadRecord, SeekTo, TopicPartition};
use crate::domain::topic::TopicPattern;

/// For one question to a broker.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// For the topics that a pattern matches, while a caller waits for records.
const LOOK: Duration = Duration::from_secs(2);

/// A consumer that is asked for one thing at a time.
pub struct Reading {
    pub consumer: BaseConsumer<ReaderEvents>,
    commits_itself: bool,
    shared: Arc<Shared>,
    /// None: it was told which topics or partitions it reads.
    follows: Mutex<Option<FollowedTopics>>,
    polled_at: Mutex<Instant>,
    /// A group goes on without a member that has not polled for long.
    polls_after: Duration,
}

impl Reading {
    pub fn new(consumer: BaseConsumer<ReaderEvents>, settings: &ConsumerSettings, shared: Arc<Shared>) -> Self {
        Self {
            consumer,
            commits_itself: settings.commits_itself,
            shared,
            follows: Mutex::default(),
            polled_at: Mutex::new(Instant::now()),
            polls_after: settings.longest_silence / 20,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// What was given out before has been taken: it is asked for more.
    pub fn store(&self) {
        if self.commits_itself
            && let Ok(given) = self.given()
        {
            // One that went to another member meanwhile is that one's.
            for element in given.elements() {
                let mut one = TopicPartitionList::new();
                if one.add_partition_offset(element.topic(), element.partition(), element.offset()).is_ok() {
                    let _gone = self.consumer.store_offsets(&one);
                }
            }
        }
    }

    pub fn given(&self) -> Result<TopicPartitionList, KafkaError> {
        let mut given = TopicPartitionList::new();
        for (place, offset) in &self.state().given {
            given.add_partition_offset(&place.topic, place.partition, Offset::Offset(*offset))?;
        }
        Ok(given)
    }

    /// What it reads from now on is read from where its group is. What was read before belongs to what it was told to read then.
    pub fn begin_anew(&self) {
        let mut state = self.state();
        state.waiting.keep(|_| false);
        state.given.clear();
        *self.follows() = None;
    }

    fn follows(&self) -> MutexGuard<'_, Option<FollowedTopics>> {
        self.follows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(&self, topics: &[String]) -> Result<(), KafkaError> {
        self.store();
        self.read_topics(topics)?;
        self.begin_anew();
        Ok(())
    }

    /// Subscribes to what the pattern matches, now and later. It is matched here: librdkafka's matching has no bounds.
    pub fn follow(&self, pattern: TopicPattern) -> Result<(), KafkaError> {
        let topics = self.matching(&pattern, TIMEOUT)?;
        self.subscribe(&topics)?;
        let mut followed = FollowedTopics::new(pattern);
        followed.found(topics);
        *self.follows() = Some(followed);
        Ok(())
    }

    fn read_topics(&self, topics: &[String]) -> Result<(), KafkaError> {
        if topics.is_empty() {
            self.consumer.unsubscribe();
            return Ok(());
        }
        self.consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn matching(&self, pattern: &TopicPattern, patience: Duration) -> Result<Vec<String>, KafkaError> {
        Ok(matching(pattern, &self.consumer.client().fetch_metadata(None, patience)?))
    }

    /// Topics that were made meanwhile are read from now on, and those that are gone are not. What it reads of others it reads on, once
    /// the group has agreed.
    fn look_at_topics(&self) {
        let mut follows = self.follows();
        let Some(followed) = follows.as_mut().filter(|followed| followed.is_due()) else { return };
        let looked = self.matching(&followed.pattern, LOOK).and_then(|topics| {
            if topics != followed.topics {
                self.read_topics(&topics)?;
            }
            Ok(topics)
        });
        match looked {
            Ok(topics) => followed.found(topics),
            Err(error) => {
                followed.found_nothing_out();
                tracing::debug!(target: "kafka", %error, "the topics that a caller's pattern matches are not known");
            }
        }
    }

    /// Commits what was given out, before it leaves.
    pub fn finish(&self) -> Result<(), KafkaError> {
        if !self.commits_itself {
            return Ok(());
        }
        // What was stored before is less, and would be committed after it.
        self.store();
        let given = self.given()?;
        if given.count() == 0 { Ok(()) } else { self.consumer.commit(&given, CommitMode::Sync) }
    }

    /// Reads until a bound is reached, or its caller has gone.
    pub fn fill(&self, bounds: ReadBounds, has_gone: &AtomicBool) -> Result<(), KafkaError> {
        self.store();
        let end = Instant::now() + bounds.timeout;
        self.look_at_topics();
        let is_over = || has_gone.load(Ordering::Relaxed) || self.shared.is_closing.load(Ordering::Relaxed);
        while !is_over() && self.wants_more(bounds) {
            let left = end.saturating_duration_since(Instant::now());
            self.poll(left.min(Duration::from_millis(100)))?;
            if left.is_zero() {
                break;
            }
        }
        self.stay()
    }

    fn poll(&self, patience: Duration) -> Result<(), KafkaError> {
        *self.polled_at() = Instant::now();
        match self.consumer.poll(patience) {
            Some(Ok(record)) => self.state().waiting.arrived(read(&record)),
            Some(Err(error)) if is_for_good(&error) => return Err(error),
            // Such as a topic that is not there: nothing comes of it.
            Some(Err(_)) | None => {}
        }
        Ok(())
    }

    /// Remains a member although what was asked for was there, and nothing was read for long.
    fn stay(&self) -> Result<(), KafkaError> {
        if self.polled_at().elapsed() < self.polls_after {
            return Ok(());
        }
        // There may be no room for what would come.
        let assigned = self.consumer.assignment()?;
        self.consumer.pause(&assigned)?;
        let polled = self.poll(Duration::ZERO);
        // One that was taken meanwhile is another member's.
        self.consumer.resume(&assigned)?;
        polled
    }

    fn polled_at(&self) -> MutexGuard<'_, Instant> {
        self.polled_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants_more(&self, bounds: ReadBounds) -> bool {
        let state = self.state();
        let bytes = state.waiting.bytes();
        state.waiting.has_room() && bytes < bounds.most_bytes && bounds.least_bytes.is_none_or(|least| bytes < least)
    }

    /// What was read of a partition is forgotten once it is elsewhere.
    pub fn seek(&self, places: &[(TopicPartition, SeekTo)]) -> Result<(), KafkaError> {
        let mut targets = BTreeMap::new();
        for (place, to) in places {
            let offset = match to {
                SeekTo::Offset(offset) => Offset::Offset(*offset),
                SeekTo::Place(Place::Beginning) => Offset::Beginning,
                SeekTo::Place(Place::End) => Offset::End,
                SeekTo::Place(Place::Time(millis)) => self.at(place, *millis)?,
            };
            // Of one that is named twice, the last.
            targets.insert(place.clone(), offset);
        }
        let end = Instant::now() + TIMEOUT;
        while !targets.is_empty() {
            let mut asked = TopicPartitionList::new();
            for (place, offset) in &targets {
                asked.add_partition_offset(&place.topic, place.partition, *offset)?;
            }
            let mut refused = None;
            for element in self.consumer.seek_partitions(asked, TIMEOUT)?.elements() {
                let place = place_of(element.topic(), element.partition());
                match element.error() {
                    Ok(()) => {
                        targets.remove(&place);
                        self.is_elsewhere(&place);
                    }
                    // Its fetching has only begun.
                    Err(error)
                        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State) && Instant::now() < end => {}
                    Err(error) => refused = Some(error),
                }
            }
            if let Some(error) = refused {
                return Err(error);
            }
            if !targets.is_empty() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn is_elsewhere(&self, place: &TopicPartition) {
        let mut state = self.state();
        state.waiting.keep(|record| record.place != *place);
        state.given.remove(place);
    }

    fn at(&self, place: &TopicPartition, millis: i64) -> Result<Offset, KafkaError> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&place.topic, place.partition, Offset::Offset(millis.max(0)))?;
        let found = self.consumer.offsets_for_times(asked, TIMEOUT)?;
        Ok(found.elements().first().map_or(Offset::End, |element| match element.offset() {
            offset @ Offset::Offset(_) => offset,
            _ => Offset::End,
        }))
    }
}

fn is_for_good(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Fatal, GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(error.rdkafka_error_code(), Some(GroupAuthorizationFailed | TopicAuthorizationFailed | Fatal))
}

fn read(record: &BorrowedMessage<'_>) -> ReadRecord {
    let headers = record.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    ReadRecord {
        place: place_of(record.topic(), record.partition()),
        offset: record.offset(),
        key: record.key().map(<[u8]>::to_vec),
        value: record.payload().map(<[u8]>::to_vec),
        timestamp: record.timestamp().to_millis(),
        headers,
    }
}

pub fn place_of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_owned(), partition }
}
