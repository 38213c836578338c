use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::{InFlight, Limits, serve};
use crate::presentation::http::Readiness;
use crate::presentation::http::layered;
use crate::presentation::http::wire::serving::to_its_end;

pub(super) const HEADER_TIMEOUT: Duration = Duration::from_millis(300);
pub(super) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_millis(900);
/// Longer than anything here takes on a busy machine.
pub(super) const LATEST: Duration = Duration::from_secs(20);

pub(super) struct Server {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Server {
    async fn start(app: Router, connections: usize) -> Self {
        Self::start_with(app, connections, LATEST).await
    }

    pub(super) async fn start_with(app: Router, connections: usize, stall_timeout: Duration) -> Self {
        let limits = Limits {
            connections,
            header_timeout: HEADER_TIMEOUT,
            keep_alive_timeout: KEEP_ALIVE_TIMEOUT,
            stall_timeout,
        };
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), app, limits)
    }

    fn start_on(listener: TcpListener, app: Router, limits: Limits) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = stopped.map(|_| ()).boxed().shared();
        Self { address, stop: Some(stop), ended: tokio::spawn(serve(listener, app, limits, stopped)) }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn quick() -> Router {
    Router::new().route("/", get(async || "fine"))
}

pub(super) async fn send(connection: &mut TcpStream, path: &str) {
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
}

/// The next answer, until its body is `fine` or its connection ends.
pub(super) async fn answer(connection: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = async {
        let mut byte = [0];
        while !text.ends_with("fine") && !text.ends_with("}") && connection.read(&mut byte).await.unwrap_or(0) == 1 {
            text.push(char::from(byte[0]));
        }
    };
    tokio::time::timeout(LATEST, read).await.unwrap();
    text
}

