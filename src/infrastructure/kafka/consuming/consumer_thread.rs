//! The thread that polls librdkafka's consumer.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use tracing::{debug, error, warn};

use super::membership::{Consumer, Membership};
use super::standstill::Standstill;
use crate::application::ports::{Partition, Record};
use crate::infrastructure::kafka::client::take_whatever_is_there;
use crate::infrastructure::kafka::event;

/// How long one look for records takes, and so how long it takes to notice that it shall end.
const POLL: Duration = Duration::from_millis(100);

/// How long the group may take to let us go.
const LEAVE: Duration = Duration::from_secs(5);

/// Between two consumers, when the first could not go on.
const PAUSE: Duration = Duration::from_secs(1);

/// The same, when the broker does not let it: the next most likely meets the same.
const PAUSE_AFTER_A_REFUSAL: Duration = Duration::from_secs(5);

/// Pause between two looks at the partitions.
const WATCH: Duration = Duration::from_secs(1);

pub struct ConsumerThread {
    config: ClientConfig,
    membership: Membership,
}

impl ConsumerThread {
    pub fn new(mut config: ClientConfig, membership: Membership) -> Self {
        membership.group.configure(&mut config);
        config
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            .set("max.poll.interval.ms", "300000")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.queue.backoff.ms", "100");
        take_whatever_is_there(&mut config);
        Self { config, membership }
    }

    /// Consumes until it shall end, with one consumer after the other if need be.
    pub fn run(self) {
        let mut watch = Watch { standstill: Standstill::default(), looked_at: Instant::now() };
        while !self.is_closing() {
            watch.standstill.begin();
            let pause = match self.config.create_with_context::<_, Consumer>(self.membership.clone()) {
                Ok(consumer) => self.consume(consumer, &mut watch),
                Err(error) => {
                    error!(target: "kafka", %error, "cannot create the Kafka consumer");
                    PAUSE
                }
            };
            let end = Instant::now() + pause;
            while !self.is_closing() && Instant::now() < end {
                thread::sleep(POLL);
            }
        }
        self.membership.arrivals.closed();
    }

    /// Returns how long to wait before another consumer follows.
    fn consume(&self, consumer: Consumer, watch: &mut Watch) -> Duration {
        let link = &self.membership.link;
        let mut pause = PAUSE;
        if let Err(error) = consumer.subscribe(&[link.topic()]) {
            error!(target: "kafka", %error, "the consumer cannot subscribe");
            return pause;
        }
        let consumer = Arc::new(consumer);
        link.share(Some(consumer.clone()));
        while !self.is_closing() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => self.membership.arrivals.record(record(&message)),
                Some(Err(KafkaError::MessageConsumptionFatal(error))) => {
                    debug!(target: "kafka", %error, "a consumer that met a fatal error is replaced");
                    self.membership.refused_for_good(error);
                    pause = PAUSE_AFTER_A_REFUSAL;
                    break;
                }
                Some(Err(error)) => self.membership.refused(&error),
                None => {}
            }
            if watch.looked_at.elapsed() >= WATCH {
                let stands_still = self.stands_still(&consumer, &mut watch.standstill);
                watch.looked_at = Instant::now();
                if stands_still {
                    break;
                }
            }
        }
        self.leave(&consumer);
        link.share(None);
        self.membership.give_up_everything();
        // What is left of it goes with its threads, which may still wait for a broker that is away.
        thread::spawn(move || drop(consumer));
        pause
    }

    /// Looks after partitions that are held back, and for one that has come to a standstill.
    fn stands_still(&self, consumer: &Consumer, standstill: &mut Standstill) -> bool {
        let Some(snapshot) = self.membership.positions.last() else { return false };
        self.membership.release_added(consumer, &snapshot);
        let readings = match self.membership.readings(consumer, &snapshot) {
            Ok(readings) => readings,
            Err(error) => {
                debug!(target: "kafka", %error, "where the partitions stand is not known");
                return false;
            }
        };
        let Some(partition) = standstill.look(&readings, Instant::now()) else { return false };
        warn!(
            target: "kafka", partition = partition.0,
            "a partition stood still for a minute although records wait in it: the consumer is replaced"
        );
        true
    }

    /// Gives up the partitions while the consumer can still note what is finished, and leaves the group, so that others
    /// have them at once. What it reads meanwhile is dropped.
    fn leave(&self, consumer: &Consumer) {
        if let Err(error) = consumer.close_queue() {
            if consumer.client().fatal_error().is_none() {
                warn!(target: "kafka", %error, "the consumer does not close");
            }
            return;
        }
        let begun = Instant::now();
        while !consumer.closed() {
            drop(consumer.poll(POLL));
            // A group that cannot be reached is left by being silent.
            let patience = match (self.membership.has_partitions(), self.membership.connection.is_connected()) {
                (true, _) => self.membership.arrivals.drain_timeout() + LEAVE,
                (false, true) => LEAVE,
                (false, false) => Duration::ZERO,
            };
            if begun.elapsed() >= patience {
                return;
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.membership.standing.is_closing()
    }
}

/// The watch over the consumers that follow each other.
struct Watch {
    standstill: Standstill,
    looked_at: Instant,
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        partition: Partition(message.partition()),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        content: event::decode(message.payload()),
    }
}
