//! What was measured on.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::Result;
use crate::database::Database;
use crate::disk;
use crate::stage::{KAFKA_HEAP, POSTGRES_SETTINGS, Stage};
use crate::tool;

/// One line a thing, by its name.
pub async fn description(stage: &Stage) -> Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism()?;
    let processor = read_value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = read_value("/proc/meminfo", "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse::<f64>().ok());
    let memory = memory.unwrap_or_default() / 1024.0 / 1024.0;
    let mut database = Database::maintenance(stage).await?;
    let postgres = database.text("show server_version").await?;
    let data = stage.postgres.directory();
    Ok(vec![
        ("machine", format!("{cores} cores, {processor}, {memory:.0} GiB of memory")),
        ("kernel", tool::answer(Command::new("uname").arg("-sr")).await?),
        ("disk", format!("{} on {}", disk::device(data).await?, disk::filesystem(data).await?)),
        ("PostgreSQL", format!("{postgres}, {}", POSTGRES_SETTINGS.join(", "))),
        ("Apache Kafka", format!("{}, a heap of {KAFKA_HEAP}, one node", kafka_version(&stage.kafka_jars))),
        ("Rust", tool::answer(Command::new("rustc").arg("--version")).await.unwrap_or_else(|_| "unknown".to_owned())),
    ])
}

pub fn as_json(description: &[(&'static str, String)]) -> Value {
    description.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect()
}

fn read_value(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':').map(|(_, value)| value.trim().to_owned()))
}

fn kafka_version(jars: &Path) -> String {
    let names = std::fs::read_dir(jars).into_iter().flatten().flatten().map(|jar| jar.file_name());
    let version = names.filter_map(|name| {
        let (_, version) = name.to_str()?.strip_prefix("kafka_")?.split_once('-')?;
        version.strip_suffix(".jar").map(str::to_owned)
    });
    version.min().unwrap_or_else(|| "of an unknown version".to_owned())
}
