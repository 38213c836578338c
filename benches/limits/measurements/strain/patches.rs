use futures::future::join_all;

use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;

const INSTANCES: u32 = 48;

/// What is changed of each of them, all at the same time, and how it is known from the row that the change is not there.
const CHANGES: [(&str, &str); 5] = [
    (r#"{"name":"changed"}"#, "name is distinct from 'changed'"),
    (r#"{"channelPhoneOrId":"http://127.0.0.1:9/changed"}"#, "channel_phone_or_id <> 'http://127.0.0.1:9/changed'"),
    (r#"{"maxRetries":7}"#, "max_retries is distinct from 7"),
    (r#"{"metadata":{"changed":true}}"#, "metadata is null"),
    (r#"{"credentials":{"secret":"whsec_Y2hhbmdlZC1jaGFuZ2VkLWNoYW5nZWQtY2hhbmdlZA=="}}"#, "credentials = before"),
];

/// How many changes are lost, of 240: five of each instance's members by five requests at the same time, in turns to two
/// processes of one database. Each is answered as done; afterwards the rows are looked at.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    let setting = Setting::direct(&database.url());
    let one = Server::start(stage, turn.build, &setting, "all").await?;
    let other = Server::start(stage, turn.build, &setting, "all").await?;
    let mut connections = Vec::new();
    for server in [&one, &other].into_iter().cycle().take(CHANGES.len()) {
        connections.push(Connection::open(&server.address).await?);
    }
    for instance in 0..INSTANCES {
        let request = requests::create_instance_named(&format!("limits-{instance}"), "webhook", &turn.receiver());
        expect(201, &mut connections[0], &request).await?;
    }
    let ids = "select string_agg(id::text, ' ') from messaging_instances where channel = 'webhook'";
    let ids = database.text(ids).await?;
    let sealed = "create table limits_before as select id, credentials as before from messaging_instances";
    database.execute(sealed).await?;
    for id in ids.split(' ') {
        let racing = connections.iter_mut().zip(CHANGES).map(|(connection, (change, _))| async move {
            expect(200, connection, &requests::change_instance(id, change)).await
        });
        for done in join_all(racing).await {
            done?;
        }
    }
    let lost = CHANGES.map(|(_, is_lost)| format!("count(*) filter (where {is_lost})")).join(" + ");
    let lost = format!(
        "select {lost}
           from messaging_instances
           join limits_before using (id)
          where channel = 'webhook'"
    );
    turn.record(Figure::LostPatches, database.number(lost).await? as f64);
    one.stop().await?;
    other.stop().await?;
    database.remove(stage).await
}

async fn expect(status: u16, connection: &mut Connection, request: &[u8]) -> Result<()> {
    let answer = connection.answer_to(request).await?;
    if answer.status == status { Ok(()) } else { Err(format!("a request was refused: {}", answer.text()).into()) }
}
