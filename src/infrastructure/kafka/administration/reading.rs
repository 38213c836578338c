//! What a caller's consumer has read, and where it goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::waiting::Waiting;
use crate::application::ports::{Place, ReadBounds, ReadRecord, SeekTo, TopicPartition};
use crate::infrastructure::kafka::client::QuietEvents;

/// For one question to a broker.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer that is asked for one thing at a time.
pub struct Reading {
    pub consumer: BaseConsumer<ReaderEvents>,
    pub commits_itself: bool,
    pub shared: Arc<Shared>,
}

/// What outlives the consumer.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    /// It is to end: what it is doing ends soon.
    pub is_closing: AtomicBool,
}

#[derive(Default)]
pub struct State {
    /// Read, and not given out: it was too much for the last answer, or there was none.
    pub waiting: Waiting,
    /// The offset behind what was given out.
    pub given: BTreeMap<TopicPartition, i64>,
}

impl Shared {
    pub fn new(waiting: Waiting) -> Self {
        Self { state: Mutex::new(State { waiting, given: BTreeMap::new() }), is_closing: AtomicBool::new(false) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what belongs to another member from now on: committed by this one, it would take that one back.
pub struct ReaderEvents {
    pub quiet: QuietEvents,
    pub shared: Arc<Shared>,
}

impl ClientContext for ReaderEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.quiet.log(level, facility, line);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.quiet.error(error, reason);
    }
}

impl ConsumerContext for ReaderEvents {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let mut state = self.shared.state();
            let is_revoked =
                |place: &TopicPartition| partitions.find_partition(&place.topic, place.partition).is_some();
            state.given.retain(|place, _| !is_revoked(place));
            state.waiting.keep(|record| !is_revoked(&record.place));
        }
    }
}

impl Reading {
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

    /// Begins anew: what it reads from now on is read from where its group is.
    pub fn forget(&self) {
        self.store();
        let mut state = self.state();
        state.waiting.keep(|_| false);
        state.given.clear();
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
        let is_over = || has_gone.load(Ordering::Relaxed) || self.shared.is_closing.load(Ordering::Relaxed);
        while !is_over() && self.wants_more(bounds) {
            let left = end.saturating_duration_since(Instant::now());
            match self.consumer.poll(left.min(Duration::from_millis(100))) {
                Some(Ok(record)) => self.state().waiting.arrived(read(&record)),
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

    fn wants_more(&self, bounds: ReadBounds) -> bool {
        let state = self.state();
        let bytes = state.waiting.bytes();
        state.waiting.has_room() && bytes < bounds.most_bytes && bounds.least_bytes.is_none_or(|least| bytes < least)
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
        self.state().waiting.keep(|record| !is_sought(record));
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
