use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

pub static POSTGRES: LazyLock<Migrator> =
    LazyLock::new(|| migrator(include!(concat!(env!("OUT_DIR"), "/migrations_postgres.rs"))));

pub static SQLITE: LazyLock<Migrator> =
    LazyLock::new(|| migrator(include!(concat!(env!("OUT_DIR"), "/migrations_sqlite.rs"))));

/// From the version, the description and the SQL of each migration, as `build.rs` lists them.
fn migrator(listed: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = listed.iter().map(|(version, description, sql)| {
        Migration::new(*version, (*description).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // A process of this version starts anew beside newer ones, in the middle of an update: their migrations leave what it
    // needs. (`docs/operations/rollout.md`)
    migrator.set_ignore_missing(true);
    migrator
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Databases that were made with sqlx's own macro know the migrations by its checksums.
    #[tokio::test]
    async fn they_are_those_that_sqlx_finds() {
        for (embedded, directory) in [(&*POSTGRES, "postgres"), (&*SQLITE, "sqlite")] {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(directory);
            let found = Migrator::new(directory).await.unwrap();
            assert!(embedded.iter().count() >= 3);
            assert_eq!(embedded.iter().count(), found.iter().count());
            for (ours, its) in embedded.iter().zip(found.iter()) {
                assert_eq!((ours.version, &ours.description), (its.version, &its.description));
                assert_eq!((ours.migration_type, ours.no_tx), (its.migration_type, its.no_tx));
                assert_eq!((ours.sql.as_str(), &ours.checksum), (its.sql.as_str(), &its.checksum));
            }
        }
    }
}
