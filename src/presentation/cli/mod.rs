//! The command line: `correio serve|migrate|keys|instances|broadcast|replay|events|emergency|spool|backup|token|bench`.

mod backup;
mod bench;
mod broadcast;
mod error;
mod events;
mod first_key;
mod instances;
mod keys;
mod replay;
mod serve;
mod signals;
mod tenant;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::infrastructure::config::{Config, Role};
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::telemetry::logging;
use error::CommandError;
use signals::Signals;

/// One authenticated REST API in front of every channel a company sends through.
///
/// Configured by environment variables, also from `.env` in the working directory: see `.env.example`.
#[derive(Debug, Parser)]
#[command(name = "correio", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and deliver messages (what `correio` alone does).
    Serve {
        /// What this process does: all, api or worker.
        #[arg(long, default_value_t = Role::All)]
        role: Role,
    },
    /// Bring the database's tables up to date.
    Migrate,
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// List instances, connect them at their providers, and show their codes.
    #[command(subcommand)]
    Instances(instances::InstancesCommand),
    #[command(subcommand)]
    Broadcast(broadcast::BroadcastCommand),
    /// Put failed messages back on their way, and print how many.
    Replay(replay::ReplayArguments),
    /// Take events over.
    #[command(subcommand)]
    Events(events::import::EventsCommand),
    /// Switch the emergency mode on or off: events wait in files, whatever the database does.
    #[command(subcommand)]
    Emergency(events::emergency::EmergencyCommand),
    /// Look at the events that wait for the database, and store them.
    #[command(subcommand)]
    Spool(events::spool::SpoolCommand),
    /// Copy the SQLite database to a new file, also while a server uses it, and check the copy.
    Backup(backup::BackupArguments),
    /// Print a token signed with `JWT_SECRET`.
    Token(token::TokenArguments),
    Bench(Box<bench::BenchArguments>),
}

/// Runs the command that the process was started with. 0: it did; 1: it could not start or do it; 2: wrong usage.
pub async fn run() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Serve { role: Role::All });
    let done = execute(command).await;
    logging::finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Config(error)) => fail(&error.to_string()),
        Err(CommandError::Other(sentence)) => fail(&sentence),
        Err(CommandError::Usage(sentence)) => {
            say(&sentence);
            ExitCode::from(2)
        }
    }
}

fn fail(sentence: &str) -> ExitCode {
    say(sentence);
    ExitCode::from(1)
}

fn say(sentence: &str) {
    // One line, whatever an error's text has in it.
    logging::print(&format!("correio: {}", sentence.split_whitespace().collect::<Vec<_>>().join(" ")));
}

async fn execute(command: Command) -> Result<(), CommandError> {
    signals::pass_over_others().map_err(|error| serve::no_signals(&error))?;
    match command {
        Command::Serve { role } => Ok(serve::serve(&configured()?, role).await?),
        Command::Migrate => {
            let config = configured()?;
            // The first process of a container is ended by no signal that it does not catch.
            let signals = Signals::catch().map_err(|error| serve::no_signals(&error))?;
            if let Some(database) = serve::unless_stopped(&signals, Database::open(&config)).await? {
                database.close().await;
            }
            Ok(())
        }
        Command::Keys(command) => keys::run(&configured()?, command).await,
        Command::Instances(command) => instances::run(&configured()?, command).await,
        Command::Replay(arguments) => replay::run(&configured()?, arguments).await,
        Command::Events(command) => events::import::run(&configured()?, command).await,
        Command::Emergency(command) => events::emergency::run(&configured()?, &command),
        Command::Spool(command) => events::spool::run(&configured()?, &command).await,
        Command::Backup(arguments) => backup::run(&configured()?, arguments).await,
        Command::Token(arguments) => token::run(&configured()?, arguments),
        // These call a server, and may run where none could.
        Command::Broadcast(command) => broadcast::run(command).await,
        Command::Bench(arguments) => bench::run(*arguments).await,
    }
}

/// The configuration, with logging as it says.
fn configured() -> Result<Config, CommandError> {
    let config = Config::from_environment()?;
    let started = logging::init(config.logs.format, &config.logs.filter);
    started.map_err(|error| CommandError::Other(format!("a thread that writes the log cannot be started: {error}")))?;
    Ok(config)
}
