//! The command line: `correio serve|migrate|keys|users|instances|broadcast|status-webhooks|sources|subscriptions|topics|groups|
//! replay|import-outbox|events|emergency|spool|backup|token|bench`.

mod access;
mod backup;
mod bench;
mod broadcast;
mod error;
mod events;
mod import_outbox;
mod instances;
mod kafka;
mod replay;
mod reporting;
mod serve;
mod signals;
mod status_webhooks;
mod tenant;

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
    Keys(access::keys::KeysCommand),
    /// List instances, connect them at their providers, and show their codes.
    #[command(subcommand)]
    Instances(instances::InstancesCommand),
    /// Subscribe to changes of messages' states (status webhooks), and list, renew, try and delete subscriptions.
    #[command(subcommand)]
    StatusWebhooks(status_webhooks::StatusWebhooksCommand),
    /// Make, list and disable users, who log in for tokens.
    #[command(subcommand)]
    Users(access::users::UsersCommand),
    /// Check and list the sources that the installation's file describes.
    #[command(subcommand)]
    Sources(reporting::sources::SourcesCommand),
    /// List subscriptions to events, enable and disable them.
    #[command(subcommand)]
    Subscriptions(reporting::subscriptions::SubscriptionsCommand),
    /// List, create, describe and read topics of the Kafka of `KAFKA_BROKERS`.
    #[command(subcommand)]
    Topics(kafka::topics::TopicsCommand),
    /// List, describe and reset consumer groups of the Kafka of `KAFKA_BROKERS`.
    #[command(subcommand)]
    Groups(kafka::groups::GroupsCommand),
    #[command(subcommand)]
    Broadcast(broadcast::BroadcastCommand),
    /// Put failed messages back on their way, and print how many.
    Replay(replay::ReplayArguments),
    /// Take events over, look at them, and replay them.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Switch the emergency mode on or off: events wait in files, whatever the database does.
    #[command(subcommand)]
    Emergency(events::emergency::EmergencyCommand),
    /// Look at the events that wait for the database, and store them.
    #[command(subcommand)]
    Spool(events::spool::SpoolCommand),
    /// Take over what the Node bridge's outbox.db holds and Kafka does not, and print how many records.
    ImportOutbox(import_outbox::ImportArguments),
    /// Copy the SQLite database to a new file, also while a server uses it, and check the copy.
    Backup(backup::BackupArguments),
    /// Print a token signed with `JWT_SECRET`.
    Token(access::token::TokenArguments),
    Bench(Box<bench::BenchArguments>),
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    #[command(flatten)]
    Import(events::import::EventsCommand),
    #[command(flatten)]
    Look(reporting::events::EventsCommand),
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
        Command::Keys(command) => access::keys::run(&configured()?, command).await,
        Command::Instances(command) => instances::run(&configured()?, command).await,
        Command::StatusWebhooks(command) => status_webhooks::run(&configured()?, command).await,
        Command::Users(command) => access::users::run(&configured()?, command).await,
        Command::Sources(command) => reporting::sources::run(&configured()?, &command),
        Command::Subscriptions(command) => reporting::subscriptions::run(&configured()?, command).await,
        Command::Topics(command) => kafka::topics::run(&configured()?, command).await,
        Command::Groups(command) => kafka::groups::run(&configured()?, command).await,
        Command::Replay(arguments) => replay::run(&configured()?, arguments).await,
        Command::Events(EventsCommand::Import(command)) => events::import::run(&configured()?, command).await,
        Command::Events(EventsCommand::Look(command)) => reporting::events::run(&configured()?, command).await,
        Command::Emergency(command) => events::emergency::run(&configured()?, &command),
        Command::Spool(command) => events::spool::run(&configured()?, &command).await,
        Command::ImportOutbox(arguments) => import_outbox::run(&configured()?, arguments).await,
        Command::Backup(arguments) => backup::run(&configured()?, arguments).await,
        Command::Token(arguments) => access::token::run(&configured()?, arguments),
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
