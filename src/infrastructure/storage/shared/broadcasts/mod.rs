//! Broadcasts and their recipients, from rows of either database and for them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::rows::{Row, id, number_option, parsed, status, tenant, text, text_option, there, time};
use crate::application::ports::RepositoryError;
use crate::domain::broadcast::counts::{BroadcastCounts, BroadcastStanding};
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::broadcast::{Broadcast, BroadcastId};
use crate::domain::group::GroupId;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Content, Media, MediaType, MediaUrl};
use crate::domain::node::NodeId;

macro_rules! broadcast_columns {
    () => {
        "id, tenant, user_id, instance_id, channel, channel_instance_id, group_id, message, payload, media_url, media_type,
         template, is_template, max_retries, priority, rate_per_minute, paced_at, send_at, status, total, cursor, node_id,
         ids_at, created_at, updated_at, finished_at"
    };
}
pub(in crate::infrastructure::storage) use broadcast_columns;

/// Recipients a row.
const PART: usize = 1_000;

pub fn broadcast(row: &impl Row) -> Result<Broadcast, RepositoryError> {
    let count = |column| there(column, number_option(row, column));
    let media_type: Option<MediaType> = super::rows::parsed_option(row, "media_type", |text| text.parse().ok())?;
    let media_url = text_option(row, "media_url")?.map(MediaUrl::stored);
    Ok(Broadcast {
        id: BroadcastId(id(row, "id")?),
        tenant: tenant(row)?,
        user_id: text(row, "user_id")?,
        instance_id: InstanceId(id(row, "instance_id")?),
        channel: ChannelName::new(text(row, "channel")?),
        channel_instance_id: text(row, "channel_instance_id")?,
        group: row.id("group_id")?.map(GroupId),
        content: Content {
            text: text_option(row, "message")?,
            media: media_url.zip(media_type).map(|(url, media_type)| Media { url, media_type }),
            payload: row.json("payload")?,
            template: row.json("template")?,
            record: None,
        },
        is_template: there("is_template", row.flag("is_template"))?,
        max_tries: count("max_retries")?,
        priority: number_option(row, "priority")?,
        rate_per_minute: number_option(row, "rate_per_minute")?,
        paced_at: row.time("paced_at")?,
        send_at: row.time("send_at")?,
        status: parsed(row, "status", |text| text.parse().ok())?,
        total: count("total")?,
        cursor: count("cursor")?,
        node: row.id("node_id")?.map(NodeId),
        ids_at: time(row, "ids_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        finished_at: row.time("finished_at")?,
    })
}

/// From rows of `status` and `count`.
pub fn counts(rows: &[impl Row]) -> Result<BroadcastCounts, RepositoryError> {
    let mut counts = HashMap::new();
    for row in rows {
        let count = there("count", row.number("count"))?;
        *counts.entry(status(row, "status")?).or_default() += u64::try_from(count).unwrap_or_default();
    }
    Ok(BroadcastCounts(counts))
}

/// A broadcast with `counts` beside its columns, a JSON object, of the same moment.
pub fn standing(row: &impl Row) -> Result<BroadcastStanding, RepositoryError> {
    let corrupt = || RepositoryError::Corrupt("counts of a broadcast are no object of numbers".to_owned());
    let mut counts = HashMap::new();
    if let Some(counted) = row.json("counts")? {
        let counted: BTreeMap<String, i64> = serde_json::from_str(&counted).map_err(|_| corrupt())?;
        for (status, count) in counted {
            let status = status.parse().map_err(|_| corrupt())?;
            counts.insert(status, u64::try_from(count).unwrap_or_default());
        }
    }
    Ok(BroadcastStanding { broadcast: broadcast(row)?, counts: BroadcastCounts(counts) })
}

/// What its rows hold: from which place on, and the recipients there.
pub fn parts(recipients: &[BroadcastRecipient]) -> Vec<(i32, String)> {
    let part = |(number, part): (usize, &[BroadcastRecipient])| {
        let first = i32::try_from(number * PART).unwrap_or(i32::MAX);
        (first, Value::from_iter(part.iter().map(written)).to_string())
    };
    recipients.chunks(PART).enumerate().map(part).collect()
}

fn written(recipient: &BroadcastRecipient) -> Value {
    if recipient.variables.is_empty() {
        return json!(recipient.address);
    }
    json!([recipient.address, recipient.variables])
}

/// In which row a place is.
pub fn part_of(place: u32) -> i32 {
    let part = u32::try_from(PART).unwrap_or(u32::MAX);
    i32::try_from(place - place % part).unwrap_or(i32::MAX)
}

/// Of a row that begins with `first`, those from a place on, at most so many.
pub fn read_part(text: &str, first: i32, from: u32, most: u32) -> Result<Vec<BroadcastRecipient>, RepositoryError> {
    let corrupt = || RepositoryError::Corrupt("recipients of a broadcast are no list".to_owned());
    let all: Vec<Value> = serde_json::from_str(text).map_err(|_| corrupt())?;
    let skipped = usize::try_from(i64::from(from) - i64::from(first)).unwrap_or_default();
    all.into_iter().skip(skipped).take(most as usize).map(|value| read(value).ok_or_else(corrupt)).collect()
}

fn read(value: Value) -> Option<BroadcastRecipient> {
    match value {
        Value::String(address) => Some(BroadcastRecipient { address, variables: BTreeMap::new() }),
        Value::Array(pair) => {
            let [Value::String(address), variables] = <[Value; 2]>::try_from(pair).ok()? else { return None };
            Some(BroadcastRecipient { address, variables: serde_json::from_value(variables).ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_read_as_they_were_written() {
        let variables: BTreeMap<String, String> = [("nome".to_owned(), "Ana \"a\"".to_owned())].into();
        let recipients: Vec<BroadcastRecipient> = (0..2_500)
            .map(|place| {
                let variables = if place % 7 == 0 { variables.clone() } else { BTreeMap::new() };
                BroadcastRecipient { address: place.to_string(), variables }
            })
            .collect();
        let parts = parts(&recipients);
        assert_eq!(parts.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0, 1_000, 2_000]);
        for from in [0, 1, 999, 1_000, 1_500, 2_499] {
            let (first, text) = parts.iter().find(|(first, _)| *first == part_of(from)).unwrap();
            let read = read_part(text, *first, from, 600).unwrap();
            let expected: Vec<_> = recipients.iter().skip(from as usize).take(read.len()).cloned().collect();
            assert!(!read.is_empty() && read == expected, "{from}");
        }
    }
}
