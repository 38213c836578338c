//! What a client's consumer may be told to read. librdkafka ends the whole process over names and numbers that Kafka does not know.

use super::super::error::RestError;
use crate::application::ports::TopicPartition;
use crate::domain::topic::TopicName;

/// Topics, or partitions, that one request names at most: librdkafka keeps some kilobytes of each.
const MOST_NAMED: usize = 1_000;

/// Of a pattern, in bytes.
const LONGEST_PATTERN: usize = 500;

/// What the repetitions of a pattern (`{…}`) come to together at most: each is written out where it is compiled.
const MOST_REPEATED: u64 = 1_000;

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

/// # Errors
/// As above, for any of them; also when there are too many.
pub fn topics(names: Vec<String>) -> Result<Vec<String>, RestError> {
    few(names)?.into_iter().map(|name| Ok(topic(name)?.as_str().to_owned())).collect()
}

/// # Errors
/// 422 when there are too many.
pub fn few<T>(named: Vec<T>) -> Result<Vec<T>, RestError> {
    match named.len() {
        ..=MOST_NAMED => Ok(named),
        _ => Err(RestError::invalid(format!("A request may name {MOST_NAMED} topics or partitions at most."))),
    }
}

/// A regular expression for names of topics, which the C library compiles and matches: it bounds neither its memory nor its time.
///
/// # Errors
/// 422 for one that could need much of either.
pub fn pattern(text: String) -> Result<String, RestError> {
    let refused = |what: &str| Err(RestError::invalid(format!("The topic_pattern {what}.")));
    if text.len() > LONGEST_PATTERN {
        return refused(&format!("may be {LONGEST_PATTERN} bytes long"));
    }
    if text.chars().any(char::is_control) {
        return refused("has control characters");
    }
    if repeated(&text) > MOST_REPEATED {
        return refused(&format!("repeats more than {MOST_REPEATED} times"));
    }
    let refers_back = text.as_bytes().windows(2).any(|two| matches!(two, [b'\\', b'0'..=b'9']));
    if refers_back { refused("may not refer back to a group") } else { Ok(text) }
}

/// As if each repetition were within the others.
fn repeated(pattern: &str) -> u64 {
    let bounds = pattern.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
    let most = |bounds: &str| bounds.split(',').filter_map(|bound| bound.trim().parse().ok()).max();
    bounds.filter_map(most).fold(1, |product: u64, most: u64| product.saturating_mul(most.max(1)))
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
        assert_eq!(topics(vec!["a".to_owned(); MOST_NAMED]).unwrap().len(), MOST_NAMED);
        assert!(topics(vec!["a".to_owned(); MOST_NAMED + 1]).is_err());
        assert!(topics(vec!["a".to_owned(), long]).is_err());
    }

    #[test]
    fn a_pattern_is_bounded_in_what_it_needs() {
        for text in [".*", "orders-[0-9]{4}-[0-9]{2}", "a|b", "a\\.b"] {
            assert_eq!(pattern(text.to_owned()).unwrap(), text);
        }
        let long = "a".repeat(LONGEST_PATTERN + 1);
        for text in ["(((a{100}){100}){100})", "a{0,30000}", "(a*)\\1", "a\0b", "a\nb", long.as_str()] {
            assert!(pattern(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
