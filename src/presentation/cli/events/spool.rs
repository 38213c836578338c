//! `correio spool`

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use futures::FutureExt;

use crate::application::Stop;
use crate::application::events::DrainSpool;
use crate::application::events::bells::Bells;
use crate::application::events::database_gate::DatabaseGate;
use crate::infrastructure::config::Config;
use crate::infrastructure::spool::{FileSpool, FileSwitch, count, root};
use crate::infrastructure::storage::database::Database;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// Print how many events wait for the database.
    Status,
    /// Store the events that processes have left which run no more. A process that runs does so itself.
    Drain,
}

pub async fn run(config: &Config, command: &SpoolCommand) -> Result<(), CommandError> {
    let root = root(&config.storage.data_dir);
    match command {
        SpoolCommand::Status => {
            println!("{}", waiting(&root)?);
            Ok(())
        }
        SpoolCommand::Drain => {
            let database = Database::open_existing(config).await?;
            let drained = drain(&database, config, &root).await;
            database.close().await;
            println!("{} events stored", drained?);
            let (left, _) = count(&root).map_err(|error| unusable(&root, &error))?;
            if left > 0 {
                eprintln!("correio: {left} events are left to the processes that have received them and still run");
            }
            Ok(())
        }
    }
}

fn waiting(root: &Path) -> Result<String, CommandError> {
    let (events, bytes) = count(root).map_err(|error| unusable(root, &error))?;
    Ok(format!("{events} events, {bytes} bytes"))
}

async fn drain(database: &Database, config: &Config, root: &Path) -> Result<u64, CommandError> {
    let spool = FileSpool::open(root, config.events.spool_max_bytes).map_err(|error| unusable(root, &error))?;
    let drain = DrainSpool {
        spool: Arc::new(spool),
        events: database.stores.events.clone(),
        storage: database.stores.storage.clone(),
        emergency: Arc::new(FileSwitch::new(root.to_owned(), false)),
        gate: DatabaseGate::default(),
        bells: Bells::default(),
    };
    let never: Stop = std::future::pending().boxed().shared();
    let mut stored = 0;
    drain.drain(&never, &mut stored).await?;
    Ok(stored)
}

fn unusable(root: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Other(format!("{}: {error}", root.display()))
}
