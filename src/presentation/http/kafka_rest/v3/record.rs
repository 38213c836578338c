//! A record as version 3 writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::error::RestError;
use crate::domain::topic::{Origin, RecordPosition, RecordTime, TopicRecord};
use crate::presentation::http::wire::compact_json::compact;

#[derive(Debug, Deserialize)]
pub struct Written<'a> {
    partition_id: Option<i32>,
    #[serde(default)]
    headers: Option<Vec<Header>>,
    #[serde(borrow)]
    key: Option<Data<'a>>,
    #[serde(borrow)]
    value: Option<Data<'a>>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Data<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// A record, and what its answer says of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub record: TopicRecord,
    pub answered: Answered,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Kind and bytes.
    key: Option<(String, usize)>,
    value: Option<(String, usize)>,
    /// Milliseconds since 1970.
    timestamp: i64,
}

impl Written<'_> {
    /// # Errors
    /// What is wrong with it, as the error that is its answer.
    pub fn read(self, now_millis: i64) -> Result<Read, RestError> {
        let (time, timestamp) = match &self.timestamp {
            None => (RecordTime::Arrived(now_millis), now_millis),
            Some(text) => {
                let given = chrono::DateTime::parse_from_rfc3339(text)
                    .map_err(|_| bad(format!("timestamp={text} is not a time.")))?
                    .timestamp_millis();
                (RecordTime::Given(given), given)
            }
        };
        if self.partition_id.is_some_and(|partition| partition < 0) {
            return Err(bad("partition_id is negative.".to_owned()));
        }
        let mut headers = Vec::new();
        for Header { name, value } in self.headers.unwrap_or_default() {
            // Kafka's clients end a name there, and PostgreSQL shows nothing of JSON that has it.
            if name.contains('\0') {
                return Err(bad("a header's name has U+0000.".to_owned()));
            }
            headers.push((name, value.map(|value| base64(&value)).transpose()?));
        }
        let (key, value) = (self.key.map(Data::read).transpose()?, self.value.map(Data::read).transpose()?);
        let size = |read: &Option<(String, Option<Vec<u8>>)>| {
            read.as_ref().map(|(kind, bytes)| (kind.clone(), bytes.as_ref().map_or(0, Vec::len)))
        };
        let answered = Answered { key: size(&key), value: size(&value), timestamp };
        let record = TopicRecord {
            key: key.and_then(|(_, bytes)| bytes),
            value: value.and_then(|(_, bytes)| bytes),
            headers,
            partition: self.partition_id,
            time,
            origin: Origin::Client,
        };
        Ok(Read { record, answered })
    }
}

impl Data<'_> {
    fn read(self) -> Result<(String, Option<Vec<u8>>), RestError> {
        let kind = self.kind.unwrap_or_default();
        let data = self.data.map(RawValue::get).filter(|raw| *raw != "null");
        let text = |raw: &str| match serde_json::from_str::<Value>(raw) {
            Ok(Value::String(text)) => text,
            _ => raw.to_owned(),
        };
        let bytes = match kind.as_str() {
            "BINARY" => data.map(|raw| base64(&text(raw))).transpose()?,
            "JSON" => data.map(|raw| compact(raw).into_bytes()),
            "STRING" => data.map(|raw| text(raw).into_bytes()),
            "" | "AVRO" | "JSONSCHEMA" | "PROTOBUF" => {
                return Err(RestError::invalid(
                    "Records with schemas are not taken here: type must be BINARY, JSON or STRING.",
                ));
            }
            other => return Err(bad(format!("type={other} is not one of BINARY, JSON, STRING."))),
        };
        Ok((kind, bytes))
    }
}

fn base64(text: &str) -> Result<Vec<u8>, RestError> {
    STANDARD.decode(text).map_err(|_| bad(format!("data={} is not a base64 string.", shortened(text))))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    text.chars().take(MOST).collect()
}

fn bad(what: String) -> RestError {
    RestError::new(400, format!("Bad Request: {what}"))
}

impl Answered {
    /// Where the record is.
    pub fn placed(&self, cluster: &str, topic: &str, position: RecordPosition) -> Value {
        let mut answer = json!({
            "cluster_id": cluster,
            "topic_name": topic,
            "partition_id": position.partition,
            "offset": position.offset,
        });
        let at = chrono::DateTime::from_timestamp_millis(self.timestamp);
        answer["timestamp"] = json!(at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
        for (name, data) in [("key", &self.key), ("value", &self.value)] {
            if let Some((kind, size)) = data {
                answer[name] = json!({"type": kind, "size": size});
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Read, (u32, String)> {
        let written: Written<'_> = serde_json::from_str(json).unwrap();
        written.read(5_000).map_err(|error| (error.body().error_code, error.body().message.clone()))
    }

    #[test]
    fn keys_and_values_become_bytes_as_their_type_says() {
        let Read { record, answered } = read(
            r#"{"partition_id": 1, "headers": [{"name": "h", "value": "aGk="}, {"name": "n", "value": null}],
                "key": {"type": "BINARY", "data": "Zm9v"}, "value": {"type": "JSON", "data": {"a": 1.50}},
                "timestamp": "2021-02-05T19:14:42Z"}"#,
        )
        .unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"foo"[..]), Some(&b"{\"a\":1.50}"[..])));
        assert_eq!(record.headers, [("h".to_owned(), Some(b"hi".to_vec())), ("n".to_owned(), None)]);
        assert_eq!(record.partition, Some(1));
        let answer = answered.placed("c1", "t", RecordPosition { partition: 1, offset: 7 });
        let expected = json!({"cluster_id": "c1", "topic_name": "t", "partition_id": 1, "offset": 7,
            "timestamp": "2021-02-05T19:14:42Z", "key": {"type": "BINARY", "size": 3}, "value": {"type": "JSON", "size": 10}});
        assert_eq!(answer, expected);
    }

    #[test]
    fn an_empty_object_is_a_record_without_key_and_value() {
        let Read { record, answered } = read("{}").unwrap();
        assert_eq!((record.key, record.value, record.time), (None, None, RecordTime::Arrived(5_000)));
        let answer = answered.placed("c1", "t", RecordPosition { partition: 0, offset: 0 });
        assert!(answer.get("key").is_none() && answer.get("value").is_none(), "{answer}");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let message = |json| read(json).unwrap_err();
        let expected = (400, "Bad Request: data=1 is not a base64 string.".to_owned());
        assert_eq!(message(r#"{"value": {"type": "BINARY", "data": 1}}"#), expected);
        assert_eq!(message(r#"{"value": {"type": "XML", "data": ""}}"#).0, 400);
        assert_eq!(message(r#"{"value": {"type": "AVRO", "data": ""}}"#).0, 422);
        assert_eq!(message(r#"{"partition_id": -1}"#).0, 400);
        assert_eq!(message(r#"{"timestamp": "yesterday"}"#).0, 400);
        assert_eq!(message(r#"{"headers": [{"name": "a\u0000b"}]}"#).0, 400);
    }
}
