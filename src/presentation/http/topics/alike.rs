//! Which records are alike.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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

/// None where nothing is left out, or it cannot be read.
fn counted(value: &[u8], without: &[String]) -> Option<Vec<u8>> {
    let value: &RawValue = (!without.is_empty()).then(|| serde_json::from_slice(value).ok())??;
    let left_out: Vec<Vec<String>> = without.iter().map(|pointer| tokens(pointer)).collect();
    let left_out: Vec<&[String]> = left_out.iter().map(Vec::as_slice).collect();
    let mut counted = Vec::with_capacity(value.get().len());
    write_without(value, &left_out, &mut counted)?;
    Some(counted)
}

fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// What is not on the way to a member that is left out counts as it is written: numbers, above all, with all their digits.
fn write_without(value: &RawValue, left_out: &[&[String]], counted: &mut Vec<u8>) -> Option<()> {
    let first = value.get().as_bytes().first();
    match first {
        Some(b'{') if !left_out.is_empty() => {
            counted.push(b'{');
            for (name, value) in serde_json::from_str::<Members<'_>>(value.get()).ok()?.0 {
                let Some(below) = below(left_out, &name) else { continue };
                serde_json::to_writer(&mut *counted, &name).ok()?;
                counted.push(b':');
                write_without(value, &below, counted)?;
                counted.push(b',');
            }
            counted.push(b'}');
        }
        Some(b'[') if !left_out.is_empty() => {
            counted.push(b'[');
            for (place, item) in serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.into_iter().enumerate() {
                // Only members are left out.
                write_without(item, &below(left_out, &place.to_string()).unwrap_or_default(), counted)?;
                counted.push(b',');
            }
            counted.push(b']');
        }
        _ => counted.extend_from_slice(value.get().as_bytes()),
    }
    Some(())
}

/// What is left out of the value of this name; none: all of it.
fn below<'p>(left_out: &[&'p [String]], name: &str) -> Option<Vec<&'p [String]>> {
    let below = left_out.iter().filter_map(|pointer| pointer.split_first());
    let below: Vec<_> = below.filter(|(first, _)| *first == name).map(|(_, rest)| rest).collect();
    if below.iter().any(|rest| rest.is_empty()) { None } else { Some(below) }
}

/// In their order, and all of them where several have one name.
struct Members<'v>(Vec<(Cow<'v, str>, &'v RawValue)>);

impl<'de: 'v, 'v> Deserialize<'de> for Members<'v> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
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

    #[test]
    fn numbers_count_with_all_their_digits() {
        let keys = ["35250112345678901234567890123456789012345671", "35250112345678901234567890123456789012345672"];
        let [one, other] = keys.map(|key| of("1", &format!(r#"{{"chave":{key},"metadata":{{"at":1}}}}"#)));
        assert_ne!(one, other);
        let [one, again] =
            ["1", "2"].map(|at| of("1", &format!(r#"{{"chave":{},"metadata":{{"at":{at}}}}}"#, keys[0])));
        assert_eq!(one, again);
    }

    #[test]
    fn a_pointer_leads_through_lists_and_escaped_names() {
        let counted = |value: &str, pointers: &[&str]| {
            let pointers: Vec<String> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
            counted(value.as_bytes(), &pointers).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let value = r#"{"a":[{"b":1,"c":1.10},2],"x/y":3,"z":{"b":1}}"#;
        let of = |pointers: &[&str]| counted(value, pointers).unwrap();
        assert_eq!(of(&["/a/0/b", "/x~1y"]), r#"{"a":[{"c":1.10,},2,],"z":{"b":1},}"#);
        assert_eq!(of(&["/a/1"]), r#"{"a":[{"b":1,"c":1.10},2,],"x/y":3,"z":{"b":1},}"#);
        assert_eq!(of(&["/nothing"]), r#"{"a":[{"b":1,"c":1.10},2],"x/y":3,"z":{"b":1},}"#);
        assert_eq!(counted("[1", &["/a"]), None);
        assert_eq!(counted("[1]", &[]), None);
    }
}
