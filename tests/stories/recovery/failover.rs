//! The database fails over behind one address: new connections lead to another server, those that are open still lead to
//! the one that was the primary. Needs PostgreSQL's server binaries.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::caller::{TRANSIENT, to_sandbox};
use crate::support::databases::FreshPostgres;
use crate::support::eventually::{SOON, eventually};
use crate::support::free_port::free_port;
use crate::support::installation::{Installation, Mode};
use crate::support::postgres_server::PostgresServer;
use crate::support::proxy::Proxy;
use crate::support::test_app::TestApp;

/// How soon everything works again after a failover.
const PROMISED: Duration = Duration::from_secs(10);

const NO_MORE_WRITES: &str = "alter system set default_transaction_read_only = on; select pg_reload_conf()";
const END_EVERY_CONNECTION: &str = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' \
     and pid <> pg_backend_pid()";
const WRITES_AGAIN: &str = "alter system reset default_transaction_read_only; select pg_reload_conf()";

/// The program on a server that it reaches through a proxy.
struct Stage {
    app: TestApp,
    proxy: Proxy,
    primary: PostgresServer,
}

impl Stage {
    async fn set() -> Option<Self> {
        let primary = PostgresServer::start().await?;
        let address = free_port();
        let proxy = Proxy::start(address, primary.port()).await;
        let database = FreshPostgres::on(primary.options().port(address)).await;
        let installation = Installation::new(Some(database), Mode::Direct);
        let settings = [("RETRY_BACKOFF", "100ms"), ("NODE_TIMEOUT", "5s")];
        let app = TestApp::start_with(installation, &settings).await;
        Some(Self { app, proxy, primary })
    }

    /// Each kind of connection is open, and idle.
    async fn every_connection_is_used(&self) -> String {
        let failed = self.app.fails(&to_sandbox("fail-transient"), TRANSIENT).await["id"].as_str().unwrap().to_owned();
        self.app.sent(&to_sandbox("before")).await;
        for path in
            ["/api/messaging/messages", "/api/messaging/messages/stats?channel=sandbox", "/api/messaging/instances"]
        {
            assert_eq!(self.app.get(path).await.status, 200);
        }
        failed
    }

    /// Everything that needs the database, within the time that is promised from `since`. A call may be refused; one that
    /// is answered is answered by the server that has what was written.
    async fn everything_works(&self, since: Instant, failed: &str) {
        let left = || PROMISED.saturating_sub(since.elapsed());
        let sent = eventually(left(), "a message is accepted", async || {
            let answer = self.app.send(&to_sandbox("after")).await;
            (answer.status == 200).then(|| answer.message_id())
        })
        .await;
        // Not 404: it has just been accepted.
        eventually(left(), "it is read", async || {
            let answer = self.app.get(&format!("/api/messaging/messages/{sent}")).await;
            assert!([200, 503].contains(&answer.status), "{}", answer.json());
            (answer.status == 200).then_some(())
        })
        .await;
        eventually(left(), "it is listed", async || {
            let answer = self.app.get("/api/messaging/messages?remoteJid=after").await;
            let ids =
                answer.json()["data"].as_array().map(|items| items.iter().any(|item| item["id"] == sent.as_str()));
            assert_ne!(ids, Some(false), "{}", answer.json());
            ids
        })
        .await;
        let instance =
            json!({ "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": "https://a.example/" });
        eventually(left(), "an instance is created", async || {
            let answer = self.app.post("/api/messaging/instances", &instance).await;
            [201, 409].contains(&answer.status).then_some(())
        })
        .await;
        eventually(left(), "a failed message is replayed", async || {
            let answer = self.app.post(&format!("/api/messaging/messages/{failed}/retry"), &json!({})).await;
            (answer.status == 202).then_some(())
        })
        .await;
        eventually(left(), "it is ready", async || (self.app.get("/health/ready").await.status == 200).then_some(()))
            .await;
        eventually(left().max(Duration::from_secs(5)), "its retries go on", async || {
            let message = self.app.message(failed).await;
            (message["status"] == "failed" && message["retries"] == 3).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_behind_one_address_nothing_stays_on_the_old_server() {
    let Some(stage) = Stage::set().await else { return };
    let standby = stage.primary.standby().await;
    let failed = stage.every_connection_is_used().await;

    standby.take_over_from(&stage.primary).await;
    stage.proxy.lead_to(standby.port());
    stage.primary.execute(NO_MORE_WRITES).await;
    stage.everything_works(Instant::now(), &failed).await;

    let log = stage.app.log().join("\n");
    assert_eq!(log.matches("the server takes no writes").count(), 1, "{log}");
    assert!(!log.contains("after_connect"), "{log}");
}

/// No caller has met the old server: the heartbeat does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_reads_leaves_the_old_server_too() {
    let Some(stage) = Stage::set().await else { return };
    let standby = stage.primary.standby().await;
    stage.every_connection_is_used().await;
    standby.take_over_from(&stage.primary).await;
    stage.proxy.lead_to(standby.port());
    stage.primary.execute(NO_MORE_WRITES).await;
    let beside = standby.options().database(stage.app.installation.postgres.as_ref().unwrap().name());
    let mut beside = <sqlx::PgConnection as sqlx::Connection>::connect_with(&beside).await.unwrap();
    sqlx::raw_sql("update messaging_instances set name = 'renamed'").execute(&mut beside).await.unwrap();
    eventually(PROMISED, "lists come from the new server", async || {
        let answer = stage.app.get("/api/messaging/instances").await.json();
        (answer["data"][0]["name"] == "renamed").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_database_takes_no_writes_is_not_ready() {
    let Some(stage) = Stage::set().await else { return };
    let failed = stage.every_connection_is_used().await;
    assert_eq!(stage.app.get("/health/ready").await.status, 200);
    stage.primary.execute(NO_MORE_WRITES).await;
    eventually(SOON, "it is not ready", async || (stage.app.get("/health/ready").await.status == 503).then_some(()))
        .await;
    assert_eq!(stage.app.get("/health/live").await.status, 200);
    stage.primary.execute(WRITES_AGAIN).await;
    stage.everything_works(Instant::now(), &failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_an_operator_ends_are_opened_again_and_the_server_still_takes_writes() {
    let Some(stage) = Stage::set().await else { return };
    let failed = stage.every_connection_is_used().await;
    stage.primary.execute(END_EVERY_CONNECTION).await;
    stage.everything_works(Instant::now(), &failed).await;
    let log = stage.app.log().join("\n");
    assert!(!log.contains("the server takes no writes"), "{log}");
}
