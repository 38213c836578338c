use std::time::Duration;

use super::security::KafkaSecurity;
use super::topics::{Deduplicate, TopicBrokers, TopicsConfig};
use crate::infrastructure::config::Config;
use crate::infrastructure::config::error::ConfigError;

fn read(values: &[(&str, &str)]) -> Result<TopicsConfig, ConfigError> {
    let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Config::read(value).map(|config| config.topics)
}

#[test]
fn topics_need_brokers_and_not_that_messages_travel_through_them() {
    assert_eq!(read(&[]).unwrap().brokers, TopicBrokers::None);
    assert_eq!(read(&[("KAFKA_BROKERS", "embedded")]).unwrap().brokers, TopicBrokers::None);
    let own = TopicBrokers::Addresses(vec!["a:9092".to_owned()], KafkaSecurity::default());
    assert_eq!(read(&[("KAFKA_BROKERS", "a")]).unwrap().brokers, own);
    assert_eq!(read(&[("KAFKA_ENABLED", "true")]).unwrap().brokers, TopicBrokers::OfMessages);
}

#[test]
fn topics_are_deduplicated_each_in_its_way() {
    let read = read(&[("TOPICS_DEDUPLICATE", "a-b=1h-/metadata/dataHoraEnvio-/x, c=10m")]).unwrap().deduplicate;
    let one = |topic: &str, minutes: u64, without: &[&str]| Deduplicate {
        topic: topic.to_owned(),
        within: Duration::from_secs(60 * minutes),
        without: without.iter().map(|pointer| (*pointer).to_owned()).collect(),
    };
    assert_eq!(read, [one("a-b", 60, &["/metadata/dataHoraEnvio", "/x"]), one("c", 10, &[])]);
}

#[test]
fn what_is_no_value_is_refused_with_its_variable() {
    for (variable, value) in [
        ("DLQ_TOPIC", "a b"),
        ("DLQ_TOPIC", "__consumer_offsets"),
        ("TOPICS_UNCONFIRMED_STATUS", "201"),
        ("TOPICS_CONFIRM_TIMEOUT", "3m"),
        ("TOPICS_MAX_BODY_BYTES", "0"),
        ("KAFKA_COMPRESSION", "brotli"),
        ("TOPICS_DEDUPLICATE", "invoices"),
        ("TOPICS_DEDUPLICATE", "invoices=48h"),
    ] {
        assert_eq!(read(&[(variable, value)]).unwrap_err().variable, variable);
    }
}
