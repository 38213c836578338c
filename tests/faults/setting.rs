use super::length::Length;
use super::servers::Needs;

/// How messages travel, and where they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// PostgreSQL; an API, and two workers behind Kafka.
    Kafka,
    /// PostgreSQL; a process that clients call, and another that takes over what it leaves.
    DirectPostgres,
    /// One process.
    DirectSqlite,
}

impl Setting {
    pub fn name(self) -> &'static str {
        match self {
            Setting::Kafka => "Kafka",
            Setting::DirectPostgres => "direct, PostgreSQL",
            Setting::DirectSqlite => "direct, SQLite",
        }
    }

    pub fn is_direct(self) -> bool {
        self != Setting::Kafka
    }

    pub fn needs(self) -> Needs {
        Needs { postgres: self != Setting::DirectSqlite, kafka: self == Setting::Kafka }
    }

    /// Messages a second: in the short run about half of what a build for debugging can do on a small machine, so that
    /// what has piled up is soon worked off. A message is two commits, and SQLite writes one after the other to the disk.
    pub fn rate(self, length: Length) -> u32 {
        match self {
            Setting::DirectSqlite => length.choose(75, 150),
            Setting::Kafka | Setting::DirectPostgres => length.choose(250, 500),
        }
    }
}
