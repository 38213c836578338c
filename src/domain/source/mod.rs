//! Where events come from besides our own API: a path, how it proves itself, and where type and id are found.

pub mod finder;
pub mod proof;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Timestamp;
use super::access::principal::Tenant;
use super::event::kind::KindPattern;
use finder::{Finder, Request, first};
use proof::Proof;

/// A place that takes reports, as the configuration describes it.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    /// What follows `/sources/` in its URL.
    pub path: String,
    pub tenant: Tenant,
    pub proof: Proof,
    /// Each the first of several that finds something.
    pub kind: Vec<Finder>,
    pub id: Vec<Finder>,
    pub occurred_at: Vec<Finder>,
    pub ordering_key: Vec<Finder>,
    /// JSON text of a JSON Schema for the data of some types.
    pub schemas: Vec<(KindPattern, String)>,
    /// Data that do not follow their schema are stored with the type `invalid`, and not refused.
    pub keeps_invalid: bool,
    /// Members that the data get.
    pub enrichment: Vec<(String, Enrichment)>,
    pub answer: SourceAnswer,
}

/// What a member that the data get holds.
#[derive(Clone, Debug)]
pub enum Enrichment {
    Constant(Value),
    /// What a finder finds; null where it finds nothing.
    Found(Finder),
    NewId,
    Now,
    /// What a table has for what a finder finds; null where it has nothing.
    Lookup {
        table: BTreeMap<String, String>,
        by: Finder,
    },
}

/// What its reporter is answered.
#[derive(Clone, Debug)]
pub struct SourceAnswer {
    pub status: u16,
    /// A template over `id`, `type` and `duplicate`; none: these as JSON.
    pub body: Option<String>,
}

/// The type of events whose data do not follow their schema, where they are kept.
pub const INVALID_KIND: &str = "invalid";

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: Option<String>,
    pub id: Option<String>,
    pub occurred_at: Option<Timestamp>,
    pub ordering_key: Option<String>,
}

impl Source {
    pub fn find(&self, request: &Request<'_>) -> Found {
        Found {
            kind: first(&self.kind, request),
            id: first(&self.id, request),
            occurred_at: first(&self.occurred_at, request).as_deref().and_then(moment),
            ordering_key: first(&self.ordering_key, request),
        }
    }

    /// The members that the data get.
    pub fn enriched(&self, request: &Request<'_>, new_id: &dyn Fn() -> String, now: &str) -> Map<String, Value> {
        let found = |finder: &Finder| finder.find(request).map_or(Value::Null, Value::from);
        let value = |enrichment: &Enrichment| match enrichment {
            Enrichment::Constant(value) => value.clone(),
            Enrichment::Found(finder) => found(finder),
            Enrichment::NewId => Value::from(new_id()),
            Enrichment::Now => Value::from(now),
            Enrichment::Lookup { table, by } => {
                let key = by.find(request);
                key.and_then(|key| table.get(&key)).map_or(Value::Null, |value| Value::from(value.as_str()))
            }
        };
        self.enrichment.iter().map(|(member, enrichment)| (member.clone(), value(enrichment))).collect()
    }

    /// The schema that data of this type have to follow, if they have.
    pub fn schema_of(&self, kind: &str) -> Option<&str> {
        self.schemas.iter().find(|(pattern, _)| pattern.matches(kind)).map(|(_, schema)| schema.as_str())
    }
}

/// RFC 3339, or seconds or milliseconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    /// The seconds of the year 5138, and the milliseconds of 1973.
    const MOST_SECONDS: i64 = 100_000_000_000;
    let time = match text.parse::<i64>() {
        Ok(number) if number.abs() < MOST_SECONDS => Timestamp::from_timestamp(number, 0),
        Ok(number) => Timestamp::from_timestamp_millis(number),
        Err(_) => chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
    };
    time.filter(|time| (1970..=9999).contains(&chrono::Datelike::year(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_ways() {
        let expected = "2026-01-18T12:00:00Z".parse::<Timestamp>().ok();
        for text in ["2026-01-18T09:00:00-03:00", "1768737600", "1768737600000"] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("ontem"), None);
        assert_eq!(moment(&i64::MAX.to_string()), None);
    }
}
