use std::fmt;

/// The name of a topic, as Kafka takes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(String);

/// What is wrong with a name: the end of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    #[error("must be a topic's name: 1 to 249 letters, digits, `.`, `_` and `-`, and neither `.` nor `..`")]
    Malformed,
    #[error("names a topic of Kafka's own (`__…`), which is not for clients")]
    Internal,
}

impl TopicName {
    /// Bytes at most.
    pub const LONGEST: usize = 249;

    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidTopicName> {
        let text = text.into();
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_a_name = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(is_allowed);
        if !is_a_name || matches!(text.as_str(), "." | "..") {
            return Err(InvalidTopicName::Malformed);
        }
        if text.starts_with("__") { Err(InvalidTopicName::Internal) } else { Ok(Self(text)) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_kafka_takes_and_no_topic_of_its_own() {
        let longest = "a".repeat(TopicName::LONGEST);
        for name in ["protheus-notas-fiscais", "orders.created", "A_1", "...", "_", longest.as_str()] {
            assert_eq!(TopicName::parse(name).unwrap().as_str(), name);
        }
        let too_long = format!("{longest}a");
        for name in ["", ".", "..", "a b", "a/b", "é", "a\0", too_long.as_str()] {
            assert_eq!(TopicName::parse(name), Err(InvalidTopicName::Malformed), "{name:?}");
        }
        assert_eq!(TopicName::parse("__consumer_offsets"), Err(InvalidTopicName::Internal));
    }
}
