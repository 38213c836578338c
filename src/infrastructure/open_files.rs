//! How many files and connections this process may have open at the same time.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use super::config::{Config, DatabaseConfig, QueueConfig};

/// Files, what listens, what wakes threads, connections to Kafka, and the database's that requests do not share.
const BESIDE: u64 = 256;

/// Raises the limit as far as the process may by itself. Services and containers often begin with a low one (1024), for the
/// sake of programs that a higher one would break.
pub fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        debug!(%error, "the limit of open files stays as it was");
    }
}

/// Warns where what is configured does not fit into the limit.
pub fn check_limit(config: &Config) {
    let needed = needed(config);
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        warn!(
            limit,
            needed,
            max_connections = config.http.max_connections,
            "the limit of open files is lower than what is configured may need, so that connections and calls can be refused \
             before MAX_CONNECTIONS is reached: raise the limit (systemd: LimitNOFILE; docker: --ulimit nofile), or lower MAX_CONNECTIONS"
        );
    }
}

/// With every place taken.
fn needed(config: &Config) -> u64 {
    // Without Kafka, a caller waits for the call that its request makes.
    let waiting = if config.queue == QueueConfig::Direct { config.http.max_in_flight } else { 0 };
    let calls = config.delivery.worker_concurrency + waiting;
    let database = match config.storage.database {
        DatabaseConfig::Sqlite { .. } => 0,
        DatabaseConfig::Postgres { .. } => config.storage.pool_size + config.storage.search_concurrency,
    };
    let connections = u64::try_from(config.http.max_connections + calls).unwrap_or(u64::MAX);
    connections.saturating_add(u64::from(database)).saturating_add(BESIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed_with(settings: &[(&str, &str)]) -> u64 {
        let value =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        needed(&Config::read(value).unwrap())
    }

    #[test]
    fn every_place_may_be_taken() {
        let kafka = [("KAFKA_ENABLED", "true"), ("MAX_CONNECTIONS", "1000"), ("WORKER_CONCURRENCY", "10")];
        assert_eq!(needed_with(&kafka), 1_000 + 10 + BESIDE);
        let direct = [("MAX_CONNECTIONS", "1000"), ("WORKER_CONCURRENCY", "10"), ("MAX_IN_FLIGHT", "100")];
        assert_eq!(needed_with(&direct), 1_000 + 10 + 100 + BESIDE);
        let postgres =
            [&kafka[..], &[("DATABASE_URL", "postgres://db/correio"), ("DATABASE_POOL_SIZE", "30")]].concat();
        assert_eq!(needed_with(&postgres), 1_000 + 10 + 30 + 4 + BESIDE);
    }
}
