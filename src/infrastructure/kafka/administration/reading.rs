//! What a caller's consumer has read, and where it goes on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::application::ports::{Place, ReadBounds, ReadRecord, SeekTo, TopicPartition};
use crate::infrastructure::kafka::client::QuietEvents;

/// For one question to a broker.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer that is asked for one thing at a time.
pub struct Reading {
    pub consumer: BaseConsumer<QuietEvents>,
    pub commits_itself: bool,
    pub state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    /// Read, and not given out: the last was too large, or its caller hung up.
    pub waiting: VecDeque<ReadRecord>,
    /// The offset behind what was given out.
    pub given: BTreeMap<TopicPartition, i64>,
}

impl Reading {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Reads until a bound is reached.
    pub fn fill(&self, bounds: ReadBounds) -> Result<(), KafkaError> {
        self.store();
        let end = Instant::now() + bounds.timeout;
        let mut bytes: usize = self.state().waiting.iter().map(ReadRecord::size).sum();
        while bytes < bounds.most_bytes && bounds.least_bytes.is_none_or(|least| bytes < least) {
            let left = end.saturating_duration_since(Instant::now());
            match self.consumer.poll(left.min(Duration::from_millis(100))) {
                Some(Ok(record)) => {
                    let record = read(&record);
                    bytes += record.size().max(1);
                    self.state().waiting.push_back(record);
                }
                Some(Err(error)) if is_for_good(&error) => return Err(error),
                // Such as a topic that is not there: nothing comes of it.
                Some(Err(_)) | None => {}
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(())
    }

    pub fn seek(&self, places: &[(TopicPartition, SeekTo)]) -> Result<(), KafkaError> {
        let mut targets = TopicPartitionList::new();
        for (place, to) in places {
            let offset = match to {
                SeekTo::Offset(offset) => Offset::Offset(*offset),
                SeekTo::Place(Place::Beginning) => Offset::Beginning,
                SeekTo::Place(Place::End) => Offset::End,
                SeekTo::Place(Place::Time(millis)) => self.at(place, *millis)?,
            };
            targets.add_partition_offset(&place.topic, place.partition, offset)?;
        }
        let is_sought = |record: &ReadRecord| places.iter().any(|(place, _)| *place == record.place);
        self.state().waiting.retain(|record| !is_sought(record));
        let end = Instant::now() + TIMEOUT;
        loop {
            let sought = self.consumer.seek_partitions(targets.clone(), TIMEOUT)?;
            let refused = sought.elements().iter().find_map(|element| element.error().err());
            match refused {
                None => break,
                // Its fetching has only begun.
                Some(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State) && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Some(error) => return Err(error),
            }
        }
        let mut state = self.state();
        for (place, _) in places {
            state.given.remove(place);
        }
        Ok(())
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

impl State {
    /// At least one, if there is one.
    pub fn take(&mut self, most_bytes: usize) -> Vec<ReadRecord> {
        let mut taken = Vec::new();
        let mut bytes = 0_usize;
        while let Some(next) = self.waiting.front() {
            bytes = bytes.saturating_add(next.size());
            if bytes > most_bytes && !taken.is_empty() {
                break;
            }
            taken.extend(self.waiting.pop_front());
        }
        for record in &taken {
            self.given.insert(record.place.clone(), record.offset + 1);
        }
        taken
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
