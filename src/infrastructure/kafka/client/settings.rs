//! The settings of every client of librdkafka.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::connection::Connection;
use crate::infrastructure::config::{ConfigError, KafkaSecurity};

/// The settings that all clients share.
pub fn client_config(addresses: &[String], security: &KafkaSecurity) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", addresses.join(","))
        .set("client.id", "correio")
        .set("statistics.interval.ms", "1000")
        // Kafka that comes back is used at once; librdkafka's own 10 s would add to every outage.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        // A topic that was deleted and made again is found again; and no connection idles until the broker closes it.
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("allow.auto.create.topics", "false")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Info);
    secure(&mut config, security);
    config
}

/// Of a consumer: nothing that another program writes into the topic makes it stand still.
pub fn take_whatever_is_there(config: &mut ClientConfig) {
    config
        // A transaction that is never ended would hide for minutes what comes after it. We have none.
        .set("isolation.level", "read_uncommitted")
        // A record that is larger than this is asked for again for ever. Below what an HTTP server's `HTTP` says as a size.
        .set("receive.message.max.bytes", "1000000000");
}

fn secure(config: &mut ClientConfig, security: &KafkaSecurity) {
    let protocol = match (&security.tls, &security.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = &security.tls {
        if let Some(location) = &tls.ca_location {
            config.set("ssl.ca.location", location);
        }
        if let Some(certificate) = &tls.client_certificate {
            config.set("ssl.certificate.location", &certificate.location);
            config.set("ssl.key.location", &certificate.key_location);
            if let Some(password) = &certificate.key_password {
                config.set("ssl.key.password", password);
            }
        }
    }
    if let Some(sasl) = &security.sasl {
        config.set("sasl.mechanism", sasl.mechanism.as_str());
        config.set("sasl.username", &sasl.username);
        config.set("sasl.password", &sasl.password);
    }
}

/// Why librdkafka takes no client with these settings. A broker that is away is not a reason.
pub fn refused(error: &KafkaError) -> ConfigError {
    // The error of a single setting has the value in it, which may be a secret.
    let sentence = match error {
        KafkaError::ClientConfig(_, description, key, _) => format!("cannot be used: `{key}`: {description}"),
        other => format!("cannot be used: {other}"),
    };
    let variable = [
        ("ssl.ca.", "KAFKA_SSL_CA_LOCATION"),
        ("ssl.certificate.", "KAFKA_SSL_CERTIFICATE_LOCATION"),
        ("ssl.key.", "KAFKA_SSL_KEY_LOCATION"),
        ("sasl.", "KAFKA_SASL_MECHANISM"),
        ("security.", "KAFKA_SECURITY_PROTOCOL"),
    ];
    let variable = variable.into_iter().find(|(setting, _)| sentence.contains(setting));
    ConfigError::new(variable.map_or("KAFKA_BROKERS", |(_, variable)| variable), sentence)
}

/// Logs what librdkafka reports of a client that has no other listener.
pub struct QuietEvents {
    pub client: &'static str,
    pub connection: Arc<Connection>,
}

impl ClientContext for QuietEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.connection.log(self.client, level, facility, line);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(self.client, &error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for QuietEvents {}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;
    use crate::infrastructure::config::{KafkaSasl, KafkaTls, SaslMechanism};

    fn create(security: KafkaSecurity) -> Result<(), ConfigError> {
        let config = client_config(&["127.0.0.1:1".to_owned()], &security);
        config.create::<BaseConsumer>().map(drop).map_err(|error| refused(&error))
    }

    fn sasl(mechanism: SaslMechanism) -> Option<KafkaSasl> {
        Some(KafkaSasl { mechanism, username: "ana".to_owned(), password: "hush".to_owned() })
    }

    #[test]
    fn every_build_knows_plain_passwords() {
        create(KafkaSecurity { tls: None, sasl: sasl(SaslMechanism::Plain) }).unwrap();
    }

    #[test]
    fn what_librdkafka_refuses_is_told_with_its_variable_and_no_secret() {
        let known = cfg!(feature = "kafka-tls");
        let tls = KafkaTls { ca_location: known.then(|| "/nowhere/ca.pem".to_owned()), client_certificate: None };
        let error = create(KafkaSecurity { tls: Some(tls), sasl: sasl(SaslMechanism::Plain) }).unwrap_err();
        assert_eq!(error.variable, if known { "KAFKA_SSL_CA_LOCATION" } else { "KAFKA_SECURITY_PROTOCOL" }, "{error}");
        assert!(!error.to_string().contains("hush"));
    }
}
