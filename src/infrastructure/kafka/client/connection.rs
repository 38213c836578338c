//! Whether Kafka is there, as librdkafka sees it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, info, warn};

use super::statistics::{Broker, Statistics};
use super::troubles::{About, Troubles};

/// Logs once that the brokers are away, and once that they are back: librdkafka itself would log it for every
/// broker and every attempt.
pub struct Connection {
    /// `host:port` each, as configured. All others are learned from Kafka.
    configured: Vec<String>,
    troubles: Arc<Troubles>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reachability: Reachability,
    /// Looks in a row that found no broker.
    missed: u32,
    cause: Option<String>,
    /// The partitions whose leader is connected.
    led: HashSet<(String, i32)>,
    /// What was logged since the connection came: librdkafka reports the same again and again.
    said: Vec<(&'static str, Option<RDKafkaErrorCode>)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reachability {
    #[default]
    Unknown,
    Connected,
    Away,
}

impl Connection {
    pub fn new(configured: Vec<String>, troubles: Arc<Troubles>) -> Self {
        Self { configured, troubles, state: Mutex::default() }
    }

    pub fn troubles(&self) -> Arc<Troubles> {
        self.troubles.clone()
    }

    /// Whether the leader of a partition that is published to is connected.
    pub fn has_leader(&self, topic: &str, partition: i32) -> bool {
        self.state().led.contains(&(topic.to_owned(), partition))
    }

    /// Some broker is connected.
    pub fn is_connected(&self) -> bool {
        self.state().reachability == Reachability::Connected
    }

    /// librdkafka's statistics, as JSON.
    pub fn look(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            return;
        };
        let brokers: Vec<&Broker> = statistics.brokers.values().collect();
        for broker in brokers.iter().filter(|broker| broker.is_up()) {
            self.troubles.over(&About::Address(broker.nodename.clone()));
        }
        self.troubles.forget_old_or_unless(|address| brokers.iter().any(|broker| broker.nodename == address));
        let is_up = |leader: i64| brokers.iter().any(|broker| broker.nodeid == leader && broker.is_up());
        let led = statistics.topics.iter().flat_map(|(name, topic)| {
            let partitions = topic.partitions.iter().filter(|(_, partition)| is_up(partition.leader));
            partitions.filter_map(|(number, _)| Some((name.clone(), number.parse().ok()?)))
        });
        self.state().led = led.collect();
        // An address that answers only names the brokers, which may all be out of reach.
        self.found(brokers.iter().any(|broker| broker.is_up() && broker.nodeid >= 0));
    }

    fn found(&self, connected: bool) {
        // The first look comes so early that the connection may still be on its way.
        const MISSES_AT_START: u32 = 3;
        let mut state = self.state();
        if connected {
            state.missed = 0;
            state.cause = None;
            if state.reachability != Reachability::Connected {
                info!(target: "kafka", "connected to Kafka");
                state.said.clear();
            }
            state.reachability = Reachability::Connected;
            return;
        }
        state.missed += 1;
        let gone = match state.reachability {
            Reachability::Unknown => state.missed >= MISSES_AT_START,
            Reachability::Connected => true,
            Reachability::Away => false,
        };
        if gone {
            let cause = state.cause.as_deref().unwrap_or("no broker answers");
            warn!(target: "kafka", cause, "Kafka is away");
            state.reachability = Reachability::Away;
        }
    }

