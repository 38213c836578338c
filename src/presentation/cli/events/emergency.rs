//! `correio emergency`

use clap::Subcommand;

use crate::infrastructure::config::Config;
use crate::infrastructure::spool::{FileSwitch, root};
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum EmergencyCommand {
    /// Events go to the spool alone, and wait there.
    On,
    /// Events go to the database again, and those that wait are stored.
    Off,
}

/// Switches it for the processes that use this `DATA_DIR`, which notice within a second; needs no database.
pub fn run(config: &Config, command: &EmergencyCommand) -> Result<(), CommandError> {
    let on = matches!(command, EmergencyCommand::On);
    FileSwitch::set_for_all(&root(&config.storage.data_dir), on)
        .map_err(|error| CommandError::Other(error.to_string()))?;
    println!("emergency mode is {}", if on { "on" } else { "off" });
    Ok(())
}
