//! `correio import-outbox`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::error::CommandError;
use super::tenant::tenant;
use crate::application::topics::{FormerRecord, ImportRecords};
use crate::domain::access::principal::{Principal, Tenant};
use crate::domain::instance::Instance;
use crate::domain::topic::{RecordTime, TopicName, TopicRecord};
use crate::infrastructure::auth::XChaChaCredentialsCipher;
use crate::infrastructure::composition::topics_instance;
use crate::infrastructure::config::Config;
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::storage::node_outbox::{NodeOutbox, OutboxRow};
use crate::infrastructure::system::{SystemClock, SystemIds};

/// Takes over what the Node bridge has kept and not published. A running server publishes it.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// Its `outbox.db`. It is only read; the bridge must have stopped.
    path: PathBuf,
    /// Whose the records are.
    #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
    tenant: Tenant,
    /// Also those that it had given up (`dlq`).
    #[arg(long)]
    dead_letters: bool,
    /// Print what would be taken over, and take nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default)]
struct Tally {
    taken: u64,
    known: u64,
    refused: u64,
}

/// Prints how many records were taken over; what cannot be, on standard error.
pub async fn run(config: &Config, arguments: ImportArguments) -> Result<(), CommandError> {
    let mut outbox = NodeOutbox::open(&arguments.path, arguments.dead_letters).await?;
    if arguments.dry_run {
        let mut count = 0;
        loop {
            let rows = outbox.next().await?;
            if rows.is_empty() {
                println!("{count}");
                return Ok(());
            }
            count += rows.len();
        }
    }
    let database = Database::open_existing(config).await?;
    let imported = import(config, &database, &mut outbox, arguments.tenant).await;
    database.close().await;
    let Tally { taken, known, refused } = imported?;
    eprintln!("correio: {taken} taken over, {known} taken over before, {refused} cannot be");
    println!("{taken}");
    if refused > 0 { Err(CommandError::Other(format!("{refused} records cannot be taken over"))) } else { Ok(()) }
}

async fn import(
    config: &Config,
    database: &Database,
    outbox: &mut NodeOutbox,
    tenant: Tenant,
) -> Result<Tally, CommandError> {
    let cipher = XChaChaCredentialsCipher::from_config(config, database.has_credentials().await?)?;
    let owner = Principal { tenant, subject: "correio import-outbox".to_owned(), scopes: Vec::new() };
    let made = topics_instance(&owner, &database.stores, Arc::new(cipher)).await;
    let instance = made.map_err(|error| CommandError::Other(error.to_string()))?;
    let import = ImportRecords {
        messages: database.stores.messages.clone(),
        ids: Arc::new(SystemIds::default()),
        clock: Arc::new(SystemClock::new()),
    };
    let mut tally = Tally::default();
    loop {
        let rows = outbox.next().await?;
        if rows.is_empty() {
            return Ok(tally);
        }
        for row in rows {
            take(&import, &owner, &instance, row, &mut tally).await?;
        }
    }
}

async fn take(
    import: &ImportRecords,
    owner: &Principal,
    instance: &Instance,
    row: OutboxRow,
    tally: &mut Tally,
) -> Result<(), CommandError> {
    let name = row.message_id.clone();
    match former(row) {
        Ok(former) => match import.one(owner, instance, former).await? {
            true => tally.taken += 1,
            false => tally.known += 1,
        },
        Err(problem) => {
            eprintln!("correio: {name}: {problem}");
            tally.refused += 1;
        }
    }
    Ok(())
}

/// With the headers that the bridge's own retries had, so that a consumer that knows a record by its `message-id` still does.
fn former(row: OutboxRow) -> Result<FormerRecord, String> {
    let topic = TopicName::parse(row.topic).map_err(|error| format!("its topic {error}"))?;
    let header = |name: &str, text: String| (name.to_owned(), Some(text.into_bytes()));
    let record = TopicRecord {
        key: row.key.filter(|key| !key.is_empty()).map(String::into_bytes),
        value: Some(row.value.into_bytes()),
        headers: vec![
            header("message-id", row.message_id.clone()),
            header("retry-count", (row.retry_count + 1).to_string()),
        ],
        // When it is published: a topic deletes what is older than it keeps.
        time: RecordTime::Published,
        ..TopicRecord::default()
    };
    Ok(FormerRecord { name: row.message_id, topic, record })
}
