use std::time::Duration;

use crate::infrastructure::config::{
    Brokers, Config, ConfigError, GroupProtocol, KafkaConfig, KafkaSecurity, QueueConfig,
};

fn read(values: &[(&str, &str)]) -> Result<KafkaConfig, ConfigError> {
    let config = Config::read(|name| {
        let set = values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        set.or_else(|| (name == "KAFKA_ENABLED").then(|| "true".to_owned()))
    })?;
    match config.queue {
        QueueConfig::Kafka(kafka) => Ok(*kafka),
        QueueConfig::Direct => panic!("it is enabled"),
    }
}

fn refused(values: &[(&str, &str)], variable: &str) -> String {
    let error = read(values).expect_err(variable);
    assert_eq!(error.variable, variable, "{values:?}");
    error.sentence
}

fn addresses(text: &str) -> Vec<String> {
    match read(&[("KAFKA_BROKERS", text)]).unwrap().brokers {
        Brokers::Addresses(addresses) => addresses,
        Brokers::Embedded => panic!("{text} is an address"),
    }
}

#[test]
fn nothing_has_to_be_said_about_kafka() {
    let kafka = read(&[]).unwrap();
    let expected = KafkaConfig {
        brokers: Brokers::Addresses(vec!["localhost:9092".to_owned()]),
        group_id: "correio".to_owned(),
        topic_prefix: String::new(),
        partitions: 3,
        replication_factor: None,
        publish_timeout: Duration::from_secs(30),
        group_protocol: GroupProtocol::Classic,
        session_timeout: Duration::from_secs(6),
        security: KafkaSecurity::default(),
    };
    assert_eq!(kafka, expected);
}

#[test]
fn what_is_said_about_kafka_counts_only_with_it() {
    let values = [("KAFKA_ENABLED", "false"), ("KAFKA_GROUP_ID", "\u{7}"), ("KAFKA_PARTITIONS", "none")];
    let config = Config::read(|name| values.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned()));
    assert_eq!(config.unwrap().queue, QueueConfig::Direct);
}

#[test]
fn brokers_are_hosts_with_or_without_ports() {
    assert_eq!(addresses("kafka-1.internal:9093"), ["kafka-1.internal:9093"]);
    assert_eq!(
        addresses(" a , 10.0.0.1:1,[::1],[fe80::1]:9093"),
        ["a:9092", "10.0.0.1:1", "[::1]:9092", "[fe80::1]:9093"]
    );
    assert_eq!(addresses("a:1,b:2,"), ["a:1", "b:2"]);
    assert_eq!(read(&[("KAFKA_BROKERS", "embedded")]).unwrap().brokers, Brokers::Embedded);
    for text in [
        ",",
        "a,,",
        ",a",
        ":9092",
        "a:",
        "a:0",
        "a:65536",
        "a:b",
        "PLAINTEXT://a:9092",
        "::1",
        "[::1",
        "[a]:1",
        "[::1]9",
        "a b",
    ] {
        refused(&[("KAFKA_BROKERS", text)], "KAFKA_BROKERS");
    }
}

#[test]
fn topics_and_groups_have_names_that_kafka_takes() {
    assert_eq!(read(&[("KAFKA_TOPIC_PREFIX", "acme_2.prod-")]).unwrap().topic_prefix, "acme_2.prod-");
    assert!(read(&[("KAFKA_TOPIC_PREFIX", &"x".repeat(231))]).is_ok());
    for prefix in [&"x".repeat(232), "a/b", "ação", "a b"] {
        refused(&[("KAFKA_TOPIC_PREFIX", prefix)], "KAFKA_TOPIC_PREFIX");
    }
    assert_eq!(read(&[("KAFKA_GROUP_ID", "Correio, São Paulo")]).unwrap().group_id, "Correio, São Paulo");
    refused(&[("KAFKA_GROUP_ID", "a\nb")], "KAFKA_GROUP_ID");
    refused(&[("KAFKA_GROUP_ID", &"x".repeat(256))], "KAFKA_GROUP_ID");
}