/// How long it takes until the server closes.
async fn closed_after(connection: &mut TcpStream) -> Duration {
    let begin = Instant::now();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(LATEST, connection.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(rest.is_empty(), "{closed:?} {}", String::from_utf8_lossy(&rest));
    begin.elapsed()
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start(quick(), 10).await;
    let mut connection = server.connect().await;
    let after = closed_after(&mut connection).await;
    assert!(after >= HEADER_TIMEOUT.mul_f64(0.9) && after < KEEP_ALIVE_TIMEOUT * 10, "{after:?}");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_closed_whenever_it_began() {
    let server = Server::start(quick(), 10).await;
    for requests in 0..3 {
        let mut connection = server.connect().await;
        for _ in 0..requests {
            send(&mut connection, "/").await;
            assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
        }
        connection.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        let after = closed_after(&mut connection).await;
        assert!(after >= HEADER_TIMEOUT.mul_f64(0.9), "after {requests} requests: {after:?}");
    }
}

#[tokio::test]
async fn between_two_requests_a_connection_may_be_silent_for_longer() {
    let server = Server::start(quick(), 10).await;
    let mut connection = server.connect().await;
    send(&mut connection, "/").await;
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
    let after = closed_after(&mut connection).await;
    assert!(after >= KEEP_ALIVE_TIMEOUT.mul_f64(0.9), "{after:?}");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_every_silence() {
    let slow = Router::new().route(
        "/",
        get(async || {
            tokio::time::sleep(KEEP_ALIVE_TIMEOUT + HEADER_TIMEOUT).await;
            "fine"
        }),
    );
    let server = Server::start(slow, 10).await;
    let mut connection = server.connect().await;
    send(&mut connection, "/").await;
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_too_many_is_closed_until_another_has_gone() {
    let server = Server::start(quick(), 1).await;
    let mut first = server.connect().await;
    send(&mut first, "/").await;
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = server.connect().await;
    let after = closed_after(&mut second).await;
    assert!(after < LATEST, "{after:?}");
    drop(first);
    let served = async {
        loop {
            let mut next = server.connect().await;
            send(&mut next, "/").await;
            if answer(&mut next).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(LATEST, served).await.expect("a place is free again");
}

/// With so few connections each gives up its buffers between two requests.
#[tokio::test]
async fn what_has_come_of_the_next_request_is_not_lost_between_two() {
    let server = Server::start(quick(), 10).await;
    let mut connection = server.connect().await;
    for _ in 0..3 {
        connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT").await.unwrap();
        assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
        connection.write_all(b"TP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
    }
    connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT").await.unwrap();
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
    let after = closed_after(&mut connection).await;
    assert!(after >= HEADER_TIMEOUT.mul_f64(0.9) && after < KEEP_ALIVE_TIMEOUT * 10, "{after:?}");
}

#[tokio::test]
async fn a_long_answer_to_a_slow_reader_is_whole() {
    const LENGTH: usize = 16 << 20;

    let long = Router::new().route("/", get(async || "x".repeat(LENGTH) + "fine"));
    let server = Server::start(long, 10).await;
    let mut connection = server.connect().await;
    for _ in 0..2 {
        send(&mut connection, "/").await;
        let (mut read, mut part) = (Vec::new(), vec![0; 100_000]);
        while !read.ends_with(b"fine") {
            let length = tokio::time::timeout(LATEST, connection.read(&mut part)).await.unwrap().unwrap();
            assert_ne!(length, 0, "after {} bytes", read.len());
            read.extend_from_slice(&part[..length]);
        }
        assert!(read.len() > LENGTH);
    }
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_has_begun_and_takes_nothing_more() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waits) = (begun.clone(), go_on.clone());
    let slow = Router::new().route(
        "/",
        get(async move || {
            told.notify_one();
            waits.notified().await;
            "fine"
        }),
    );
    let mut server = Server::start(slow, 10).await;
    let mut idle = server.connect().await;
    let mut connection = server.connect().await;
    send(&mut connection, "/").await;
    begun.notified().await;
    drop(server.stop.take());
    let _how_long = closed_after(&mut idle).await;
    assert!(TcpStream::connect(server.address).await.is_err(), "it listens no more");
    assert!(!server.ended.is_finished());
    go_on.notify_one();
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));
    tokio::time::timeout(LATEST, server.ended).await.expect("it ends").unwrap();
}

/// The system has taken them on; the program has not seen them yet.
#[tokio::test]
async fn connections_that_wait_when_a_server_stops_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connect = async || TcpStream::connect(address).await.unwrap();
    let (mut first, mut late, mut silent) = (connect().await, connect().await, connect().await);
    send(&mut first, "/").await;
    let mut quick_ones = Vec::new();
    for _ in 0..20 {
        let mut connection = connect().await;
        send(&mut connection, "/").await;
        quick_ones.push(connection);
    }
    let limits = Limits { connections: 100, header_timeout: LATEST, keep_alive_timeout: LATEST, stall_timeout: LATEST };
    let mut server = Server::start_on(listener, quick(), limits);
    drop(server.stop.take());
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
    assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
    send(&mut late, "/").await;
    assert!(answer(&mut late).await.starts_with("HTTP/1.1 200"), "its request was on its way");
    for connection in &mut quick_ones {
        let answer = answer(connection).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
        let _how_long = closed_after(connection).await;
    }
    let _how_long = closed_after(&mut silent).await;
    tokio::time::timeout(LATEST, server.ended).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn of_the_connections_that_wait_when_a_server_stops_there_are_no_more_served_than_at_other_times() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        send(&mut connection, "/").await;
        connections.push(connection);
    }
    let limits = Limits { connections: 4, header_timeout: LATEST, keep_alive_timeout: LATEST, stall_timeout: LATEST };
    let mut server = Server::start_on(listener, quick(), limits);
    drop(server.stop.take());
    let mut answered = 0;
    for connection in &mut connections {
        answered += usize::from(answer(connection).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(answered, 4);
    tokio::time::timeout(LATEST, server.ended).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_request_too_many_is_refused_while_the_process_says_how_it_is() {
    let (gate, tasks) = (Arc::new(Semaphore::new(0)), TaskTracker::new());
    let (waits, runs) = (gate.clone(), tasks.clone());
    let slow = async move || {
        let work = async move { drop(waits.acquire().await) };
        to_its_end(&runs, work).await.map(|()| "fine")
    };
    let routes = Router::new()
        .route("/slow", get(slow))
        .route("/health/live", get(async || "fine"))
        .route("/health/ready", get(async || "fine"));
    let server = Server::start(layered(routes, InFlight::new(1), Readiness::default()), 10).await;
    let mut first = server.connect().await;
    send(&mut first, "/slow").await;
    while tasks.is_empty() {
        tokio::task::yield_now().await;
    }
    // Its caller has gone, and its work goes on.
    drop(first);
    let mut connection = server.connect().await;
    for _ in 0..20 {
        send(&mut connection, "/slow").await;
        let refused = answer(&mut connection).await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("\r\nretry-after: ") && refused.contains("\r\nx-request-id: "), "{refused}");
        for path in ["/health/live", "/health/ready"] {
            send(&mut connection, path).await;
            assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"), "{path}");
        }
    }
    gate.add_permits(10);
    let taken = async {
        loop {
            send(&mut connection, "/slow").await;
            if answer(&mut connection).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(LATEST, taken).await.expect("its place is free again");
}
