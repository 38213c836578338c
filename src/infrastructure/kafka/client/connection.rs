//! Whether Kafka is there, as librdkafka sees it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;
use tracing::{debug, info, warn};

/// Logs once that the brokers are away, and once that they are back: librdkafka itself would log it for every
/// broker and every attempt.
#[derive(Default)]
pub struct Connection(Mutex<State>);

#[derive(Default)]
struct State {
    reachability: Reachability,
    /// Looks in a row that found no broker.
    missed: u32,
    cause: Option<String>,
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

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    state: String,
}

impl Connection {
    /// Some broker is connected.
    pub fn is_connected(&self) -> bool {
        self.state().reachability == Reachability::Connected
    }

    /// librdkafka's statistics, as JSON.
    pub fn look(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            return;
        };
        self.found(statistics.brokers.values().any(|broker| broker.state == "UP"));
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
        if is_absence(error) {
            debug!(target: "kafka", client, reason, "no connection");
            state.cause = Some(reason.to_owned());
            return;
        }
        state.cause = Some(reason.to_owned());
        let what = (client, error.rdkafka_error_code());
        if !state.said.contains(&what) {
            warn!(target: "kafka", client, %error, reason, "an error from Kafka");
            state.said.push(what);
        }
    }

    /// A line of librdkafka's own log.
    pub fn log(&self, client: &'static str, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // What these are about comes as an error, too.
        let repeated = matches!(facility, "FAIL" | "ERROR" | "REQTMOUT" | "MAXPOLL");
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    fn look(connection: &Connection, state: &str) {
        connection.look(format!(r#"{{"brokers":{{"a:9092/1":{{"state":"{state}"}}}}}}"#).as_bytes());
    }

    #[test]
    fn whatever_the_statistics_are_they_say_whether_a_broker_is_up() {
        crate::corpus::prove("kafka-statistics", |bytes| {
            let connection = Connection::default();
            connection.look(bytes);
            assert!(!connection.is_connected() || bytes.windows(4).any(|part| part == b"\"UP\""));
        });
    }

    #[test]
    fn it_is_there_while_some_broker_is_up() {
        let connection = Connection::default();
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
}
