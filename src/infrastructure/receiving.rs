//! What takes events in, picked from the configuration.

use std::sync::Arc;

use tracing::warn;

use super::config::{Config, ConfigError, DatabaseConfig, WebhookConfig};
use super::sources::PipedriveReader;
use super::spool::{self, FileSpool, FileSwitch, MissingSpool};
use super::tables::{PgEventTables, SqliteEventTables, read_plan};
use crate::application::events::receive_webhook::ReceiverSettings;
use crate::application::events::receiver::{PlannedTables, Publication, ReceiverPorts};
use crate::application::ports::{EventSpool, EventTables, RepositoryError, TopicProducer};
use crate::domain::event::Step;

/// What takes events in, and where they wait while the database is away.
///
/// # Errors
/// When the configuration cannot be used.
pub fn receiver(config: &Config, producer: Option<Arc<dyn TopicProducer>>) -> Result<ReceiverPorts, ConfigError> {
    let root = spool::root(&config.storage.data_dir);
    let spool: Arc<dyn EventSpool> = match FileSpool::open(&root, config.events.spool_max_bytes) {
        Ok(spool) => Arc::new(spool),
        // What runs on another machine's database may have no disk to write to.
        Err(error) => {
            let sentence =
                format!("events cannot be kept in {} while the database is away (DATA_DIR): {error}", root.display());
            warn!("{sentence}");
            Arc::new(MissingSpool(sentence))
        }
    };
    Ok(ReceiverPorts {
        spool,
        emergency: Arc::new(FileSwitch::new(root, config.events.emergency)),
        reader: Arc::new(PipedriveReader),
        webhook: config.events.webhook.as_ref().map(|webhook| webhook_settings(webhook, producer.is_some())),
        publication: producer
            .zip(config.events.webhook.as_ref())
            .map(|(producer, webhook)| Publication { producer, topic: webhook.topic.clone() }),
        tables: match &config.events.webhook {
            Some(webhook) => tables(config, webhook)?,
            None => None,
        },
    })
}

/// How the webhooks of a CRM are taken in.
pub fn webhook_settings(webhook: &WebhookConfig, is_published: bool) -> ReceiverSettings {
    let publish = is_published.then_some(Step::Publish);
    let tables = webhook.tables.as_ref().map(|_| Step::Tables);
    ReceiverSettings {
        tenant: webhook.tenant.clone(),
        source: "webhook".to_owned(),
        steps: publish.into_iter().chain(tables).collect(),
        companies: webhook.companies.clone(),
    }
}

/// The tables that events are written to, where a file says so.
fn tables(config: &Config, webhook: &WebhookConfig) -> Result<Option<PlannedTables>, ConfigError> {
    let Some(path) = &webhook.tables else { return Ok(None) };
    let plan = read_plan(path).map_err(|sentence| ConfigError::new("WEBHOOK_TABLES", sentence))?;
    let tables: Arc<dyn EventTables> = match (&webhook.tables_url, &config.storage.database) {
        (Some(url), _) | (None, DatabaseConfig::Postgres { url }) => {
            let unusable = |error: RepositoryError| ConfigError::new("WEBHOOK_TABLES_URL", error.to_string());
            Arc::new(PgEventTables::new(url, plan.clone()).map_err(unusable)?)
        }
        (None, DatabaseConfig::Sqlite { path }) => Arc::new(SqliteEventTables::new(path, plan.clone())),
    };
    Ok(Some(PlannedTables { tables, plan }))
}
