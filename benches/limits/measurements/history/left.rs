use uuid::Uuid;

use super::waiting::megabytes;
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::flood::PATIENCE;
use crate::measurements::turn::Turn;
use crate::requests::INSTANCE;
use crate::server::Server;
use crate::setting::Setting;

/// The most memory of a process that takes over what a dead one left: messages of 1 MiB, all due at once.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    let direct = Setting::direct(&database.url());
    of(turn, &mut database, &direct, Figure::LeftDirectMemory).await?;
    database.remove(stage).await?;
    let mut database = Database::create(stage, turn.build).await?;
    let kafka = Setting::kafka(stage, &database.url());
    of(turn, &mut database, &kafka, Figure::LeftKafkaMemory).await?;
    database.remove(stage).await
}

async fn of(turn: &mut Turn<'_>, database: &mut Database, setting: &Setting, figure: Figure) -> Result<()> {
    let stage = turn.stage;
    let server = Server::start(stage, turn.build, setting, "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    server.stop().await?;
    database.execute(leave(turn.extent.left)).await?;
    let server = Server::start(stage, turn.build, setting, "all").await?;
    database.ended(PATIENCE).await?;
    turn.record(figure, megabytes(server.peak_memory()?));
    database.all_sent().await?;
    server.stop().await
}

/// Queued, by a node that is not there.
fn leave(messages: u32) -> String {
    let dead = Uuid::new_v4();
    format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, payload, direction, status,
                 retries, max_retries, try, node_id, created_at, updated_at)
         select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7'
                     || substr(gen_random_uuid()::text, 16))::uuid,
                tenant, user_id, id, channel, channel_instance_id, '5585' || lpad(number::text, 9, '0'),
                ('\"' || repeat('x', 1024 * 1024 - 2) || '\"')::json, 'sent', 'queued', 0, 3, 0, '{dead}', now(), now()
           from messaging_instances
          cross join generate_series(1, {messages}) as number
          where channel_instance_id = '{INSTANCE}'"
    )
}
