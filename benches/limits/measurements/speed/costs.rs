//! What a message costs, in what can be counted.

use super::accepts;
use super::flood::{PATIENCE, first_message, setting};
use crate::Result;
use crate::database::Database;
use crate::figures::{Cost, Figure};
use crate::measurements::turn::Turn;
use crate::server::Server;

pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    of(turn, "api", Figure::AcceptCosts).await?;
    of(turn, "all", Figure::WholeCosts).await
}

/// Of a message of many, for a process that accepts them, or does everything.
async fn of(turn: &mut Turn<'_>, role: &str, figure: fn(Cost) -> Figure) -> Result<()> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    if stage.counts_statements {
        let name = database.name().to_owned();
        database.execute("create extension pg_stat_statements").await?;
        database.execute(format!("alter database {name} set pg_stat_statements.track = 'top'")).await?;
    }
    let server = Server::start(stage, turn.build, &setting(stage, &database), role).await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    if role == "all" {
        first_message(&server, &mut database).await?;
    }
    let before = Meters::read(stage.counts_statements, &mut database, &server).await?;
    stage.wrk.send(&server.address, ("webhook", "5585"), accepts::CONNECTIONS, turn.extent.seconds).await?;
    if role == "all" {
        database.ended(PATIENCE).await?;
    }
    accepts::settled(&mut database).await?;
    let after = Meters::read(stage.counts_statements, &mut database, &server).await?;
    let messages = after.messages - before.messages;
    turn.record(figure(Cost::Wal), (after.wal - before.wal) / messages);
    turn.record(figure(Cost::Processor), (after.processor - before.processor) / messages);
    if stage.counts_statements {
        turn.record(figure(Cost::Statements), (after.statements - before.statements) / messages);
        for statement in dearest(&mut database, messages).await? {
            eprintln!("    {statement}");
        }
    }
    server.stop().await?;
    database.remove(stage).await
}

struct Meters {
    messages: f64,
    /// Bytes.
    wal: f64,
    statements: f64,
    /// Microseconds.
    processor: f64,
}

impl Meters {
    async fn read(counts_statements: bool, database: &mut Database, server: &Server) -> Result<Self> {
        // Our own connection was there before the statements of this database were counted.
        let statements = match counts_statements {
            true => {
                database.number("select coalesce(sum(calls), 0)::bigint from pg_stat_statements where toplevel").await?
            }
            false => 0,
        };
        Ok(Self {
            messages: database.messages().await? as f64,
            wal: database.number("select (pg_current_wal_insert_lsn() - '0/0')::bigint").await? as f64,
            statements: statements as f64,
            processor: server.processor_time()?.as_micros() as f64,
        })
    }
}

/// The statements that took the database the longest, and those that were asked most often: how often one was asked a
/// message, its time a message, and how it begins.
async fn dearest(database: &mut Database, messages: f64) -> Result<Vec<String>> {
    let query = format!(
        "select coalesce(string_agg(line, E'\\n' order by total_exec_time desc), '')
           from (select total_exec_time,
                        format('%s calls, %s us a message: %s', round((calls / {messages}::numeric), 4),
                               round((total_exec_time * 1000 / {messages})::numeric, 1),
                               left(regexp_replace(query, '\\s+', ' ', 'g'), 80)) as line,
                        row_number() over (order by total_exec_time desc) as by_time,
                        row_number() over (order by calls desc) as by_calls
                   from pg_stat_statements
                  where dbid = (select oid from pg_database where datname = current_database())) as statements
          where by_time <= 6
             or by_calls <= 6"
    );
    Ok(database.text(query).await?.lines().map(str::to_owned).collect())
}
