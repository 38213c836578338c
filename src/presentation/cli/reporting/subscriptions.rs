//! `correio subscriptions`

use clap::Subcommand;
use uuid::Uuid;

use crate::application::ports::Clock;
use crate::application::subscriptions::replay_events::ReplaySelection;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::kind::KindPattern;
use crate::domain::subscription::{Subscription, SubscriptionId};
use crate::infrastructure::composition::replay_events;
use crate::infrastructure::config::Config;
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::system::SystemClock;
use crate::presentation::cli::error::CommandError;
use crate::presentation::cli::tenant::tenant;

#[derive(Debug, Subcommand)]
pub enum SubscriptionsCommand {
    /// List a tenant's subscriptions.
    List {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
    },
    /// Enable a subscription.
    Enable {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// Its id, as `list` shows it.
        id: Uuid,
    },
    /// Disable a subscription: events that come meanwhile are noted as skipped, and can be replayed.
    Disable {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// Its id, as `list` shows it.
        id: Uuid,
    },
}

pub async fn run(config: &Config, command: SubscriptionsCommand) -> Result<(), CommandError> {
    let database = Database::open_existing(config).await?;
    let done = match command {
        SubscriptionsCommand::List { tenant } => list(&database, &tenant).await,
        SubscriptionsCommand::Enable { tenant, id } => switch(&database, &tenant, id, true).await,
        SubscriptionsCommand::Disable { tenant, id } => switch(&database, &tenant, id, false).await,
    };
    database.close().await;
    done
}

async fn list(database: &Database, tenant: &Tenant) -> Result<(), CommandError> {
    println!("ID\tNAME\tTYPES\tCHANNEL\tINSTANCE\tENABLED");
    for subscription in database.stores.subscriptions.list(tenant).await? {
        let types: Vec<&str> = subscription.kinds.iter().map(KindPattern::as_str).collect();
        let name: String = subscription.name.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        let fields = [
            subscription.id.to_string(),
            name,
            types.join(","),
            subscription.channel.as_str().to_owned(),
            subscription.channel_instance_id.into_string(),
            subscription.is_enabled.to_string(),
        ];
        println!("{}", fields.join("\t"));
    }
    Ok(())
}

async fn switch(database: &Database, tenant: &Tenant, id: Uuid, is_enabled: bool) -> Result<(), CommandError> {
    let subscriptions = &database.stores.subscriptions;
    let unknown = || CommandError::Other(format!("there is no subscription with the id {id}"));
    let found = subscriptions.find(tenant, SubscriptionId(id)).await?.ok_or_else(unknown)?;
    let switched = Subscription { is_enabled, updated_at: SystemClock::new().now(), ..found };
    if subscriptions.update(&switched).await? { Ok(()) } else { Err(unknown()) }
}

/// Replays all of them, part by part, and prints how many.
pub async fn replay(
    config: &Config,
    database: &Database,
    tenant: &Tenant,
    id: Uuid,
    kinds: Vec<KindPattern>,
    (received_after, received_before): (Option<Timestamp>, Option<Timestamp>),
) -> Result<(), CommandError> {
    let replay = replay_events(config, &database.stores).map_err(|error| CommandError::Other(error.to_string()))?;
    let kinds = (!kinds.is_empty()).then_some(kinds);
    let mut selection = ReplaySelection { kinds, received_after, received_before, before: None };
    let mut replayed = 0;
    loop {
        let part = replay.execute(tenant, SubscriptionId(id), &selection).await;
        let part = part.map_err(|error| CommandError::Other(error.to_string()))?;
        replayed += part.replayed;
        if let Some(problem) = part.problem {
            eprintln!("correio: {} events cannot be replayed: {problem}", part.failed);
        }
        match part.next {
            Some(next) => selection.before = Some(next),
            None => break,
        }
    }
    println!("{replayed}");
    Ok(())
}
