use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::task::JoinSet;

use super::refusals::Refusals;
use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::history::large_table::{self, MADE};
use crate::measurements::speed::flood::{PATIENCE, first_message};
use crate::measurements::turn::Turn;
use crate::requests::{self, INSTANCE};
use crate::server::Server;
use crate::setting::Setting;
use crate::support::postgres_server::PostgresServer;

/// What PostgreSQL allows when nothing is set: the servers of tests are set to more, and locks are so many a connection.
const DEFAULTS: [&str; 1] = ["max_connections=100"];

const PROCESSES: usize = 3;

/// Of each process, without pause.
const READERS: usize = 24;

/// Between two messages that are sent to each process.
const PAUSE: Duration = Duration::from_millis(50);

/// After their start: what it does once is begun.
const SETTLED: Duration = Duration::from_secs(1);

/// Messages of each week.
const A_WEEK: u32 = 20;

struct Asked {
    what: &'static str,
    request: Vec<u8>,
}

/// How many requests are refused while many read from many weeks, and some messages are sent: three processes, each with 24
/// connections that ask for lists by every filter, for single messages and for counts, on a PostgreSQL that has its defaults.
/// Whatever is answered otherwise than 200, or 202 to a message, is refused, and so is what is not answered.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, weeks) = (turn.stage, turn.extent.read_weeks);
    let postgres = PostgresServer::start_with(&DEFAULTS).await.ok_or("PostgreSQL is not installed")?;
    let mut database = Database::create_on(&postgres, stage, turn.build).await?;
    large_table::make_past_weeks(&mut database, weeks - MADE).await?;
    let setting = Setting::kafka(stage, &database.url());
    let first = Server::start(stage, turn.build, &setting, "all").await?;
    first.create_instance("webhook", &turn.receiver()).await?;
    first_message(&first, &mut database).await?;
    first.stop().await?;
    database.execute(messages(weeks)).await?;
    let mut servers = Vec::new();
    for _ in 0..PROCESSES {
        servers.push(Server::start(stage, turn.build, &setting, "all").await?);
    }
    overhauled(&mut database).await?;
    let (questions, sends) = (Arc::new(questions(&mut database).await?), Arc::new(sends()));

    let until = Instant::now() + Duration::from_secs(turn.extent.reading_seconds.into());
    let mut clients = JoinSet::new();
    for server in &servers {
        for first in 0..READERS {
            clients.spawn(ask(server.address.clone(), questions.clone(), first, Duration::ZERO, until));
        }
        clients.spawn(ask(server.address.clone(), sends.clone(), 0, PAUSE, until));
    }
    let mut refusals = Refusals::default();
    while let Some(client) = clients.join_next().await {
        refusals.add(client?);
    }
    refusals.say();
    turn.record(Figure::RefusedReads, refusals.count() as f64);
    Ok(())
}

/// Waits until no process works on weeks that are over, as it does once in the life of each. It holds a lock meanwhile.
async fn overhauled(database: &mut Database) -> Result<()> {
    let begin = Instant::now();
    tokio::time::sleep(SETTLED).await;
    while database.number("select count(*) from pg_locks where locktype = 'advisory'").await? > 0 {
        if begin.elapsed() > PATIENCE {
            return Err("weeks are still being worked on".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Of requests in turn, one after the other, with this pause.
async fn ask(address: String, requests: Arc<Vec<Asked>>, first: usize, pause: Duration, until: Instant) -> Refusals {
    let (mut refusals, mut connection) = (Refusals::default(), None);
    for asked in requests.iter().cycle().skip(first) {
        if Instant::now() > until {
            break;
        }
        let answer = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(&address).await?,
            };
            let answer = open.answer_to(&asked.request).await?;
            // One that did not answer is not used again.
            connection = Some(open);
            Result::Ok(answer)
        };
        refusals.count_in(asked.what, answer.await);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    refusals
}

async fn questions(database: &mut Database) -> Result<Vec<Asked>> {
    let ids = "select string_agg(id::text, ' ')
                 from (select id, row_number() over (order by id) as number from messaging_messages) as messages
                where number % 10 = 1";
    let ids = database.text(ids).await?;
    // One message after each list.
    let (lists, ids) = (lists(), ids.split(' ').map(|id| ("a message", format!("/{id}"))));
    let pairs = lists.iter().cycle().zip(ids).flat_map(|(list, message)| [list.clone(), message]);
    Ok(pairs
        .map(|(what, path)| Asked { what, request: requests::read(&format!("/api/messaging/messages{path}")) })
        .collect())
}

/// By each filter, and how many there are.
fn lists() -> [(&'static str, String); 10] {
    let day = |ago: i64| (Utc::now() - chrono::Duration::days(ago)).format("%FT%TZ");
    [
        ("the newest", String::new()),
        ("by a state that none has", "?status=queued".to_owned()),
        ("failed ones", "?status=failed".to_owned()),
        ("by channel", "?channel=webhook".to_owned()),
        ("by instance", format!("?channelInstanceId={INSTANCE}")),
        ("by recipient", "?remoteJid=5585000000001".to_owned()),
        ("by time", format!("?createdAfter={}&createdBefore={}", day(300), day(100))),
        ("counts", "/stats".to_owned()),
        ("counts of a state", "/stats?status=sent".to_owned()),
        ("counts of a time", format!("/stats?createdAfter={}", day(300))),
    ]
}

fn sends() -> Vec<Asked> {
    let send = |recipient| Asked { what: "a message to send", request: requests::send("webhook", recipient) };
    (1..=1_000).map(send).collect()
}

/// So many that were sent in every week, so that each has to be looked at.
fn messages(weeks: u32) -> String {
    format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 retries, max_retries, try, node_id, sent_at, created_at, updated_at)
         select (limits_time_of_id(at) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                tenant, user_id, id, channel, channel_instance_id, '5585' || lpad(number::text, 9, '0'), repeat('x', 100),
                'sent', 'sent', 1, 3, 1, '01900000-0000-7000-8000-00000000000a', at, at, at
           from messaging_instances
          cross join generate_series(0, {weeks} - {MADE} - 1) as week
          cross join generate_series(1, {A_WEEK}) as number
          cross join lateral (select now() - week * interval '168 hours' as at) as moment
          where channel_instance_id = '{INSTANCE}'"
    )
}