    /// An error that librdkafka reports, which it deals with itself.
    pub fn error(&self, client: &'static str, error: &KafkaError, reason: &str) {
        let mut state = self.state();
        // It was asked for, to learn where a partition ends.
        if matches!(error, KafkaError::PartitionEOF(_))
            || error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF)
        {
            return;
        }
        let is_another_program = reason.contains(ANOTHER_PROGRAM);
        if (is_of_connections(error) || is_another_program)
            && let Some((address, cause)) = no_connection(reason)
        {
            let cause = if is_another_program { NO_KAFKA } else { cause };
            self.unreachable(&address, cause);
            state.cause = Some(format!("{address}: {cause}"));
            if is_another_program {
                debug!(target: "kafka", client, reason, "no Kafka");
                return;
            }
        }
        if is_absence(error) {
            debug!(target: "kafka", client, reason, "no connection");
            // What "all brokers are down" says less well.
            state.cause.get_or_insert_with(|| reason.to_owned());
            return;
        }
        state.cause.get_or_insert_with(|| reason.to_owned());
        let what = (client, error.rdkafka_error_code());
        if !state.said.contains(&what) {
            warn!(target: "kafka", client, %error, reason, "an error from Kafka");
            state.said.push(what);
        }
    }

    fn unreachable(&self, address: &str, cause: &str) {
        let hint = if self.configured.iter().any(|configured| configured == address) {
            ""
        } else {
            "; this address is not from KAFKA_BROKERS: Kafka itself names it (advertised.listeners)"
        };
        let sentence = format!("no connection to the Kafka broker {address}: {cause}{hint}");
        self.troubles.found(About::Address(address.to_owned()), sentence);
    }

    /// A line of librdkafka's own log.
    pub fn log(&self, client: &'static str, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // What these are about comes as an error, too.
        let repeated = matches!(facility, "FAIL" | "FATAL" | "ERROR" | "REQTMOUT" | "MAXPOLL");
        match level {
            _ if repeated => debug!(target: "kafka", client, facility, "{line}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => warn!(target: "kafka", client, facility, "{line}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                debug!(target: "kafka", client, facility, "{line}");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What librdkafka says when the first bytes of an answer are no length that an answer of Kafka has.
const ANOTHER_PROGRAM: &str = "Invalid response size";

const NO_KAFKA: &str = "it answers, but not as Kafka does: another program has this port, or a listener of Kafka that wants TLS \
                        (KAFKA_SECURITY_PROTOCOL)";

fn is_of_connections(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, Resolve, SSL};
    matches!(error.rdkafka_error_code(), Some(BrokerTransportFailure | Resolve | SSL | Authentication))
}

/// The address, and the cause, in what librdkafka says of a connection that does not come about, such as
/// `ssl://kafka-1:9092/1: Failed to resolve 'kafka-1:9092': Name or service not known (after 1ms in state CONNECT)`.
fn no_connection(reason: &str) -> Option<(String, &str)> {
    // It was there, and has ended: the next one may come about.
    if reason.contains("in state UP") {
        return None;
    }
    let reason = reason.strip_prefix("GroupCoordinator: ").unwrap_or(reason);
    let (name, cause) = reason.split_once(": ")?;
    let name = name.split_once("://").map_or(name, |(_protocol, name)| name);
    let address = name.split('/').next()?;
    let cause = cause.split(" (after ").next()?;
    address.contains(':').then(|| (address.to_owned(), cause))
}

/// Whether an error only says that a broker cannot be reached at the moment.
fn is_absence(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    let code = error.rdkafka_error_code();
    matches!(code, Some(BrokerTransportFailure | AllBrokersDown | OperationTimedOut | Resolve))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infrastructure::system::SystemClock;

    fn connection() -> Connection {
        let troubles = Arc::new(Troubles::new(Arc::new(SystemClock::new())));
        Connection::new(vec!["a:9092".to_owned()], troubles)
    }

    fn look(connection: &Connection, state: &str) {
        connection.look(format!(r#"{{"brokers":{{"a:9092/1":{{"state":"{state}"}}}}}}"#).as_bytes());
    }

    #[test]
    fn whatever_the_statistics_are_they_say_whether_a_broker_is_up() {
        crate::corpus::prove("kafka-statistics", |bytes| {
            let connection = connection();
            connection.look(bytes);
            assert!(!connection.is_connected() || bytes.windows(4).any(|part| part == b"\"UP\""));
        });
    }

    #[test]
    fn it_is_there_while_some_broker_is_up() {
        let connection = connection();
        assert!(!connection.is_connected());
        look(&connection, "CONNECT");
        assert!(!connection.is_connected());
        look(&connection, "UP");
        assert!(connection.is_connected());
        look(&connection, "DOWN");
        assert!(!connection.is_connected());
        look(&connection, "UP");
        connection.look(b"nonsense");
        assert!(connection.is_connected());
    }
    #[test]
    fn an_address_that_only_names_brokers_is_not_one_of_them() {
        let connection = connection();
        connection.look(
            br#"{"brokers":{
                "a:9092/bootstrap":{"nodeid":-1,"nodename":"a:9092","state":"UP"},
                "b:9092/1":{"nodeid":1,"nodename":"b:9092","state":"DOWN"}}}"#,
        );
        assert!(!connection.is_connected());
    }

    #[test]
    fn an_address_where_something_else_answers_is_no_kafka() {
        let connection = connection();
        let error = KafkaError::Global(RDKafkaErrorCode::BadMessage);
        let size =
            "Receive failed: Invalid response size 1213486160 (0..100000000): increase receive.message.max.bytes";
        connection.error(
            "producer",
            &error,
            &format!("a:9092/bootstrap: {size} (after 15ms in state APIVERSION_QUERY)"),
        );
        let cause = connection.state().cause.clone().unwrap();
        assert!(cause.starts_with("a:9092: it answers, but not as Kafka does"), "{cause}");
        connection.error("producer", &error, &format!("b:9092/1: {size} (after 15ms in state UP)"));
        assert_eq!(connection.state().said.len(), 1, "a broker that was there is one");
    }

    #[test]
    fn what_librdkafka_says_of_a_connection_names_the_address_and_the_cause() {
        let resolve = "Failed to resolve 'b:9092': Name or service not known";
        for (reason, expected) in [
            ("b:9092/1: Failed to resolve 'b:9092': Name or service not known (after 1ms in state CONNECT)", resolve),
            (
                "GroupCoordinator: b:9092: Failed to resolve 'b:9092': Name or service not known (after 2ms in state CONNECT)",
                resolve,
            ),
            (
                "sasl_ssl://b:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT, 30 identical error(s) suppressed)",
                "Connect to ipv4#10.0.0.1:9092 failed: Connection refused",
            ),
        ] {
            assert_eq!(no_connection(reason), Some(("b:9092".to_owned(), expected)), "{reason}");
        }
        assert_eq!(no_connection("1/1 brokers are down"), None);
        assert_eq!(no_connection("b:9092/1: Disconnected (after 300123ms in state UP)"), None);
    }
}
