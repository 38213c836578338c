use async_trait::async_trait;
use correio::application::ports::{RepositoryError, SignInEnd, SignInFailures};
use correio::domain::Timestamp;
use correio::domain::access::lockout::Failures;

use super::database::MemoryDatabase;
use super::tables::Tables;

pub struct MemorySignInFailures {
    database: MemoryDatabase,
}

impl MemorySignInFailures {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SignInFailures for MemorySignInFailures {
    async fn locked_until(&self, name: &[u8; 32], now: Timestamp) -> Result<Option<Timestamp>, RepositoryError> {
        let locked = |tables: &mut Tables| tables.sign_in_failures.get(name).and_then(|it| it.locked_until(now));
        self.database.run_now("sign_in_failures.locked_until", |tables| Ok(locked(tables))).await
    }

    async fn end(&self, name: &[u8; 32], succeeded: bool, now: Timestamp) -> Result<SignInEnd, RepositoryError> {
        let end = |tables: &mut Tables| {
            let failures: Failures = tables.sign_in_failures.get(name).cloned().unwrap_or_default();
            if let Some(until) = failures.locked_until(now) {
                return SignInEnd::LockedUntil(until);
            }
            if succeeded {
                tables.sign_in_failures.remove(name);
            } else {
                tables.sign_in_failures.insert(*name, failures.and(now));
            }
            SignInEnd::Noted
        };
        self.database.run_now("sign_in_failures.end", |tables| Ok(end(tables))).await
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let forget = |tables: &mut Tables| {
            tables.sign_in_failures.retain(|_, failures| failures.times().last().is_some_and(|last| *last >= time));
            Ok(false)
        };
        self.database.run_now("sign_in_failures.forget", forget).await
    }
}
