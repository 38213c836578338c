//! `correio groups`

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::reset::{Reset, reset};
use super::table::{Column, table};
use super::topics::said;
use crate::application::kafka_rest::{self, GroupLags, Lag, ReadGroups};
use crate::application::ports::{Group, GroupAdministration, TopicAdministration};
use crate::infrastructure::composition::administer_kafka;
use crate::infrastructure::config::Config;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum GroupsCommand {
    /// List the ids of all consumer groups.
    List,
    /// Describe a group: a line for each partition of its topics, with its lag.
    Describe(Describe),
    /// Move a group that has no members to another place in its topics. Only shows what it would do without `--execute`.
    Reset(Reset),
}

#[derive(Debug, Args)]
pub struct Describe {
    #[arg(value_name = "GROUP", required_unless_present_any = ["named", "all_groups"])]
    group: Option<String>,
    /// The same.
    #[arg(id = "named", long = "group", value_name = "GROUP", conflicts_with = "group")]
    named: Option<String>,
    /// One after the other.
    #[arg(long, conflicts_with_all = ["group", "named"])]
    all_groups: bool,
    /// Its state instead of its offsets.
    #[arg(long, conflicts_with = "members")]
    state: bool,
    /// Its members instead of its offsets.
    #[arg(long)]
    members: bool,
}

pub async fn run(config: &Config, command: GroupsCommand) -> Result<(), CommandError> {
    let (administration, _) = administer_kafka(config)?;
    let topics: Arc<dyn TopicAdministration> = Arc::new(administration.clone());
    let groups: Arc<dyn GroupAdministration> = Arc::new(administration);
    let (groups, reset_offsets) = kafka_rest::groups(&topics, &groups, None);
    match command {
        GroupsCommand::List => {
            for group in groups.list().await.map_err(said)? {
                println!("{}", group.id);
            }
            Ok(())
        }
        GroupsCommand::Describe(arguments) => describe(&groups, arguments).await,
        GroupsCommand::Reset(arguments) => reset(&reset_offsets, arguments).await,
    }
}

async fn describe(groups: &ReadGroups, arguments: Describe) -> Result<(), CommandError> {
    let Describe { group, named, all_groups, state, members } = arguments;
    let ids = match group.or(named) {
        Some(group) => vec![group],
        None if all_groups => groups.list().await.map_err(said)?.into_iter().map(|group| group.id).collect(),
        None => Vec::new(),
    };
    for id in ids {
        let found = groups.lags(&id).await.map_err(said)?;
        let found = found.ok_or_else(|| CommandError::Other(format!("Group {id} not found.")))?;
        if found.group.members.is_empty() {
            println!("\nConsumer group '{id}' has no active members.");
        }
        let shown = match (state, members) {
            (true, _) => of_state(&found.group),
            (_, true) => of_members(&found.group),
            _ => of_offsets(&found),
        };
        println!("{shown}");
    }
    Ok(())
}

fn of_state(group: &Group) -> String {
    let columns = [
        Column::of_names("GROUP"),
        Column("COORDINATOR (ID)", 25),
        Column("ASSIGNMENT-STRATEGY", 20),
        Column("STATE", 20),
        Column("#MEMBERS", 0),
    ];
    let coordinator = group.coordinator.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let row = vec![
        group.id.clone(),
        format!("{}  ({coordinator})", group.coordinator_address),
        or_dash(&group.assignor),
        group.state.as_word().to_owned(),
        group.members.len().to_string(),
    ];
    table(&columns, &[row])
}

fn of_members(group: &Group) -> String {
    let columns = [
        Column::of_names("GROUP"),
        Column::of_names("CONSUMER-ID"),
        Column::of_names("HOST"),
        Column::of_names("CLIENT-ID"),
        Column("#PARTITIONS", 0),
    ];
    let rows: Vec<Vec<String>> = group
        .members
        .iter()
        .map(|member| {
            let partitions = member.assigned.len().to_string();
            vec![group.id.clone(), member.id.clone(), member.host.clone(), member.client_id.clone(), partitions]
        })
        .collect();
    table(&columns, &rows)
}

fn of_offsets(GroupLags { group, lines }: &GroupLags) -> String {
    let columns = [
        Column::of_names("GROUP"),
        Column::of_names("TOPIC"),
        Column("PARTITION", 10),
        Column("CURRENT-OFFSET", 15),
        Column("LOG-END-OFFSET", 15),
        Column("LAG", 15),
        Column::of_names("CONSUMER-ID"),
        Column::of_names("HOST"),
        Column("CLIENT-ID", 0),
    ];
    let rows: Vec<Vec<String>> = lines.iter().map(|lag| row(&group.id, lag)).collect();
    table(&columns, &rows)
}

fn row(group: &str, lag: &Lag) -> Vec<String> {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let member = lag.member.as_ref();
    vec![
        group.to_owned(),
        lag.place.topic.clone(),
        lag.place.partition.to_string(),
        number(lag.committed),
        number(lag.end),
        number(lag.lag()),
        member.map_or_else(|| "-".to_owned(), |member| or_dash(&member.id)),
        member.map_or_else(|| "-".to_owned(), |member| or_dash(&member.host)),
        member.map_or_else(|| "-".to_owned(), |member| or_dash(&member.client_id)),
    ]
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
