//! The thread that polls librdkafka's consumer.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use tracing::{error, warn};

use super::link::Link;
use super::membership::{Consumer, Membership};
use crate::application::ports::{Arrival, Partition, Record};
use crate::infrastructure::kafka::client::take_whatever_is_there;
use crate::infrastructure::kafka::event;

/// How long one look for records takes, and so how long it takes to notice that it shall end.
const POLL: Duration = Duration::from_millis(100);

/// How long the group may take to let us go.
const LEAVE: Duration = Duration::from_secs(5);

/// Between two consumers, when the first could not go on.
const PAUSE: Duration = Duration::from_secs(1);

pub struct ConsumerThread {
    config: ClientConfig,
    membership: Membership,
    link: Arc<Link>,
}

impl ConsumerThread {
    pub fn new(mut config: ClientConfig, group_id: &str, membership: Membership, link: Arc<Link>) -> Self {
        config
            .set("group.id", group_id)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            // The partitions of a worker that was killed move soon. Brokers allow no less than 6 s by default.
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            .set("max.poll.interval.ms", "300000")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.queue.backoff.ms", "100");
        take_whatever_is_there(&mut config);
        Self { config, membership, link }
    }

    /// Consumes until it shall end, with one consumer after the other if need be.
    pub fn run(self) {
        while !self.is_closing() {
            match self.config.create_with_context::<_, Consumer>(self.membership.clone()) {
                Ok(consumer) => self.consume(consumer),
                Err(error) => error!(target: "kafka", %error, "cannot create the Kafka consumer"),
            }
            let end = Instant::now() + PAUSE;
            while !self.is_closing() && Instant::now() < end {
                thread::sleep(POLL);
            }
        }
        self.membership.deliver(Arrival::Closed, Some(self.membership.drain_timeout));
    }

    fn consume(&self, consumer: Consumer) {
        if let Err(error) = consumer.subscribe(&[self.link.topic()]) {
            return error!(target: "kafka", %error, "the consumer cannot subscribe");
        }
        let consumer = Arc::new(consumer);
        self.link.share(Some(consumer.clone()));
        while !self.is_closing() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => self.membership.deliver(Arrival::Record(record(&message)), None),
                Some(Err(KafkaError::MessageConsumptionFatal(error))) => {
                    warn!(target: "kafka", %error, "a consumer that met a fatal error is replaced");
                    break;
                }
                // The rest is librdkafka's to deal with, and was logged where it was reported.
                Some(Err(_)) | None => {}
            }
        }
        self.leave(&consumer);
        self.link.share(None);
        self.membership.give_up_everything();
        // What is left of it goes with its threads, which may still wait for a broker that is away.
        thread::spawn(move || drop(consumer));
    }

    /// Gives up the partitions while the consumer can still note what is finished, and leaves the group, so that others
    /// have them at once. What it reads meanwhile is dropped.
    fn leave(&self, consumer: &Consumer) {
        if let Err(error) = consumer.close_queue() {
            return warn!(target: "kafka", %error, "the consumer does not close");
        }
        let begun = Instant::now();
        while !consumer.closed() {
            drop(consumer.poll(POLL));
            // A group that cannot be reached is left by being silent.
            let patience = match (self.membership.has_partitions(), self.membership.connection.is_connected()) {
                (true, _) => self.membership.drain_timeout + LEAVE,
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

fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        partition: Partition(message.partition()),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        content: event::decode(message.payload()),
    }
}
