//! `correio instances`

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::time::{Instant, sleep};

use super::error::CommandError;
use super::tenant::tenant;
use crate::application::instances::connect_instance::{Asked, ConnectInstanceError};
use crate::application::ports::Connection;
use crate::domain::access::principal::{Principal, Scope, Tenant};
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{ConnectionStatus, Instance};
use crate::infrastructure::auth::XChaChaCredentialsCipher;
use crate::infrastructure::composition::connect_instances;
use crate::infrastructure::config::{Config, parse_duration};
use crate::infrastructure::storage::database::Database;
use crate::presentation::qr_code;

#[derive(Debug, Subcommand)]
pub enum InstancesCommand {
    /// List a tenant's instances, oldest first.
    List {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// Only those of this channel.
        #[arg(long)]
        channel: Option<String>,
    },
    /// Connect an instance at its provider: make it there or take it over, subscribe to its events, show the code to scan and wait
    /// until it is scanned.
    Connect(OneInstance),
    /// Show the code that connects an instance, and wait until it is scanned.
    Qr(OneInstance),
}

#[derive(Debug, Args)]
pub struct OneInstance {
    /// Its `channelInstanceId`.
    name: String,
    #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
    tenant: Tenant,
    #[arg(long, default_value = "whatsapp_evolution")]
    channel: String,
    /// How long to wait for the scan.
    #[arg(long, default_value = "3m", value_parser = parse_duration)]
    wait: Duration,
}

/// Between two looks whether the code was scanned.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A code lives for less than a minute.
const FRESH_CODE: Duration = Duration::from_secs(30);

pub async fn run(config: &Config, command: InstancesCommand) -> Result<(), CommandError> {
    let database = Database::open_existing(config).await?;
    let done = match command {
        InstancesCommand::List { tenant, channel } => list(&database, &tenant, channel).await,
        InstancesCommand::Connect(one) => connect(config, &database, one, true).await,
        InstancesCommand::Qr(one) => connect(config, &database, one, false).await,
    };
    database.close().await;
    done
}

async fn list(database: &Database, tenant: &Tenant, channel: Option<String>) -> Result<(), CommandError> {
    let channel = channel.map(ChannelName::new);
    let listed = database.stores.instances.list(tenant, channel.as_ref()).await?;
    println!("ID\tCHANNEL\tNAME\tADDRESS\tSTATUS\tCREATED");
    for instance in &listed.instances {
        println!("{}", row(instance));
    }
    if listed.more {
        return Err(CommandError::Other("there are more instances than fit into one list: name a channel".to_owned()));
    }
    Ok(())
}

fn row(instance: &Instance) -> String {
    // A tab in a name would shift the columns.
    let shown = |text: &str| text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect::<String>();
    let fields = [
        instance.id.to_string(),
        instance.channel.to_string(),
        shown(&instance.channel_instance_id),
        shown(&instance.channel_phone_or_id),
        instance.status.as_str().to_owned(),
        instance.created_at.format("%FT%TZ").to_string(),
    ];
    fields.join("\t")
}

async fn connect(config: &Config, database: &Database, one: OneInstance, makes: bool) -> Result<(), CommandError> {
    let cipher = XChaChaCredentialsCipher::from_config(config, database.has_credentials().await?)?;
    let (connecting, tenants) = connect_instances(config, &database.stores, Arc::new(cipher))?;
    tenants.look().await?;
    let channel = ChannelName::new(one.channel.as_str());
    let found = database.stores.instances.find_by_name(&one.tenant, &channel, &one.name).await?;
    let mut instance = found.ok_or_else(|| {
        CommandError::Other(format!("tenant {} has no instance {} of channel {channel}", one.tenant, one.name))
    })?;
    if connecting.channels.connector(&channel).is_none() {
        return Err(CommandError::Usage(format!("instances of channel {channel} need no connecting")));
    }
    let caller =
        Principal { tenant: one.tenant.clone(), subject: "correio instances".to_owned(), scopes: Scope::ALL.to_vec() };
    let connection = match makes {
        true => connecting.connect(&mut instance).await.map_err(said)?,
        false => Some(connecting.ask(&caller, instance.id, Asked::Code).await.map_err(said)?),
    };
    let mut terminal = std::io::stdout();
    let mut asked_at = Instant::now();
    let until = asked_at + one.wait;
    let mut connection = connection.unwrap_or_else(|| Connection::of(instance.status));
    loop {
        if let Some(problem) = connection.problem.take() {
            eprintln!("{problem}");
        }
        match connection.status {
            ConnectionStatus::Connected => {
                println!("{} is connected", one.name);
                return Ok(());
            }
            ConnectionStatus::Error => return Err(CommandError::Other(format!("{} is not connected", one.name))),
            _ => {}
        }
        if let Some(drawn) = connection.code.as_ref().and_then(qr_code::in_a_terminal) {
            let shown = write!(terminal, "{drawn}").and_then(|()| terminal.flush());
            shown.map_err(|error| CommandError::Other(format!("the code cannot be shown: {error}")))?;
            eprintln!("Scan it with WhatsApp: Linked devices, Link a device.");
        }
        if Instant::now() >= until {
            return Err(CommandError::Other(format!("{} was not connected within {:?}", one.name, one.wait)));
        }
        sleep(LOOK_AGAIN).await;
        connecting.look(&mut instance).await.map_err(said)?;
        connection = Connection::of(instance.status);
        if asked_at.elapsed() >= FRESH_CODE && instance.status != ConnectionStatus::Connected {
            asked_at = Instant::now();
            connection = connecting.ask(&caller, instance.id, Asked::Code).await.map_err(said)?;
        }
    }
}

fn said(error: ConnectInstanceError) -> CommandError {
    CommandError::Other(error.to_string())
}
