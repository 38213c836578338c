//! The members of a JSON object, whose values are left as they are: nothing of what a source sends is lost in reading it, and
//! none of it can be too deep.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::half_pairs;

/// None of what is no object.
pub fn members(json: &str) -> Option<Vec<(String, String)>> {
    // Halves of surrogate pairs are taken in values, but not in names.
    read(json).or_else(|| read(&half_pairs::marked(json, "\\ufffd")?))
}

fn read(json: &str) -> Option<Vec<(String, String)>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            members.push((name, value.get().to_owned()));
        }
        Ok(members)
    }
}

/// The last member of this name counts, as in JavaScript.
pub fn member<'m>(members: &'m [(String, String)], name: &str) -> Option<&'m str> {
    members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