#[test]
fn numbers_stay_in_their_ranges() {
    let kafka = read(&[("KAFKA_PARTITIONS", "10000"), ("KAFKA_REPLICATION_FACTOR", "3")]).unwrap();
    assert_eq!((kafka.partitions, kafka.replication_factor), (10_000, Some(3)));
    for (variable, value) in [
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_PARTITIONS", "10001"),
        ("KAFKA_REPLICATION_FACTOR", "0"),
        ("KAFKA_REPLICATION_FACTOR", "-1"),
        ("KAFKA_REPLICATION_FACTOR", "32768"),
        ("KAFKA_PUBLISH_TIMEOUT", "999ms"),
        ("KAFKA_PUBLISH_TIMEOUT", "61m"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
    ] {
        refused(&[(variable, value)], variable);
    }
    assert_eq!(read(&[("KAFKA_PUBLISH_TIMEOUT", "1h")]).unwrap().publish_timeout, Duration::from_secs(3600));
}

#[test]
fn sasl_takes_a_name_and_a_password_and_shows_neither() {
    let sasl = ("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext");
    let (name, password) = (("KAFKA_SASL_USERNAME", "hush-name"), ("KAFKA_SASL_PASSWORD", "hush-word"));
    refused(&[sasl, name], "KAFKA_SASL_PASSWORD");
    refused(&[sasl, password], "KAFKA_SASL_USERNAME");
    let kafka = read(&[sasl, name, password, ("KAFKA_SASL_MECHANISM", "plain")]).unwrap();
    let shown = format!("{kafka:?}");
    assert!(shown.contains("Plain") && !shown.contains("hush"), "{shown}");
    assert_eq!(kafka.security.sasl.unwrap().password, "hush-word");
}

#[test]
fn what_the_protocol_does_not_use_is_refused() {
    let certificate = [("KAFKA_SSL_CERTIFICATE_LOCATION", "/a.pem"), ("KAFKA_SSL_KEY_LOCATION", "/a.key")];
    for protocol in [[].as_slice(), &[("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")]] {
        for set in
            [("KAFKA_SASL_USERNAME", "hush"), ("KAFKA_SASL_PASSWORD", "hush"), ("KAFKA_SSL_CA_LOCATION", "/hush")]
        {
            let sentence = refused(&[protocol, &[set]].concat(), set.0);
            assert!(sentence.contains("KAFKA_SECURITY_PROTOCOL") && !sentence.contains("hush"), "{sentence}");
        }
        refused(&[protocol, &certificate].concat(), "KAFKA_SSL_CERTIFICATE_LOCATION");
    }
    let sasl =
        [("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("KAFKA_SASL_USERNAME", "n"), ("KAFKA_SASL_PASSWORD", "p")];
    refused(&[&sasl[..], &[("KAFKA_SSL_CA_LOCATION", "/ca.pem")]].concat(), "KAFKA_SSL_CA_LOCATION");
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let certificate = ("KAFKA_SSL_CERTIFICATE_LOCATION", "/a.pem");
    refused(&[certificate], "KAFKA_SSL_KEY_LOCATION");
    refused(&[("KAFKA_SSL_KEY_LOCATION", "/a.key")], "KAFKA_SSL_CERTIFICATE_LOCATION");
}

#[cfg(not(feature = "kafka-tls"))]
#[test]
fn what_this_build_cannot_do_is_said_at_the_start() {
    for protocol in ["SSL", "sasl_ssl"] {
        let sentence = refused(&[("KAFKA_SECURITY_PROTOCOL", protocol)], "KAFKA_SECURITY_PROTOCOL");
        assert!(sentence.contains("--features kafka-tls"), "{sentence}");
    }
    for mechanism in ["SCRAM-SHA-256", "scram-sha-512"] {
        let sentence = refused(&[("KAFKA_SASL_MECHANISM", mechanism)], "KAFKA_SASL_MECHANISM");
        assert!(sentence.contains("--features kafka-tls"), "{sentence}");
    }
}

#[cfg(feature = "kafka-tls")]
#[test]
fn tls_shows_no_password() {
    let kafka = read(&[
        ("KAFKA_SECURITY_PROTOCOL", "SSL"),
        ("KAFKA_SSL_CERTIFICATE_LOCATION", "/a.pem"),
        ("KAFKA_SSL_KEY_LOCATION", "/a.key"),
        ("KAFKA_SSL_KEY_PASSWORD", "hush"),
    ]);
    let kafka = kafka.unwrap();
    assert!(!format!("{kafka:?}").contains("hush"));
    assert_eq!(kafka.security.tls.unwrap().client_certificate.unwrap().key_password.as_deref(), Some("hush"));
}
