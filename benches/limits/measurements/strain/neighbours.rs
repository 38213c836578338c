use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::flood::first_message;
use crate::measurements::turn::Turn;
use crate::open_loop::OpenLoop;
use crate::requests::{self, INSTANCE};
use crate::server::Server;
use crate::setting::Setting;

/// The instance whose receiver never answers.
const HUNG: &str = "limits-hung";

/// Messages of it that wait when the load of the other begins.
const BACKLOG: u32 = 2_000;

/// Messages a second of the other instance, beside that backlog.
const RATE: f64 = 200.0;

/// Messages a second of the other instance through one partition, and of the one that hangs.
const PARTITION_RATE: f64 = 500.0;
const HUNG_RATE: f64 = 1.0;

/// How long a message may still take after the load; one that is not sent by then counts as if it were sent then.
const REST: Duration = Duration::from_secs(20);

/// Connections and recipients. Of one message a second to one recipient, more connections would be closed as idle.
const MANY: (usize, u32) = (32, 1_000);
const ONE: (usize, u32) = (1, 1);

/// Later than that, nobody would wait.
const LATEST: Duration = Duration::from_secs(10);

/// How long an instance's messages take, and how many come through one partition, alone and beside one whose receiver takes
/// connections and never answers.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let receiver = Receiver::start().await?;
    let seconds = turn.extent.sustained_seconds;
    let setting = |setting: Setting| setting;
    let alone = run(turn, setting, Load { rate: RATE, seconds, backlog: 0, hung_rate: 0.0 }, &receiver).await?;
    turn.record(Figure::AloneP99, alone.p99);
    let beside = run(turn, setting, Load { rate: RATE, seconds, backlog: BACKLOG, hung_rate: 0.0 }, &receiver).await?;
    turn.record(Figure::BesideP99, beside.p99);

    let one_partition = |setting: Setting| setting.with("KAFKA_PARTITIONS", "1");
    let load = Load { rate: PARTITION_RATE, seconds, backlog: 0, hung_rate: 0.0 };
    let alone = run(turn, one_partition, load, &receiver).await?;
    turn.record(Figure::PartitionAlone, alone.sent_a_second);
    let beside = run(turn, one_partition, Load { hung_rate: HUNG_RATE, ..load }, &receiver).await?;
    turn.record(Figure::PartitionBeside, beside.sent_a_second);
    Ok(())
}

#[derive(Clone, Copy)]
struct Load {
    rate: f64,
    seconds: u32,
    backlog: u32,
    hung_rate: f64,
}

struct Flow {
    /// Milliseconds from when a message was accepted until it was sent.
    p99: f64,
    /// Until the end of the load.
    sent_a_second: f64,
}

async fn run(turn: &Turn<'_>, set: impl Fn(Setting) -> Setting, load: Load, receiver: &Receiver) -> Result<Flow> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    let setting = set(Setting::kafka(stage, &database.url()));
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    first_message(&server, &mut database).await?;
    let mut connection = Connection::open(&server.address).await?;
    let created = connection.answer_to(&requests::create_instance_named(HUNG, "webhook", &receiver.address)).await?;
    if created.status != 201 {
        return Err(format!("an instance was refused: {}", created.text()).into());
    }
    for recipient in 0..load.backlog {
        expect_accepted(connection.status_of(&requests::send_through(HUNG, "webhook", recipient)).await?)?;
    }
    let hung = (load.hung_rate > 0.0).then(|| open_loop(&server, HUNG, load.hung_rate, load.seconds, ONE));
    let hung =
        hung.map(|hung| tokio::spawn(async move { hung.run().await.map(|_| ()).map_err(|error| error.to_string()) }));
    let flow = open_loop(&server, INSTANCE, load.rate, load.seconds, MANY).run().await?;
    let sent_a_second = database.number(of_instance("count(*) filter (where status = 'sent')")).await? as f64;
    wait_for(&mut database).await?;
    let p99 = database.number(of_instance(
        "(1000 * percentile_cont(0.99) within group (
              order by extract(epoch from coalesce(sent_at, clock_timestamp()) - created_at)))::bigint",
    ));
    let p99 = p99.await? as f64;
    if !flow.kept_up {
        return Err("messages were accepted too late".into());
    }
    if let Some(hung) = hung {
        hung.await??;
    }
    drop(server);
    database.remove(stage).await?;
    Ok(Flow { p99, sent_a_second: sent_a_second / f64::from(load.seconds) })
}

fn open_loop(
    server: &Server,
    instance: &str,
    rate: f64,
    seconds: u32,
    (connections, recipients): (usize, u32),
) -> OpenLoop {
    OpenLoop {
        address: server.address.clone(),
        rate,
        seconds,
        connections,
        requests: (1..=recipients).map(|recipient| requests::send_through(instance, "webhook", recipient)).collect(),
        status: 202,
        latest: LATEST,
    }
}

/// Waits until the messages of the instance that does not hang are sent, for some time.
async fn wait_for(database: &mut Database) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < REST {
        if database.number(of_instance("count(*) filter (where status <> 'sent')")).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn of_instance(what: &str) -> String {
    format!("select {what} from messaging_messages where channel_instance_id = '{INSTANCE}'")
}

fn expect_accepted(status: u16) -> Result<()> {
    if status == 202 { Ok(()) } else { Err(format!("a message was answered with {status}").into()) }
}

/// Takes connections, and says nothing.
struct Receiver {
    address: String,
    task: JoinHandle<()>,
}

impl Receiver {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}/", listener.local_addr()?);
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                silent.push(stream);
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
