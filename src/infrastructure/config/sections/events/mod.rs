//! What is reported to us as events, and where it waits while the database is away.

use std::path::PathBuf;

use crate::application::events::receive_webhook::Companies;
use crate::domain::access::principal::Tenant;
use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::sections::postgres_url::postgres_url;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed, boolean, number};
use crate::infrastructure::config::variables::Variables;

#[derive(Clone, Debug)]
pub struct EventsConfig {
    /// None: `/webhook` is not served.
    pub webhook: Option<WebhookConfig>,
    pub spool_max_bytes: u64,
    /// Whether the process starts in emergency mode.
    pub emergency: bool,
}

/// The receiver of a CRM's webhooks.
#[derive(Clone)]
pub struct WebhookConfig {
    pub tenant: Tenant,
    pub secret: Option<String>,
    pub companies: Companies,
    pub topic: String,
    /// The file that says which tables are written.
    pub tables: Option<PathBuf>,
    /// Another PostgreSQL than the installation's that has them.
    pub tables_url: Option<String>,
}

impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("tenant", &self.tenant)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

pub const SECTION: Section = Section {
    title: "Events",
    about: "What a CRM reports to `POST /webhook`, and where it waits while the database is away.",
    settings: &[
        WEBHOOK_ENABLED.entry(),
        WEBHOOK_TENANT.entry(),
        WEBHOOK_SECRET.entry(),
        WEBHOOK_COMPANIES.entry(),
        WEBHOOK_TOPIC.entry(),
        WEBHOOK_TABLES.entry(),
        WEBHOOK_TABLES_URL.entry(),
        SPOOL_MAX_BYTES.entry(),
        EMERGENCY_MODE.entry(),
    ],
};

const WEBHOOK_ENABLED: Setting<bool> =
    Setting { name: "WEBHOOK_ENABLED", default: "true", about: "Whether `POST /webhook` is served.", parse: boolean };

const WEBHOOK_TENANT: Setting<Tenant> = Setting {
    name: "WEBHOOK_TENANT",
    default: "default",
    about: "Tenant whose events these are.",
    parse: |text| Tenant::new(text).map_err(|error| error.to_string()),
};

const WEBHOOK_SECRET: OptionalSetting<String> = OptionalSetting {
    name: "WEBHOOK_SECRET",
    unset: "everybody who reaches the port may report",
    example: "",
    about: "Secret that a CRM proves itself by: as the password of HTTP Basic, or as the last part of the URL, \
            `/webhook/<secret>`. 16 to 255 letters, digits and `-._~`.",
    parse: secret,
};

const WEBHOOK_COMPANIES: Setting<Companies> = Setting {
    name: "WEBHOOK_COMPANIES",
    default: "13881612:Matriz,23342970:Itapema,*:Itapema",
    about: "What the companies of the CRM are called in an event's `empresa`: `id:name`, separated by commas; `*` is every other one.",
    parse: companies,
};

const WEBHOOK_TOPIC: Setting<String> = Setting {
    name: "WEBHOOK_TOPIC",
    default: "webhook-events",
    about: "Topic to which these events are published as soon as brokers are configured; it is made if it is not there. \
            `KAFKA_TOPIC_PREFIX` does not come before it.",
    parse: topic,
};

const WEBHOOK_TABLES: OptionalSetting<PathBuf> = OptionalSetting {
    name: "WEBHOOK_TABLES",
    unset: "no tables are written",
    example: "./config.json",
    about: "JSON file that says to which tables these events are written, and which columns these have: \
            `webhook_full_log`, and one for each entity.",
    parse: |text| values::path(text).map(PathBuf::from),
};

const WEBHOOK_TABLES_URL: OptionalSetting<String> = OptionalSetting {
    name: "WEBHOOK_TABLES_URL",
    unset: "the installation's database has the tables",
    example: "postgres://correio:password@localhost:5432/crm",
    about: "Another PostgreSQL that has the tables of `WEBHOOK_TABLES`.",
    parse: tables_url,
};

const SPOOL_MAX_BYTES: Setting<u64> = Setting {
    name: "SPOOL_MAX_BYTES",
    default: "1073741824",
    about: "Bytes of events that may wait in `DATA_DIR/spool` while the database is away, from 65536 on. Further ones are \
            answered 503.",
    parse: |text| number(text, 65_536..=u64::MAX / 2),
};

const EMERGENCY_MODE: Setting<bool> = Setting {
    name: "EMERGENCY_MODE",
    default: "false",
    about: "`true` starts in emergency mode: events go to the spool alone, and are stored once it is switched off.",
    parse: boolean,
};

impl EventsConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let webhook = WebhookConfig {
            tenant: WEBHOOK_TENANT.read(variables)?,
            secret: WEBHOOK_SECRET.read(variables)?,
            companies: WEBHOOK_COMPANIES.read(variables)?,
            topic: WEBHOOK_TOPIC.read(variables)?,
            tables: WEBHOOK_TABLES.read(variables)?,
            tables_url: WEBHOOK_TABLES_URL.read(variables)?,
        };
        Ok(Self {
            webhook: WEBHOOK_ENABLED.read(variables)?.then_some(webhook),
            spool_max_bytes: SPOOL_MAX_BYTES.read(variables)?,
            emergency: EMERGENCY_MODE.read(variables)?,
        })
    }
}

fn secret(text: &str) -> Parsed<String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._~".contains(character);
    if !(16..=255).contains(&text.len()) || !text.chars().all(is_plain) {
        return Err("must have 16 to 255 letters, digits and `-._~`".to_owned());
    }
    Ok(text.to_owned())
}

fn tables_url(text: &str) -> Parsed<String> {
    match text.starts_with("postgres://") || text.starts_with("postgresql://") {
        true => postgres_url(text),
        false => Err("must be the URL of a PostgreSQL database, `postgres://…`".to_owned()),
    }
}

fn companies(text: &str) -> Parsed<Companies> {
    let mut companies = Companies::default();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let Some((id, name)) = pair.split_once(':') else {
            return Err("must be `id:name`, several of them separated by commas".to_owned());
        };
        match id.trim() {
            "*" => companies.others = Some(name.trim().to_owned()),
            id => companies.named.push((id.to_owned(), name.trim().to_owned())),
        }
    }
    Ok(companies)
}

fn topic(text: &str) -> Parsed<String> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if !(1..=200).contains(&text.len()) || !text.chars().all(is_allowed) || [".", ".."].contains(&text) {
        return Err("must be a name that Kafka takes for a topic: 1 to 200 letters, digits and `._-`".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companies_have_names_by_their_ids() {
        let read = companies("13881612:Matriz, 23342970 : Itapema,*:Outra").unwrap();
        assert_eq!(read.name(Some("13881612")), Some("Matriz"));
        assert_eq!(read.name(Some("23342970")), Some("Itapema"));
        assert_eq!((read.name(Some("1")), read.name(None)), (Some("Outra"), Some("Outra")));
        assert_eq!(companies("").unwrap().name(Some("1")), None);
        assert!(companies("Matriz").is_err());
    }
}
