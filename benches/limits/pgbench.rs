//! What the database does by itself: one row and one commit a message, of the same shape.

use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::database::Database;
use crate::stage::Stage;
use crate::statistics::percentile;
use crate::tool;

/// As a message is accepted. The id is a UUIDv7 in hexadecimal digits: the time, the version, and chance.
const INSERT: &str = "
\\set recipient random(1, 1000)
insert into limits_plain
       (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status, retries,
        max_retries, try, node_id, created_at, updated_at)
values ((lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
         || substr(gen_random_uuid()::text, 16))::uuid,
        'default', 'key:01900000-0000-7000-8000-000000000000', '01900000-0000-7000-8000-000000000001', 'webhook',
        'limits', '5585' || lpad(:recipient::text, 9, '0'), repeat('x', 100), 'sent', 'queued', 0,
        3, 0, '01900000-0000-7000-8000-000000000002', now(), now());
";

/// Of the same shape, in one piece: same columns, checks and indexes, but no partitions.
const TABLE: &str = "
create table if not exists limits_plain
      (like messaging_messages including defaults including constraints including indexes)";

/// Inserts a second, committed one by one by 64 clients.
pub async fn inserts(stage: &Stage, database: &mut Database, seconds: u32) -> Result<f64> {
    database.execute(TABLE).await?;
    rate(&run(stage, database, ("insert.sql", INSERT), 64, seconds, &[]).await?)
}

/// Updates a second of messages of these numbers, found by their ids, each committed by itself, by 64 clients. `id` is the expression
/// of one, from `:number`.
pub async fn updates(
    stage: &Stage,
    database: &Database,
    (first, last): (u32, u32),
    id: &str,
    seconds: u32,
) -> Result<f64> {
    let update = format!(
        "\\set number random({first}, {last})
         update messaging_messages set status = 'delivered', delivered_at = now() where id = {id};"
    );
    rate(&run(stage, database, ("update.sql", &update), 64, seconds, &[]).await?)
}

fn rate(said: &str) -> Result<f64> {
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next());
    Ok(rate.ok_or("pgbench did not say how many it did")?.parse()?)
}

/// The median time of such an insert and its commit, for one client.
pub async fn commit_time(stage: &Stage, database: &mut Database, seconds: u32) -> Result<Duration> {
    let directory = stage.subdirectory("pgbench")?;
    let prefix = directory.join("log").display().to_string();
    database.execute(TABLE).await?;
    run(stage, database, ("insert.sql", INSERT), 1, seconds, &["--log", "--log-prefix", &prefix]).await?;
    let mut times = Vec::new();
    for entry in std::fs::read_dir(&directory)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("log") {
            let log = std::fs::read_to_string(entry.path())?;
            // client, transaction, microseconds, ...
            let microseconds = log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            times.extend(microseconds.map(Duration::from_micros));
            std::fs::remove_file(entry.path())?;
        }
    }
    percentile(&mut times, 0.5).ok_or_else(|| "pgbench wrote no log".into())
}

async fn run(
    stage: &Stage,
    database: &Database,
    (name, script): (&str, &str),
    clients: u32,
    seconds: u32,
    more: &[&str],
) -> Result<String> {
    let path = stage.subdirectory("pgbench")?.join(name);
    std::fs::write(&path, script)?;
    let options = database.options();
    let mut command = Command::new(&stage.pgbench);
    command.args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", &clients.min(2).to_string()]);
    command.args(["-T", &seconds.to_string(), "-h", options.get_host(), "-p", &options.get_port().to_string()]);
    command.args(["-U", options.get_username(), "-f"]).arg(path).args(more).arg(database.name());
    tool::run(&mut command).await
}
