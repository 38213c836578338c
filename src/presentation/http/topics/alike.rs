//! Which records are alike.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::topic::{TopicName, TopicRecord};

/// Equal for records of one topic that have the same key and, but for these members, the same value.
pub fn digest(topic: &TopicName, record: &TopicRecord, without: &[String]) -> [u8; 32] {
    let value = record.value.as_deref().unwrap_or_default();
    let counted = counted(value, without);
    let mut digest = Sha256::new();
    for part in
        [topic.as_str().as_bytes(), record.key.as_deref().unwrap_or_default(), counted.as_deref().unwrap_or(value)]
    {
        // With its length, so that no two parts read as others.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// None where nothing is left out, or it cannot be read into values.
fn counted(value: &[u8], without: &[String]) -> Option<Vec<u8>> {
    let mut value: Value = (!without.is_empty()).then(|| serde_json::from_slice(value).ok())??;
    for pointer in without {
        let (parent, name) = pointer.rsplit_once('/')?;
        if let Some(Value::Object(members)) = value.pointer_mut(parent) {
            members.shift_remove(&name.replace("~1", "/").replace("~0", "~"));
        }
    }
    serde_json::to_vec(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, value: &str) -> [u8; 32] {
        let record = TopicRecord {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            ..TopicRecord::default()
        };
        digest(&TopicName::parse("invoices").unwrap(), &record, &["/metadata/at".to_owned()])
    }

    #[test]
    fn what_does_not_count_makes_no_difference_and_everything_else_does() {
        let first = of("1", r#"{"a":1,"metadata":{"at":"10:00","by":"x"}}"#);
        assert_eq!(of("1", r#"{"a":1,"metadata":{"at":"10:01","by":"x"}}"#), first);
        for (key, value) in [
            ("2", r#"{"a":1,"metadata":{"at":"10:00","by":"x"}}"#),
            ("1", r#"{"a":2,"metadata":{"at":"10:00","by":"x"}}"#),
            ("1", r#"{"a":1,"metadata":{"at":"10:00","by":"y"}}"#),
            ("1", "[1]"),
        ] {
            assert_ne!(of(key, value), first);
        }
    }
}
