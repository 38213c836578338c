//! Everything around the program that is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Result;
use crate::arguments::Arguments;
use crate::disk;
use crate::nginx::Nginx;
use crate::support::kafka_server::KafkaServer;
use crate::support::postgres_server::PostgresServer;
use crate::tool;
use crate::wrk::Wrk;

/// Of Kafka's heap, as Java is told.
pub const KAFKA_HEAP: &str = "1g";

/// What a production server of this size is given, and what makes a commit a promise, which is also PostgreSQL's default.
pub const POSTGRES_SETTINGS: [&str; 6] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
];

/// Counts the statements of a database that asks for it, and no others.
const STATEMENTS: [&str; 2] = ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=none"];

pub struct Stage {
    pub postgres: PostgresServer,
    pub kafka: KafkaServer,
    pub nginx: Nginx,
    pub wrk: Wrk,
    pub pgbench: PathBuf,
    /// Whether PostgreSQL can say which statements it was asked.
    pub counts_statements: bool,
    pub kafka_jars: PathBuf,
    pub rust_log: Option<String>,
    directory: TempDir,
}

impl Stage {
    /// # Errors
    /// When something is not installed, or the disk is none.
    pub async fn set(arguments: &Arguments) -> Result<Self> {
        if let Some(directory) = &arguments.directory {
            std::fs::create_dir_all(directory)?;
            // The servers' own directories are temporary ones, too.
            tempfile::env::override_temp_dir(directory).map_err(|_| "the temporary directory was chosen already")?;
        }
        let directory = tempfile::tempdir()?;
        if disk::filesystem(directory.path()).await? == "tmpfs" {
            let path = directory.path().display();
            return Err(format!("{path} is memory and not a disk: name one with --directory").into());
        }
        let wrk = Wrk::find(directory.path())?;
        let nginx = Nginx::start().await?;
        let kafka_jars = kafka_jars().await?;
        let kafka = KafkaServer::start_from(kafka_jars.clone(), KAFKA_HEAP).await;
        let counts_statements = can_count_statements();
        let statements = counts_statements.then_some(STATEMENTS).into_iter().flatten();
        let settings: Vec<&str> = POSTGRES_SETTINGS.into_iter().chain(statements).collect();
        let postgres = PostgresServer::start_with(&settings).await;
        let postgres = postgres.ok_or("PostgreSQL is not installed (Debian: apt-get install postgresql)")?;
        let pgbench = postgres.program("pgbench");
        if !pgbench.is_file() {
            return Err(format!("{} is not installed", pgbench.display()).into());
        }
        let rust_log = arguments.rust_log.clone();
        Ok(Self { postgres, kafka, nginx, wrk, pgbench, counts_statements, kafka_jars, rust_log, directory })
    }

    /// A directory on the same disk, removed with everything else.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn subdirectory(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// What a measured program last warned of.
    pub fn last_warning(&self) -> Option<String> {
        let logs = self.logs().into_iter().filter_map(|log| std::fs::read_to_string(log).ok());
        let warnings = logs.flat_map(|log| {
            let of_note = log.lines().filter(|line| line.contains(r#""WARN""#) || line.contains(r#""ERROR""#));
            of_note.map(str::to_owned).collect::<Vec<_>>()
        });
        // They begin with their time.
        warnings.max()
    }

    /// Before the next measurement, whose warnings are others.
    pub fn forget_logs(&self) {
        for log in self.logs() {
            let _it_may_be_gone = std::fs::remove_file(log);
        }
    }

    /// Of the programs that were measured: each wrote into the directory of its setting.
    fn logs(&self) -> Vec<PathBuf> {
        let settings = std::fs::read_dir(self.directory.path()).into_iter().flatten().flatten();
        let files = settings.filter_map(|setting| std::fs::read_dir(setting.path()).ok()).flatten().flatten();
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|it| it == "log")).collect()
    }
}

/// The directory that `TEST_KAFKA_LIB` names, or the one that `.ci/kafka/fetch` fills.
async fn kafka_jars() -> Result<PathBuf> {
    if let Some(jars) = std::env::var_os("TEST_KAFKA_LIB") {
        return Ok(jars.into());
    }
    let mut fetch = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/kafka/fetch"));
    Ok(tool::run(&mut fetch).await?.trim().into())
}

/// Debian has it with the server; others in a package of its own.
fn can_count_statements() -> bool {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    installed.map(|version| version.path().join("lib/pg_stat_statements.so")).any(|library| library.exists())
}
