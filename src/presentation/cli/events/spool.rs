//! `correio spool`

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use futures::FutureExt;

use crate::application::Stop;
use crate::application::events::DrainSpool;
use crate::application::events::bells::Bells;
use crate::application::events::database_gate::DatabaseGate;
use crate::application::ports::{EmergencySwitch, SpoolError};
use crate::infrastructure::config::Config;
use crate::infrastructure::spool::{FileSpool, count, reset, root};
use crate::infrastructure::storage::database::Database;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// Print how many events wait for the database.
    Status,
    /// Store the events that processes have left which run no more. A process that runs does so itself.
    Drain,
    /// Put back among what waits what could not be read or stored and is kept aside, to be tried from the beginning.
    Reset(ResetArguments),
}

#[derive(Debug, Args)]
pub struct ResetArguments {
    /// Does it without a question.
    #[arg(long, short)]
    yes: bool,
}

/// Stores although there is an emergency: it was asked for.
struct NoEmergency;

impl EmergencySwitch for NoEmergency {
    fn is_on(&self) -> bool {
        false
    }

    fn set(&self, _: bool) -> Result<(), SpoolError> {
        Ok(())
    }
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
        SpoolCommand::Reset(arguments) => {
            if !arguments.yes && !is_wanted()? {
                return Ok(());
            }
            let events = reset(&root).map_err(|error| unusable(&root, &error))?;
            println!("{events} events are tried once more");
            Ok(())
        }
    }
}

/// Anything but a yes is a no, and so is the end of the input.
fn is_wanted() -> Result<bool, CommandError> {
    eprint!("Put what is kept aside back among the events that wait? (y/N) ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| CommandError::Other(format!("the answer cannot be read: {error}")))?;
    Ok(["y", "yes", "s", "sim"].contains(&answer.trim().to_lowercase().as_str()))
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
        emergency: Arc::new(NoEmergency),
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
