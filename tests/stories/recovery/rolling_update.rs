//! Processes of different builds or settings run side by side, on one database and one Kafka, while messages come.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::support::caller::{Caller, to_sandbox};
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::modes::on_installation;
use crate::support::process::Process;
use crate::support::test_app::TestApp;

on_installation!(real_kafka:
    workers_are_updated_before_the_apis
    the_apis_are_updated_before_the_workers
    the_protocol_of_the_group_is_changed_and_changed_back
);

/// Until everything has ended: partitions move several times.
const ALL: Duration = Duration::from_secs(120);

const RECIPIENTS: usize = 20;

/// The program of the last release. None, said once on the terminal, when `TEST_PREVIOUS_CORREIO` names none.
fn previous() -> Option<PathBuf> {
    let program = std::env::var_os("TEST_PREVIOUS_CORREIO").map(PathBuf::from);
    if program.is_none() {
        // To the terminal itself: what is printed in a test that passes is not shown.
        let _ = writeln!(
            std::io::stderr(),
            "NOT TRIED: TEST_PREVIOUS_CORREIO, the program of the last release, is not set"
        );
    }
    program
}

/// Sends without pause, to whichever process it is told, until it is told to end.
struct Load {
    to: watch::Sender<Caller>,
    ends: Arc<AtomicBool>,
    sending: tokio::task::JoinHandle<Vec<String>>,
}

impl Load {
    fn begin(caller: Caller) -> Self {
        let (to, current) = watch::channel(caller);
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let sending = tokio::spawn(async move {
            let mut accepted = Vec::new();
            while !ended.load(Ordering::SeqCst) {
                let caller = current.borrow().clone();
                let answer = caller.send(&to_sandbox(&format!("{}", accepted.len() % RECIPIENTS))).await;
                accepted.push(caller.accepted(&answer));
            }
            accepted
        });
        Self { to, ends, sending }
    }

    /// From its next message on.
    fn turn_to(&self, caller: Caller) {
        self.to.send(caller).unwrap();
    }

    async fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::SeqCst);
        self.sending.await.unwrap()
    }
}

async fn joined(app: &TestApp, worker: &Process) {
    let caller = app.caller_of(worker);
    eventually(ALL, "it has joined", async || (caller.get("/health/ready").await.status == 200).then_some(())).await;
}

async fn leave(mut process: Process) {
    process.terminate();
    assert_eq!(process.exited().await.code(), Some(0));
}

/// So that every state of affairs has messages of its own.
async fn some_are_sent(app: &TestApp) {
    let sent = "select count(*) from messaging_messages where status = 'sent'";
    let before = app.sql_number(sent).await;
    eventually(ALL, "more are sent", async || (app.sql_number(sent).await > before + 50).then_some(())).await;
}

async fn all_are_sent(app: &TestApp, load: Load) {
    let accepted = load.end().await;
    eventually(ALL, "all are sent", async || {
        let open = app.sql_number("select count(*) from messaging_messages where status <> 'sent'").await;
        (open == 0).then_some(())
    })
    .await;
    let stored = app.sql_number("select count(*) from messaging_messages").await;
    assert_eq!(stored, i64::try_from(accepted.len()).unwrap());
    let twice = app.sql_number("select count(*) from messaging_messages where retries <> 1").await;
    assert_eq!(twice, 0, "some were tried more than once");
}

/// The last release serves, and messages come. Beside it an API of this build has brought the tables up to date: an update
/// migrates first.
struct LastRelease {
    /// Its API.
    app: TestApp,
    worker: Process,
    new_api: Process,
    load: Load,
}

impl LastRelease {
    async fn serving(installation: Installation) -> Option<Self> {
        let program = previous()?;
        let app = TestApp::start_api_of(&program, installation).await;
        let worker = app.another_of(&program, "worker").await;
        joined(&app, &worker).await;
        let load = Load::begin(app.caller());
        some_are_sent(&app).await;
        let new_api = app.another("api").await;
        some_are_sent(&app).await;
        Some(Self { app, worker, new_api, load })
    }
}

/// The API of the last release.
async fn it_leaves(app: &mut TestApp) {
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
}

async fn workers_are_updated_before_the_apis(installation: Installation) {
    let Some(LastRelease { mut app, worker, new_api, load }) = LastRelease::serving(installation).await else { return };
    let new_worker = app.another("worker").await;
    joined(&app, &new_worker).await;
    some_are_sent(&app).await;
    leave(worker).await;
    some_are_sent(&app).await;

    load.turn_to(app.caller_of(&new_api));
    some_are_sent(&app).await;
    it_leaves(&mut app).await;
    all_are_sent(&app, load).await;
}

async fn the_apis_are_updated_before_the_workers(installation: Installation) {
    let Some(LastRelease { mut app, worker, new_api, load }) = LastRelease::serving(installation).await else { return };
    load.turn_to(app.caller_of(&new_api));
    some_are_sent(&app).await;
    it_leaves(&mut app).await;
    some_are_sent(&app).await;

    let new_worker = app.another("worker").await;
    joined(&app, &new_worker).await;
    some_are_sent(&app).await;
    leave(worker).await;
    all_are_sent(&app, load).await;
}

/// Kafka does not let workers of the consumer protocol in beside those of the classic one, which deliver until the last has
/// ended; on the way back it lets both in.
async fn the_protocol_of_the_group_is_changed_and_changed_back(installation: Installation) {
    let app = TestApp::start_api(installation, &[]).await;
    let mut workers = vec![app.another("worker").await, app.another("worker").await];
    for worker in &workers {
        joined(&app, worker).await;
    }
    let load = Load::begin(app.caller());
    some_are_sent(&app).await;
    for worker in &mut workers {
        follow(worker, "consumer").await;
        some_are_sent(&app).await;
    }
    for worker in &workers {
        joined(&app, worker).await;
    }
    for worker in &mut workers {
        follow(worker, "classic").await;
        joined(&app, worker).await;
        some_are_sent(&app).await;
    }
    all_are_sent(&app, load).await;
}

/// Ends a worker, and starts it with another protocol.
async fn follow(worker: &mut Process, protocol: &str) {
    worker.terminate();
    assert_eq!(worker.exited().await.code(), Some(0));
    worker.environment.push(("KAFKA_GROUP_PROTOCOL".to_owned(), protocol.to_owned()));
    worker.restart().await;
}
