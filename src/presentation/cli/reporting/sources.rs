//! `correio sources`

use clap::Subcommand;

use crate::infrastructure::config::Config;
use crate::presentation::cli::error::CommandError;

#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// Check the file of sources (`CORREIO_CONFIG`), and list what it describes.
    List,
}

pub fn run(config: &Config, command: &SourcesCommand) -> Result<(), CommandError> {
    let SourcesCommand::List = command;
    println!("NAME\tPATH\tTENANT\tAUTH");
    for source in config.sources()?.iter() {
        println!("{}\t/sources/{}\t{}\t{}", source.name, source.path, source.tenant, source.proof.name());
    }
    Ok(())
}
