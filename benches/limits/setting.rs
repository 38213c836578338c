//! How the program is configured.

use std::path::PathBuf;
use std::process::Command;

use uuid::Uuid;

use crate::Result;
use crate::build::Build;
use crate::requests::API_KEY;
use crate::stage::Stage;
use crate::tool;

const CREDENTIALS_KEY: &str = "bGltaXRzLWNyZWRlbnRpYWxzLWtleS0zMi1ieXRlcyE=";

/// Of one installation: its topics, its files and its consumer group have its name.
#[derive(Clone)]
pub struct Setting {
    name: String,
    variables: Vec<(&'static str, String)>,
}

impl Setting {
    fn new() -> Self {
        let variables = vec![
            ("CREDENTIALS_KEY", CREDENTIALS_KEY.to_owned()),
            ("BOOTSTRAP_API_KEY", API_KEY.to_owned()),
            ("SANDBOX_ENABLED", "true".to_owned()),
            // Receivers listen on this machine, and some histories have several tenants.
            ("CHANNELS_BLOCK_PRIVATE", "false".to_owned()),
        ];
        Self { name: format!("limits-{}", Uuid::new_v4().simple()), variables }
    }

    /// The caller waits for the delivery.
    pub fn direct(database_url: &str) -> Self {
        Self::new().with("DATABASE_URL", database_url)
    }

    /// Through the real Kafka.
    pub fn kafka(stage: &Stage, database_url: &str) -> Self {
        Self::new().with("DATABASE_URL", database_url).through_kafka(stage)
    }

    /// Through the real Kafka, into the embedded database.
    pub fn sqlite(stage: &Stage) -> Self {
        Self::new().through_kafka(stage)
    }

    fn through_kafka(self, stage: &Stage) -> Self {
        let (prefix, group) = (format!("{}.", self.name), self.name.clone());
        self.with("KAFKA_ENABLED", "true")
            .with("KAFKA_BROKERS", stage.kafka.address())
            .with("KAFKA_TOPIC_PREFIX", prefix)
            .with("KAFKA_GROUP_ID", group)
    }

    /// The last value of a variable counts.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Of its messages, in Kafka.
    pub fn topic(&self) -> String {
        format!("{}.messaging.send", self.name)
    }

    /// Where its files are.
    pub fn directory(&self, stage: &Stage) -> Result<PathBuf> {
        stage.subdirectory(&self.name)
    }

    /// Makes the tables, as this build has them.
    pub async fn migrate(&self, stage: &Stage, build: &Build) -> Result<()> {
        tool::run(self.command(stage, build)?.arg("migrate")).await?;
        Ok(())
    }

    /// The program, with exactly this environment.
    pub fn command(&self, stage: &Stage, build: &Build) -> Result<Command> {
        let directory = self.directory(stage)?;
        let mut command = Command::new(&build.path);
        command.env_clear().env("DATA_DIR", directory.join("data")).envs(self.variables.iter().cloned());
        command.current_dir(directory);
        if let Some(filter) = &stage.rust_log {
            command.env("RUST_LOG", filter);
        }
        Ok(command)
    }
}
