//! `correio events import`

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::application::events::import_webhooks::{ImportWebhooks, Imported};
use crate::application::ports::Clock;
use crate::infrastructure::config::{Config, TopicBrokers};
use crate::infrastructure::receiving::webhook_settings;
use crate::infrastructure::sources::{Inserted, PipedriveReader, inserted_rows};
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::system::SystemClock;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Take over what another receiver of a CRM's webhooks has kept.
    Import(ImportArguments),
}

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// Its folder of fallback files (`webhook-<webhookId>.json`).
    #[arg(long, required_unless_present = "dump")]
    files: Option<PathBuf>,
    /// What `mysqldump` wrote of its database: the rows of `webhook_full_log`.
    #[arg(long)]
    dump: Option<PathBuf>,
}

/// The table that has every event whole, and where its payload is.
const LOG: &str = "webhook_full_log";
const PAYLOAD: usize = 3;

/// Prints how many events are new, and how many were there; what cannot be read, on standard error.
pub async fn run(config: &Config, command: EventsCommand) -> Result<(), CommandError> {
    let EventsCommand::Import(arguments) = command;
    let Some(webhook) = &config.events.webhook else {
        return Err(CommandError::Usage("WEBHOOK_ENABLED is false: there is no receiver to import for".to_owned()));
    };
    let database = Database::open(config).await?;
    let import = ImportWebhooks {
        reader: Arc::new(PipedriveReader),
        events: database.stores.events.clone(),
        settings: webhook_settings(webhook, config.topics.brokers != TopicBrokers::None),
    };
    let mut counts = Counts::default();
    let imported = import_all(&import, &arguments, &mut counts).await;
    database.close().await;
    println!("{} events imported, {} were there", counts.new, counts.known);
    imported
}

#[derive(Default)]
struct Counts {
    new: u64,
    known: u64,
}

impl Counts {
    async fn one(
        &mut self,
        import: &ImportWebhooks,
        body: &str,
        was_handled: bool,
        place: &str,
    ) -> Result<(), CommandError> {
        match import.execute(body, was_handled, SystemClock::new().now()).await? {
            Imported::New => self.new += 1,
            Imported::Known => self.known += 1,
            Imported::Unreadable => eprintln!("correio: {place}: no report with a webhookId"),
        }
        Ok(())
    }
}

async fn import_all(
    import: &ImportWebhooks,
    arguments: &ImportArguments,
    counts: &mut Counts,
) -> Result<(), CommandError> {
    if let Some(directory) = &arguments.files {
        import_files(import, directory, counts).await?;
    }
    if let Some(dump) = &arguments.dump {
        import_dump(import, dump, counts).await?;
    }
    Ok(())
}

async fn import_files(import: &ImportWebhooks, directory: &Path, counts: &mut Counts) -> Result<(), CommandError> {
    let unreadable = |error: std::io::Error| CommandError::Other(format!("{}: {error}", directory.display()));
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    for path in paths {
        match fs::read(&path) {
            Ok(bytes) => {
                let body = String::from_utf8_lossy(&bytes);
                counts.one(import, &body, false, &path.display().to_string()).await?;
            }
            Err(error) => eprintln!("correio: {}: {error}", path.display()),
        }
    }
    Ok(())
}

async fn import_dump(import: &ImportWebhooks, dump: &Path, counts: &mut Counts) -> Result<(), CommandError> {
    let unreadable = |error: std::io::Error| CommandError::Other(format!("{}: {error}", dump.display()));
    let mut lines = BufReader::new(File::open(dump).map_err(unreadable)?);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    while lines.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        number += 1;
        let place = format!("{}:{number}", dump.display());
        match inserted_rows(&String::from_utf8_lossy(&line), LOG) {
            None => {}
            Some(Ok(inserted)) => import_rows(import, inserted, &place, counts).await?,
            Some(Err(error)) => eprintln!("correio: {place}: {error}"),
        }
        line.clear();
    }
    Ok(())
}

async fn import_rows(
    import: &ImportWebhooks,
    inserted: Inserted,
    place: &str,
    counts: &mut Counts,
) -> Result<(), CommandError> {
    let named = inserted.columns.and_then(|columns| columns.iter().position(|name| name == "payload"));
    for row in inserted.rows {
        let payload = row.into_iter().nth(named.unwrap_or(PAYLOAD)).flatten().unwrap_or_default();
        counts.one(import, &payload, true, place).await?;
    }
    Ok(())
}
