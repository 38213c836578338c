//! `correio keys`

use std::sync::Arc;

use clap::Subcommand;
use uuid::Uuid;

use crate::application::access::issue_api_key::NewApiKey;
use crate::application::gateway::issue_api_key;
use crate::application::ports::Clock;
use crate::domain::Timestamp;
use crate::domain::access::api_key::ApiKey;
use crate::domain::access::principal::{Scope, Tenant};
use crate::infrastructure::auth::api_keys;
use crate::infrastructure::config::{Config, parse_duration};
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::system::{SystemClock, SystemIds};
use crate::presentation::cli::error::CommandError;
use crate::presentation::cli::tenant::tenant;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, and print it this once.
    Create {
        /// Whose rows it gives access to.
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it may do; several by repeating it. Without any: all but administer.
        #[arg(long, value_delimiter = ',')]
        scope: Vec<Scope>,
        /// When it stops: a time (`2027-01-01T00:00:00Z`) or how long from now (`720h`). Without it: never.
        #[arg(long, value_parser = expiry)]
        expires: Option<Timestamp>,
        /// How often it may be used in a minute where requests are counted (/events). Without it: RATE_LIMIT_PER_KEY.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
        requests_per_minute: Option<u32>,
    },
    /// List keys, revoked ones too: never the keys themselves.
    List {
        #[arg(long, value_parser = tenant)]
        tenant: Option<Tenant>,
    },
    /// Revoke a key: it stops within 5 s in every process.
    Revoke {
        /// Its id, as `list` shows it.
        id: Uuid,
    },
}

/// Until when a key works, and how often.
struct Limits {
    expires_at: Option<Timestamp>,
    requests_per_minute: Option<u32>,
}

pub async fn run(config: &Config, command: KeysCommand) -> Result<(), CommandError> {
    let database = match &command {
        // Also before the first start of a server.
        KeysCommand::Create { .. } => Database::open(config).await?,
        KeysCommand::List { .. } | KeysCommand::Revoke { .. } => Database::open_existing(config).await?,
    };
    let done = match command {
        KeysCommand::Create { tenant, name, scope, expires, requests_per_minute } => {
            let limits = Limits { expires_at: expires, requests_per_minute };
            create(&database, tenant, name, scope, limits).await
        }
        KeysCommand::List { tenant } => list(&database, tenant.as_ref()).await,
        KeysCommand::Revoke { id } => revoke(&database, id).await,
    };
    database.close().await;
    done
}

async fn create(
    database: &Database,
    tenant: Tenant,
    name: String,
    scopes: Vec<Scope>,
    Limits { expires_at, requests_per_minute }: Limits,
) -> Result<(), CommandError> {
    let new = api_keys::generate().map_err(|error| CommandError::Other(error.to_string()))?;
    let everything_but_admin = || Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin).collect();
    let scopes = if scopes.is_empty() { everything_but_admin() } else { scopes };
    let issue = issue_api_key(&database.stores, Arc::new(SystemClock::new()), Arc::new(SystemIds::default()));
    let (key, prefix) = (new.plaintext.as_str(), new.prefix);
    let key = NewApiKey { id: None, tenant, name, key, prefix, scopes, expires_at, requests_per_minute };
    issue.execute(key).await?;
    println!("{}", new.plaintext);
    Ok(())
}

async fn list(database: &Database, tenant: Option<&Tenant>) -> Result<(), CommandError> {
    println!("ID\tTENANT\tNAME\tPREFIX\tSCOPES\tCREATED\tEXPIRES\tREVOKED");
    for key in database.stores.api_keys.list(tenant).await? {
        println!("{}", row(&key));
    }
    Ok(())
}

fn row(key: &ApiKey) -> String {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.format("%FT%TZ").to_string());
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    // A tab in a name would shift the columns.
    let name: String = key.name.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let fields = [
        key.id.to_string(),
        key.tenant.to_string(),
        name,
        format!("{}…", key.prefix),
        scopes.join(","),
        time(Some(key.created_at)),
        time(key.expires_at),
        time(key.revoked_at),
    ];
    fields.join("\t")
}

async fn revoke(database: &Database, id: Uuid) -> Result<(), CommandError> {
    if database.stores.api_keys.revoke(id, SystemClock::new().now()).await? {
        Ok(())
    } else {
        Err(CommandError::Other(format!("there is no key with the id {id}")))
    }
}

/// A time, or how long from now.
fn expiry(text: &str) -> Result<Timestamp, String> {
    let now = SystemClock::new().now();
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return if at > now { Ok(at.to_utc()) } else { Err("it is in the past".to_owned()) };
    }
    let wait = parse_duration(text)
        .map_err(|_| "neither a time such as 2027-01-01T00:00:00Z nor a duration such as 720h".to_owned())?;
    Ok(now + wait)
}
