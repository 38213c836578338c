//! `correio groups reset`

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use clap::Args;

use super::table::{Column, table};
use crate::application::kafka_rest::{NewOffset, ResetError, ResetOffsets, ResetTo, Selection};
use crate::application::ports::Clock;
use crate::infrastructure::config::parse_duration;
use crate::infrastructure::system::SystemClock;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Args)]
pub struct Reset {
    #[arg(value_name = "GROUP", required_unless_present = "named")]
    group: Option<String>,
    /// The same.
    #[arg(id = "named", long = "group", value_name = "GROUP", conflicts_with = "group")]
    named: Option<String>,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    to: To,
    /// Does it.
    #[arg(long, conflicts_with = "dry_run")]
    execute: bool,
    /// Only shows what it would do: the default.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Of {
    /// Of all topics that the group has committed in.
    #[arg(long)]
    all_topics: bool,
    /// Of this topic, or of some of its partitions: `orders`, `orders:0,1`. Several by repeating it.
    #[arg(long, value_parser = partitions)]
    topic: Vec<(String, Option<Vec<i32>>)>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct To {
    /// To the oldest records.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the newest records.
    #[arg(long)]
    to_latest: bool,
    /// To this offset.
    #[arg(long, value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// To the first record of this time or later: `2026-01-18T00:00:00.000`, which is UTC unless it says otherwise.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to_datetime: Option<i64>,
    /// To the first record that is not older than this: `2h`.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    by_duration: Option<Duration>,
    /// So many records later; earlier with a negative number.
    #[arg(long, value_name = "RECORDS", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// Where it is.
    #[arg(long)]
    to_current: bool,
}

impl To {
    fn target(&self) -> ResetTo {
        let ago = |ago: Duration| SystemClock::new().now() - ago;
        match self {
            Self { to_offset: Some(offset), .. } => ResetTo::Offset(*offset),
            Self { to_datetime: Some(millis), .. } => ResetTo::Time(*millis),
            Self { by_duration: Some(duration), .. } => ResetTo::Time(ago(*duration).timestamp_millis()),
            Self { shift_by: Some(records), .. } => ResetTo::ShiftBy(*records),
            Self { to_latest: true, .. } => ResetTo::Latest,
            Self { to_current: true, .. } => ResetTo::Current,
            _ => ResetTo::Earliest,
        }
    }
}

/// A topic, and which of its partitions.
fn partitions(text: &str) -> Result<(String, Option<Vec<i32>>), String> {
    let Some((topic, numbers)) = text.split_once(':') else { return Ok((text.to_owned(), None)) };
    let numbers: Result<Vec<i32>, _> = numbers.split(',').map(|number| number.trim().parse()).collect();
    numbers.map(|numbers| (topic.to_owned(), Some(numbers))).map_err(|_| "not TOPIC, or TOPIC:0,1".to_owned())
}

fn moment(text: &str) -> Result<i64, String> {
    let with_zone = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_millis());
    let in_utc =
        || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc().timestamp_millis());
    with_zone.or_else(|_| in_utc()).map_err(|_| "not a time such as 2026-01-18T00:00:00.000".to_owned())
}

pub async fn reset(reset_offsets: &ResetOffsets, arguments: Reset) -> Result<(), CommandError> {
    let Reset { group, named, of, to, execute, dry_run } = arguments;
    let group = group.or(named).unwrap_or_default();
    let selection = if of.all_topics { Selection::AllTopics } else { Selection::Topics(of.topic) };
    if !execute && !dry_run {
        eprintln!("WARN: No action will be performed as the --execute option is missing.");
    }
    let done = reset_offsets.execute(&group, &selection, to.target(), !execute).await;
    let offsets = done.map_err(|error| match error {
        ResetError::Active { group, state } => CommandError::Other(format!(
            "Assignments can only be reset if the group '{group}' is inactive, but the current state is {}.",
            state.as_word()
        )),
        error => CommandError::Other(error.to_string()),
    })?;
    println!("{}", shown(&group, &offsets));
    Ok(())
}

fn shown(group: &str, offsets: &[NewOffset]) -> String {
    let columns =
        [Column::of_names("GROUP"), Column::of_names("TOPIC"), Column("PARTITION", 10), Column("NEW-OFFSET", 0)];
    let rows: Vec<Vec<String>> = offsets
        .iter()
        .map(|new| {
            let partition = new.place.partition.to_string();
            vec![group.to_owned(), new.place.topic.clone(), partition, new.to.to_string()]
        })
        .collect();
    table(&columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_times_are_read_as_kafkas_tool_reads_them() {
        assert_eq!(partitions("orders"), Ok(("orders".to_owned(), None)));
        assert_eq!(partitions("orders:0,2"), Ok(("orders".to_owned(), Some(vec![0, 2]))));
        assert!(partitions("orders:a").is_err());
        assert_eq!(moment("1970-01-01T00:00:01.500"), Ok(1_500));
        assert_eq!(moment("1970-01-01T01:00:01+01:00"), Ok(1_000));
        assert!(moment("yesterday").is_err());
    }
}
