use std::time::{Duration, Instant};

use chrono::Utc;

use super::accepts;
use super::flood::{PATIENCE, first_message, setting};
use crate::Result;
use crate::connection::Connection;
use crate::database::{Database, first_id};
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::requests;
use crate::server::Server;

const CONNECTIONS: u32 = 64;

/// The triggers as they were before there were subscribers: they count, and nothing else.
const BEFORE: &str = "
create or replace function messaging_count_changes() returns trigger
    language plpgsql
    as $body$
begin
    case tg_op
        when 'INSERT' then
            insert into public.messaging_message_count_changes
            select tenant, public.messaging_week_of(id), status, count(*)
              from new_rows
             where direction = 'sent'
             group by 1, 2, 3;
        when 'DELETE' then
            insert into public.messaging_message_count_changes
            select tenant, public.messaging_week_of(id), status, -count(*)
              from old_rows
             where direction = 'sent'
             group by 1, 2, 3;
        else
            insert into public.messaging_message_count_changes
            select tenant, public.messaging_week_of(id), status, sum(change)
              from (select tenant, id, status, -1 as change
                      from old_rows
                     where direction = 'sent'
                    union all
                    select tenant, id, status, 1
                      from new_rows
                     where direction = 'sent') as changes
             group by 1, 2, 3
            having sum(change) <> 0;
    end case;
    return null;
end
$body$";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscribers {
    /// There could be none.
    Unknown,
    None,
    /// One, of everything.
    One,
}

/// At full speed, end to end: as it was before there were status webhooks, where nobody has subscribed, and where one subscriber is
/// told of everything.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    for (subscribers, figure) in [
        (Subscribers::Unknown, Figure::FloodBeforeSubscribers),
        (Subscribers::None, Figure::FloodOfNoSubscribers),
        (Subscribers::One, Figure::FloodTold),
    ] {
        let rate = rate(turn, subscribers).await?;
        turn.record(figure, rate);
    }
    Ok(())
}

/// Messages that clients sent, a second, until the last was sent and all that is to be told was told.
async fn rate(turn: &Turn<'_>, subscribers: Subscribers) -> Result<f64> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    if subscribers == Subscribers::Unknown {
        database.execute(BEFORE).await?;
    }
    let server = Server::start(stage, turn.build, &setting(stage, &database), "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    if subscribers == Subscribers::One {
        subscribe(&server, &turn.receiver()).await?;
    }
    first_message(&server, &mut database).await?;
    told(&mut database).await?;
    let (begin, since) = (Instant::now(), Utc::now());
    let seconds = turn.extent.flood_seconds;
    let flow = stage.wrk.try_to_send(&server.address, ("webhook", "5585"), CONNECTIONS, seconds).await?;
    database.ended_but(0, PATIENCE).await?;
    told(&mut database).await?;
    let took = begin.elapsed();
    let own = format!("select count(*) from messaging_messages where id >= '{}' and purpose is null", first_id(since));
    let sent = database.number(own.clone() + " and status = 'sent'").await?;
    accepts::is_what_was_answered(sent.unsigned_abs(), &flow.succeeded(&server.address)?)?;
    if subscribers == Subscribers::One {
        let telling =
            format!("select count(*) from messaging_messages where purpose = 'status' and id >= '{}'", first_id(since));
        let told = database.number(telling + " and status = 'sent'").await?;
        if told != sent {
            return Err(format!("{sent} messages were sent, and {told} changes told").into());
        }
    }
    server.stop().await?;
    database.remove(stage).await?;
    Ok(sent as f64 / took.as_secs_f64())
}

async fn subscribe(server: &Server, receiver: &str) -> Result<()> {
    let mut connection = Connection::open(&server.address).await?;
    let answer = connection.answer_to(&requests::subscribe_to_states(receiver)).await?;
    match answer.status {
        201 => Ok(()),
        _ => Err(format!("a subscription was refused: {}", answer.text()).into()),
    }
}

/// Waits until nothing is to be told, and nothing is being told.
async fn told(database: &mut Database) -> Result<()> {
    let begin = Instant::now();
    let left =
        "select (select count(*) from messaging_status_changes) + (select count(*) from messaging_status_tellings)";
    while database.number(left).await? > 0 {
        if begin.elapsed() > PATIENCE {
            return Err(format!("changes are not told after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
