use std::fmt;
use std::str::FromStr;

/// A record that is to be published to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRecord {
    pub key: Option<Vec<u8>>,
    /// None: a tombstone.
    pub value: Option<Vec<u8>>,
    /// In this order; a name may be there several times.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// None: where its key puts it, as Java's clients do; without a key, anywhere.
    pub partition: Option<i32>,
    pub time: RecordTime,
    pub origin: Origin,
}

/// The time that a record carries, in milliseconds since 1970. Where Kafka refuses one that its client has not given, it has another,
/// or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordTime {
    /// When it is published.
    #[default]
    Published,
    /// When it arrived here.
    Arrived(i64),
    /// As its client says: it has this one, or is refused.
    Given(i64),
}

/// Whose record it is: that decides which headers it has beside its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A client that says itself which headers its record has: it has those and no others.
    #[default]
    Client,
    /// An ERP's, through `POST /topics/{topic}`: `message-id` and, on its first try, `source`; on later ones `retry-count`.
    Erp,
}

/// Where a record is that Kafka has taken. Its text, `partition:offset`, is the name by which the channel knows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPosition {
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for RecordPosition {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (partition, offset) = text.split_once(':').ok_or(())?;
        Ok(Self { partition: partition.parse().map_err(drop)?, offset: offset.parse().map_err(drop)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_from_its_text() {
        let position = RecordPosition { partition: 2, offset: 12_345 };
        assert_eq!(position.to_string(), "2:12345");
        assert_eq!("2:12345".parse(), Ok(position));
        for text in ["", "2", "2:", ":1", "a:1", "2:1:0"] {
            assert_eq!(text.parse::<RecordPosition>(), Err(()), "{text}");
        }
    }
}
