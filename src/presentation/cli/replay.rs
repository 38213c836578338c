//! `correio replay`

use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use super::error::CommandError;
use super::tenant::tenant;
use crate::application::gateway::replay_messages;
use crate::application::ports::{FailedSelection, Purposes, Replay};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::message::{MessageId, Purpose};
use crate::infrastructure::config::Config;
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::system::SystemClock;

/// Which failed messages to replay. A running server delivers them.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// The message with this id; several by repeating it. Without any: all that match the options.
    #[arg(conflicts_with_all = ["all", "instance", "created_after", "created_before"])]
    id: Vec<Uuid>,
    /// Every failed message that the other options do not leave out.
    #[arg(long, required_unless_present_any = ["id", "instance", "created_after", "created_before"])]
    all: bool,
    /// Those that tell subscribers of changes (status webhooks), and no others.
    #[arg(long, conflicts_with = "id")]
    status_webhooks: bool,
    /// Only this tenant's.
    #[arg(long, value_parser = tenant)]
    tenant: Option<Tenant>,
    /// Only those of the instances with this `channelInstanceId`.
    #[arg(long)]
    instance: Option<String>,
    /// Only those created at this moment or later, e.g. `2026-01-18T00:00:00Z`.
    #[arg(long, value_parser = moment)]
    created_after: Option<Timestamp>,
    /// Only those created before this moment.
    #[arg(long, value_parser = moment)]
    created_before: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    parsed.map_err(|_| "not a time such as 2026-01-18T00:00:00Z".to_owned())
}

/// Prints how many messages are on their way again; which ids are not, on standard error.
pub async fn run(config: &Config, arguments: ReplayArguments) -> Result<(), CommandError> {
    let database = Database::open_existing(config).await?;
    let replayed = replay(&database, arguments).await;
    database.close().await;
    println!("{}", replayed?);
    Ok(())
}

async fn replay(database: &Database, arguments: ReplayArguments) -> Result<u64, CommandError> {
    let replay_messages = replay_messages(&database.stores, Arc::new(SystemClock::new()));
    if arguments.id.is_empty() {
        let selection = FailedSelection {
            purposes: if arguments.status_webhooks { Purposes::Of(Purpose::Status) } else { Purposes::Own },
            tenant: arguments.tenant,
            channel_instance_id: arguments.instance,
            created_after: arguments.created_after,
            created_before: arguments.created_before,
        };
        return Ok(replay_messages.all(&selection).await?);
    }
    let mut replayed = 0;
    for id in arguments.id {
        let message = database.stores.messages.find(MessageId(id)).await?;
        let message = message.filter(|it| arguments.tenant.as_ref().is_none_or(|tenant| it.tenant == *tenant));
        let outcome = match message {
            Some(message) => replay_messages.one(&message.tenant, message.id).await?,
            None => Replay::Unknown,
        };
        match outcome {
            Replay::Queued => replayed += 1,
            Replay::NotFailed => eprintln!("correio: the message {id} has not failed"),
            Replay::Unknown => eprintln!("correio: there is no message with the id {id}"),
        }
    }
    Ok(replayed)
}
