use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;

const INSTANCES: u32 = 50;

/// Calls a minute of each.
const RATE: u32 = 600;
const A_SECOND: u32 = RATE / 60;

/// More than the paces allow in that time wait.
const MORE_SECONDS: u32 = 20;

/// Until everything is under way.
const BEGINNING: Duration = Duration::from_secs(8);

const SENDERS: u32 = 8;

/// What fifty instances that have a pace send through two workers while more waits than they may send, in shares of what their
/// paces allow.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.paced_seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let setting = Setting::kafka(stage, &database.url());
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    let worker = Server::start(stage, turn.build, &setting, "worker").await?;
    let mut connection = Connection::open(&server.address).await?;
    for instance in 0..INSTANCES {
        let request = requests::create_paced_instance(&name(instance), "webhook", &turn.receiver(), RATE);
        let created = connection.answer_to(&request).await?;
        if created.status != 201 {
            return Err(format!("an instance was refused: {}", created.text()).into());
        }
    }
    let messages = A_SECOND * (seconds + MORE_SECONDS);
    let senders: Vec<_> =
        (0..SENDERS).map(|sender| tokio::spawn(send_all(server.address.clone(), sender, messages))).collect();
    all_have_begun(&mut database).await?;
    tokio::time::sleep(BEGINNING).await;
    let since = Utc::now();
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    let until = since + Duration::from_secs(u64::from(seconds));
    // What was called until then is recorded.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = sent_between(&mut database, since, until).await?;
    turn.record(Figure::PacedShare, sent as f64 / f64::from(INSTANCES * A_SECOND * seconds));
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    worker.stop().await?;
    server.stop().await?;
    database.remove(stage).await
}

fn name(instance: u32) -> String {
    format!("limits-paced-{instance}")
}

/// Of each instance in turn.
async fn send_all(address: String, sender: u32, messages: u32) -> std::result::Result<(), String> {
    let mut connection = Connection::open(&address).await.map_err(|error| error.to_string())?;
    for number in (sender..messages).step_by(SENDERS as usize) {
        for instance in 0..INSTANCES {
            let request = requests::send_through(&name(instance), "webhook", number);
            connection.status_of(&request).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

async fn all_have_begun(database: &mut Database) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let query = "select count(distinct instance_id) from messaging_messages where status = 'sent'";
        if database.number(query).await? == i64::from(INSTANCES) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err("not every instance has sent something".into())
}

async fn sent_between(database: &mut Database, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<i64> {
    let [since, until] = [since, until].map(|time| time.to_rfc3339());
    database
        .number(format!("select count(*) from messaging_messages where sent_at >= '{since}' and sent_at < '{until}'"))
        .await
}
