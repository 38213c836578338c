//! What a client's consumer may be told to read. librdkafka ends the whole process over names and numbers that Kafka does not know.

use std::collections::HashSet;
use std::hash::Hash;

use super::super::error::RestError;
use crate::application::ports::TopicPartition;
use crate::domain::topic::{TopicName, TopicPattern};

/// Topics, or partitions, that one request names at most: librdkafka keeps some kilobytes of each.
const MOST_NAMED: usize = 1_000;

/// # Errors
/// 422 for what cannot be a client's topic.
pub fn topic(name: String) -> Result<TopicName, RestError> {
    TopicName::parse(name).map_err(|error| RestError::invalid(format!("The topic {error}.")))
}

/// # Errors
/// As above; also for a number that is no partition's.
pub fn place(name: String, partition: i32) -> Result<TopicPartition, RestError> {
    let topic = topic(name)?.as_str().to_owned();
    match partition {
        0.. => Ok(TopicPartition { topic, partition }),
        _ => Err(RestError::invalid(format!("The partition {partition} of {topic} is negative."))),
    }
}

/// Each once.
///
/// # Errors
/// As above, for any of them; also when there are too many.
pub fn topics(names: Vec<String>) -> Result<Vec<String>, RestError> {
    let topics = few(names)?.into_iter().map(|name| Ok(topic(name)?.as_str().to_owned()));
    Ok(once(topics.collect::<Result<_, RestError>>()?))
}

/// What is named twice is there once, at its first place.
pub fn once<T: Clone + Eq + Hash>(mut named: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    named.retain(|each| seen.insert(each.clone()));
    named
}

/// # Errors
/// 422 when there are too many.
pub fn few<T>(named: Vec<T>) -> Result<Vec<T>, RestError> {
    match named.len() {
        ..=MOST_NAMED => Ok(named),
        _ => Err(RestError::invalid(format!("A request may name {MOST_NAMED} topics or partitions at most."))),
    }
}

/// # Errors
/// 422 for one that cannot be, or could need much memory or time.
pub fn pattern(text: String) -> Result<TopicPattern, RestError> {
    TopicPattern::parse(text).map_err(|error| RestError::invalid(format!("The topic_pattern {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_topic_or_partition_can_be_is_refused() {
        assert_eq!(place("orders".to_owned(), 0).unwrap(), TopicPartition { topic: "orders".to_owned(), partition: 0 });
        let long = "a".repeat(600);
        for (name, partition) in [(long.as_str(), 0), ("a\0b", 0), ("", 0), ("a b", 0), ("__offsets", 0), ("a", -1)] {
            let refused = place(name.to_owned(), partition).unwrap_err();
            assert_eq!(refused.status(), 422, "{name:?} {partition}");
        }
        assert!(topics(vec!["a".to_owned(); MOST_NAMED]).is_ok());
        assert!(topics(vec!["a".to_owned(); MOST_NAMED + 1]).is_err());
        assert!(topics(vec!["a".to_owned(), long]).is_err());
    }

    #[test]
    fn what_is_named_twice_is_read_once() {
        let named = ["b", "a", "b"].map(str::to_owned).to_vec();
        assert_eq!(topics(named).unwrap(), ["b", "a"]);
    }

    #[test]
    fn a_pattern_that_is_refused_is_named_with_its_fault() {
        assert_eq!(pattern("orders-.*".to_owned()).unwrap().as_str(), "orders-.*");
        let refused = pattern("(".to_owned()).unwrap_err();
        assert_eq!(refused.status(), 422);
        assert!(refused.body().message.starts_with("The topic_pattern is not a regular"), "{refused:?}");
    }
}
