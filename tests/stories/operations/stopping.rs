use std::fs::File;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::closed_port;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::{PROGRAM, Process, after};
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_balancer_is_given_time_until_it_has_noticed,
    the_time_ends_by_itself,
    a_second_signal_of_either_kind_ends_the_time,
    requests_that_wait_for_a_process_that_stops_are_answered,
    a_process_that_is_watched_leaves_later_and_another_at_once,
    a_closed_terminal_ends_it_in_good_order_but_not_under_nohup,
    signals_that_mean_nothing_end_nothing,
    a_start_that_waits_for_a_database_is_ended;
    on_both_databases:
    a_start_that_waits_for_another_process_to_migrate_is_ended;
);

fn says(log: &[String], text: &str) -> bool {
    log.iter().any(|line| line.contains(text))
}

async fn a_balancer_is_given_time_until_it_has_noticed(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("SHUTDOWN_DELAY", "1h")]).await;
    let before = app.get("/health/ready").await;
    assert_eq!((before.status, before.header("connection")), (200, None));

    app.terminate();
    let unready = async || Some(app.get("/health/ready").await).filter(|answer| answer.status == 503);
    let unready = eventually(SOON, "it is not ready any more", unready).await;
    assert_eq!((unready.problem().as_str(), unready.header("connection")), ("unavailable", Some("close")));
    for path in ["/health/live", "/health", "/api/messaging/messages"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{path}");
    }
    let sent = app.send(&to_sandbox("5585999999999")).await;
    assert_eq!((sent.status, sent.header("connection")), (200, Some("close")), "{}", sent.json());
    assert_eq!(app.get("/nothing").await.header("connection"), Some("close"));
    assert!(app.is_alive());

    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0), "a second TERM ends the time");
    assert!(says(&app.log(), "SHUTDOWN_DELAY") && says(&app.log(), "\"stopped\""));
}

async fn a_closed_terminal_ends_it_in_good_order_but_not_under_nohup(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));

    // The tests themselves may run under nohup.
    let lines = format!("exec env --default-signal=HUP '{PROGRAM}' \"$@\"");
    let program = after(&lines, app.installation.directory.path());
    let mut hearing = app.another_of(&program, "all").await;
    hearing.signal("-HUP");
    assert_eq!(hearing.exited().await.code(), Some(0));
    assert!(says(&hearing.log(), "\"stopped\""), "{:?}", hearing.log());

    let program = after("trap '' HUP", app.installation.directory.path());
    let mut deaf = app.another_of(&program, "all").await;
    deaf.signal("-HUP");
    let caller = app.caller_of(&deaf);
    assert_eq!(caller.get("/health/live").await.status, 200);
    assert!(deaf.is_alive() && !says(&deaf.log(), "leaving"), "{:?}", deaf.log());
}

async fn signals_that_mean_nothing_end_nothing(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    for signal in ["-USR1", "-USR2", "-XFSZ", "-PIPE"] {
        app.process.signal(signal);
        assert_eq!(app.get("/health/live").await.status, 200, "{signal}");
        assert!(app.is_alive(), "{signal}");
    }
}

async fn the_time_ends_by_itself(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("SHUTDOWN_DELAY", "2s")]).await;
    let asked = Instant::now();
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
}

async fn a_second_signal_of_either_kind_ends_the_time(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("SHUTDOWN_DELAY", "1h")]).await;
    let signals: [fn(&Process); 2] = [Process::terminate, Process::interrupt];
    for (first, second) in [(0, 1), (1, 0), (1, 1)] {
        signals[first](&app.process);
        eventually(SOON, "it leaves", async || says(&app.log(), "SHUTDOWN_DELAY").then_some(())).await;
        assert!(app.is_alive());
        let asked = Instant::now();
        signals[second](&app.process);
        assert_eq!(app.exited().await.code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        app.restart().await;
    }
}

async fn requests_that_wait_for_a_process_that_stops_are_answered(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("SHUTDOWN_DELAY", "0s")]).await;
    app.process.freeze();
    let mut connections = Vec::new();
    for _ in 0..50 {
        let mut connection = TcpStream::connect(app.address()).await.unwrap();
        connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        connections.push(connection);
    }
    app.terminate();
    app.process.thaw();
    for mut connection in connections {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(app.exited().await.code(), Some(0));
}

/// Nothing sends requests to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_leaves_at_once_though_it_is_watched() {
    let Some(installation) = Installation::real_kafka().await else { return };
    let api = TestApp::start_api(installation, &[]).await;
    let mut worker = api.another("worker").await;
    let watching = api.caller_of(&worker);
    let ready = async || (watching.get("/health/ready").await.status == 200).then_some(());
    eventually(SOON, "it has joined", ready).await;
    worker.terminate();
    assert_eq!(worker.exited().await.code(), Some(0));
    assert!(!says(&worker.log(), "SHUTDOWN_DELAY"), "{:?}", worker.log());
}

async fn a_process_that_is_watched_leaves_later_and_another_at_once(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    assert!(!says(&app.log(), "SHUTDOWN_DELAY"), "nothing asked whether it is ready");

    app.restart().await;
    assert_eq!(app.get("/health/ready").await.status, 200);
    let asked = Instant::now();
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(5), "{:?}", asked.elapsed());
}

/// Asks a process to end that has not got as far as to serve.
async fn ends_promptly(mut process: Process) {
    eventually(SOON, "it catches signals", async || process.catches_signals().then_some(())).await;
    assert!(process.is_alive() && !says(&process.log(), "listening"));
    let asked = Instant::now();
    process.terminate();
    assert_eq!(process.exited().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let line = async || says(&process.log(), "stopped during the start").then_some(());
    eventually(SOON, "it is in the log", line).await;
}

async fn a_start_that_waits_for_a_database_is_ended(installation: Installation) {
    let url = format!("postgres://correio:s3cr3t-w0rd@{}/correio", closed_port().await);
    let environment = vec![("DATABASE_URL".to_owned(), url)];
    for arguments in [&["serve"][..], &["migrate"]] {
        ends_promptly(Process::begin(installation.directory.path(), environment.clone(), arguments)).await;
    }
}

async fn a_start_that_waits_for_another_process_to_migrate_is_ended(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    app.terminate();
    app.exited().await;
    let (environment, directory) = (app.process.environment.clone(), app.installation.directory.path());
    let begin = || Process::begin(directory, environment.clone(), &[]);
    if let Some(postgres) = &app.installation.postgres {
        let mut other = PgConnection::connect_with(&postgres.options()).await.unwrap();
        let mut migrating = other.begin().await.unwrap();
        sqlx::query("lock table _sqlx_migrations in access exclusive mode").execute(&mut *migrating).await.unwrap();
        ends_promptly(begin()).await;
    } else {
        let lock = File::open(app.installation.data_dir().join("correio.db.migrate.lock")).unwrap();
        lock.lock().unwrap();
        ends_promptly(begin()).await;
    }
    app.restart().await;
    assert_eq!(app.send(&to_sandbox("5585999999999")).await.status, 200, "nothing is left of it");
}
