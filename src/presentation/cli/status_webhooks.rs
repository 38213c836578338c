//! `correio status-webhooks`

use std::sync::Arc;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::error::CommandError;
use super::tenant::tenant;
use crate::application::gateway::StatusWebhooks;
use crate::application::status_webhooks::{
    ChangeSubscriptionCommand, ChangeSubscriptionError, CreateSubscriptionCommand, CreateSubscriptionError,
};
use crate::domain::access::principal::{Principal, Scope, Tenant};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageStatus;
use crate::domain::problem::FieldProblem;
use crate::domain::status_webhook::{States, StatusSubscription};
use crate::infrastructure::auth::XChaChaCredentialsCipher;
use crate::infrastructure::composition::subscribe_to_states;
use crate::infrastructure::config::Config;
use crate::infrastructure::storage::database::Database;

#[derive(Debug, Subcommand)]
pub enum StatusWebhooksCommand {
    /// List a tenant's subscriptions, oldest first.
    List {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
    },
    /// Have each change of a message's state posted to a URL, and print the secret that signs it.
    Create(NewSubscription),
    /// Give a subscription another secret, and print it. For `SECRET_OVERLAP` the former one signs beside it.
    Renew(OneSubscription),
    /// Post an event to a subscription that tells of nothing, once.
    Test(OneSubscription),
    /// Tell a subscription nothing any more.
    Delete(OneSubscription),
}

#[derive(Debug, Args)]
pub struct NewSubscription {
    url: String,
    #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
    tenant: Tenant,
    /// Only of this state: sent, delivered, read, failed or cancelled; several by repeating it.
    #[arg(long = "state")]
    states: Vec<MessageStatus>,
    /// Only of messages of the instance with this `channelInstanceId`.
    #[arg(long)]
    instance: Option<String>,
}

#[derive(Debug, Args)]
pub struct OneSubscription {
    id: Uuid,
    #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
    tenant: Tenant,
}

pub async fn run(config: &Config, command: StatusWebhooksCommand) -> Result<(), CommandError> {
    let database = Database::open_existing(config).await?;
    let done = execute(config, &database, command).await;
    database.close().await;
    done
}

async fn execute(config: &Config, database: &Database, command: StatusWebhooksCommand) -> Result<(), CommandError> {
    let cipher = XChaChaCredentialsCipher::from_config(config, database.has_credentials().await?)?;
    let (subscriptions, tenants) = subscribe_to_states(config, &database.stores, Arc::new(cipher))?;
    tenants.look().await?;
    match command {
        StatusWebhooksCommand::List { tenant } => list(&subscriptions, &caller(tenant)).await,
        StatusWebhooksCommand::Create(new) => create(&subscriptions, new).await,
        StatusWebhooksCommand::Renew(OneSubscription { id, tenant }) => {
            let command = ChangeSubscriptionCommand { secret: Some(None), ..ChangeSubscriptionCommand::default() };
            let renewed = subscriptions.change.execute(&caller(tenant), InstanceId(id), command).await;
            let renewed = renewed.map_err(|error| match error {
                ChangeSubscriptionError::Invalid(problems) => said(&problems),
                error => CommandError::Other(error.to_string()),
            })?;
            println!("{}", renewed.revealed_secret.unwrap_or_default());
            Ok(())
        }
        StatusWebhooksCommand::Test(OneSubscription { id, tenant }) => {
            let tried = subscriptions.attempt.execute(&caller(tenant), InstanceId(id)).await;
            tried.map_err(|error| CommandError::Other(error.to_string()))?;
            println!("the subscriber took it");
            Ok(())
        }
        StatusWebhooksCommand::Delete(OneSubscription { id, tenant }) => {
            let deleted = subscriptions.read.delete(&caller(tenant), InstanceId(id)).await;
            deleted.map_err(|error| CommandError::Other(error.to_string()))
        }
    }
}

fn caller(tenant: Tenant) -> Principal {
    Principal { tenant, subject: "correio status-webhooks".to_owned(), scopes: Scope::ALL.to_vec() }
}

async fn list(subscriptions: &StatusWebhooks, caller: &Principal) -> Result<(), CommandError> {
    let all = subscriptions.read.all(caller).await.map_err(|error| CommandError::Other(error.to_string()))?;
    println!("ID\tURL\tSTATES\tINSTANCE\tCREATED");
    for subscription in &all {
        println!("{}", row(subscription));
    }
    Ok(())
}

fn row(subscription: &StatusSubscription) -> String {
    // A tab in a name would shift the columns.
    let shown = |text: &str| text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect::<String>();
    let states: Vec<&str> = subscription.states.listed().iter().map(|state| state.as_str()).collect();
    let fields = [
        subscription.id.to_string(),
        shown(&subscription.url),
        states.join(","),
        subscription.channel_instance_id.as_deref().map_or_else(|| "-".to_owned(), shown),
        subscription.created_at.format("%FT%TZ").to_string(),
    ];
    fields.join("\t")
}

async fn create(subscriptions: &StatusWebhooks, new: NewSubscription) -> Result<(), CommandError> {
    let states = match new.states.as_slice() {
        [] => States::all(),
        some => States::some(some).map_err(|error| CommandError::Usage(format!("--state {error}")))?,
    };
    let command = CreateSubscriptionCommand { url: new.url, secret: None, states, channel_instance_id: new.instance };
    let made = subscriptions.create.execute(&caller(new.tenant), command).await.map_err(|error| match error {
        CreateSubscriptionError::Invalid(problems) => said(&problems),
        error => CommandError::Other(error.to_string()),
    })?;
    println!("{}\t{}", made.subscription.id, made.revealed_secret.unwrap_or_default());
    Ok(())
}

fn said(problems: &[FieldProblem]) -> CommandError {
    let all: Vec<String> =
        problems.iter().map(|problem| format!("{} {}", problem.path.trim_start_matches('/'), problem.detail)).collect();
    CommandError::Usage(all.join("; "))
}
