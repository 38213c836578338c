use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::{Config, ConfigError, DatabaseConfig, HttpConfig, JwtConfig, QueueConfig, kafka, values};
use crate::domain::message::tries::MOST_TRIES;

/// Every variable that is read. `.env.example` documents exactly these.
pub(super) const VARIABLES: &[&str] = &[
    "HOST",
    "PORT",
    "MAX_BODY_BYTES",
    "DATA_DIR",
    "DATABASE_URL",
    "CREDENTIALS_KEY",
    "BOOTSTRAP_API_KEY",
    "JWT_SECRET",
    "JWT_PUBLIC_KEY",
    "JWT_JWKS_URL",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_TENANT_CLAIM",
    "KAFKA_ENABLED",
    "KAFKA_BROKERS",
    "KAFKA_GROUP_ID",
    "KAFKA_TOPIC_PREFIX",
    "KAFKA_PARTITIONS",
    "KAFKA_REPLICATION_FACTOR",
    "KAFKA_PUBLISH_TIMEOUT",
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SSL_CA_LOCATION",
    "KAFKA_SSL_CERTIFICATE_LOCATION",
    "KAFKA_SSL_KEY_LOCATION",
    "KAFKA_SSL_KEY_PASSWORD",
    "WORKER_CONCURRENCY",
    "NODE_TIMEOUT",
    "MAX_RETRIES",
    "RETRY_BACKOFF",
    "SHUTDOWN_TIMEOUT",
    "WEBHOOK_BLOCK_PRIVATE",
    "LOG_FORMAT",
    "RUST_LOG",
];

pub(super) struct Variables<G>(G);

impl<G: Fn(&str) -> Option<String>> Variables<G> {
    /// None when it is unset; an empty value counts as unset.
    pub(super) fn parsed<T>(
        &self,
        variable: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = (self.0)(variable).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        // A NUL cannot be in a path, in a header, or in PostgreSQL's text.
        if text.contains('\0') {
            return Err(ConfigError::new(variable, "must not contain a NUL"));
        }
        parse(&text).map(Some).map_err(|sentence| ConfigError::new(variable, sentence))
    }

    pub(super) fn parsed_or<T>(
        &self,
        variable: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        Ok(self.parsed(variable, parse)?.unwrap_or(default))
    }
}

impl Config {
    /// Reads everything through `get`; the only other thing it looks at is the file that `JWT_PUBLIC_KEY` may name.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variables = Variables(get);
        let data_dir = variables.parsed_or("DATA_DIR", PathBuf::from("./data"), |text| Ok(PathBuf::from(text)))?;
        let embedded = || DatabaseConfig::Sqlite { path: data_dir.join("correio.db") };
        let seconds = Duration::from_secs;
        Ok(Self {
            http: http(&variables)?,
            database: variables.parsed("DATABASE_URL", values::database)?.unwrap_or_else(embedded),
            credentials_keys: variables.parsed("CREDENTIALS_KEY", values::credentials_keys)?,
            bootstrap_api_key: variables.parsed("BOOTSTRAP_API_KEY", values::bootstrap_api_key)?,
            jwt: jwt(&variables)?,
            queue: queue(&variables)?,
            worker_concurrency: variables.parsed_or("WORKER_CONCURRENCY", 64, values::number(1..=10_000))?,
            node_timeout: variables.parsed_or("NODE_TIMEOUT", seconds(15), values::duration_of_at_least(seconds(1)))?,
            max_tries: variables.parsed_or("MAX_RETRIES", 3, values::number(1..=MOST_TRIES))?,
            retry_backoff: variables.parsed_or("RETRY_BACKOFF", [1, 4, 16].map(seconds).to_vec(), values::durations)?,
            shutdown_timeout: variables.parsed_or("SHUTDOWN_TIMEOUT", seconds(30), values::duration)?,
            webhook_block_private: variables.parsed_or("WEBHOOK_BLOCK_PRIVATE", false, values::boolean)?,
            log_format: variables.parsed("LOG_FORMAT", values::log_format)?,
            log_filter: variables.parsed_or("RUST_LOG", "info".to_owned(), values::log_filter)?,
            data_dir,
        })
    }
}

fn http<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<HttpConfig, ConfigError> {
    Ok(HttpConfig {
        host: variables.parsed_or("HOST", IpAddr::from(Ipv4Addr::LOCALHOST), values::host)?,
        port: variables.parsed_or("PORT", 3000, values::number(0..=u16::MAX))?,
        max_body_bytes: variables.parsed_or("MAX_BODY_BYTES", 1_048_576, values::number(1..=1_073_741_824))?,
    })
}

fn jwt<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<JwtConfig, ConfigError> {
    Ok(JwtConfig {
        secret: variables.parsed("JWT_SECRET", values::jwt_secret)?,
        public_key: variables.parsed("JWT_PUBLIC_KEY", values::public_key)?,
        jwks_url: variables.parsed("JWT_JWKS_URL", values::http_url)?,
        issuer: variables.parsed("JWT_ISSUER", values::text)?,
        audience: variables.parsed("JWT_AUDIENCE", values::text)?,
        tenant_claim: variables.parsed_or("JWT_TENANT_CLAIM", "tenant".to_owned(), values::text)?,
    })
}

fn queue<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<QueueConfig, ConfigError> {
    // Without Kafka, what else is said about it may stay in the environment, unread.
    if variables.parsed_or("KAFKA_ENABLED", false, values::boolean)? {
        return Ok(QueueConfig::Kafka(Box::new(kafka::read(variables)?)));
    }
    Ok(QueueConfig::Direct)
}
