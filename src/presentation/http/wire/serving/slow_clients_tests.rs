//! Clients that take their time, with what they send and with what they read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::InFlight;
use super::serving_tests::{HEADER_TIMEOUT, KEEP_ALIVE_TIMEOUT, LATEST, Server, answer, send};
use crate::domain::access::principal::Tenant;
use crate::presentation::http::wire::body::{BodyLimits, JsonBody};
use crate::presentation::http::wire::held::{ByteRoom, LargeAnswers};
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::{Readiness, layered};

/// More than a system keeps for a client that does not read.
const LONG: usize = 48 << 20;

/// Of a body.
const PATIENCE: Duration = Duration::from_millis(400);

const SHORT: Duration = Duration::from_millis(20);

fn long() -> Router {
    Router::new().route("/", get(async || "fine")).route("/long", get(async || "x".repeat(LONG) + "fine"))
}

fn in_places<S: Clone + Send + Sync + 'static>(routes: Router<S>, places: usize) -> Router<S> {
    layered(routes, InFlight::new(places), Readiness::default())
}

/// The head of an answer whose body is not read.
async fn head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LATEST, connection.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Asks until the answer has this status.
async fn eventually(server: &Server, path: &str, status: &str) {
    let asked = async {
        loop {
            let mut connection = server.connect().await;
            send(&mut connection, path).await;
            let answer = answer(&mut connection).await;
            if answer.starts_with(&format!("HTTP/1.1 {status}")) {
                return answer;
            }
            sleep(SHORT).await;
        }
    };
    let answer = timeout(LATEST, asked).await.unwrap_or_else(|_| panic!("{path} is never answered {status}"));
    assert!(status != "503" || answer.contains("\r\nretry-after: "), "{answer}");
}

#[tokio::test]
async fn a_request_keeps_its_place_until_its_answer_is_read() {
    let server = Server::start_with(in_places(long(), 1), 10, LATEST).await;
    let mut slow = server.connect().await;
    send(&mut slow, "/long").await;
    assert!(head(&mut slow).await.starts_with("HTTP/1.1 200"));
    eventually(&server, "/", "503").await;
    let mut all = vec![0; LONG + 4];
    timeout(LATEST, slow.read_exact(&mut all)).await.unwrap().unwrap();
    assert!(all.ends_with(b"fine"));
    eventually(&server, "/", "200").await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_loses_its_connection_and_its_place() {
    let server = Server::start_with(in_places(long(), 1), 10, HEADER_TIMEOUT).await;
    let mut slow = server.connect().await;
    send(&mut slow, "/long").await;
    assert!(head(&mut slow).await.starts_with("HTTP/1.1 200"));
    eventually(&server, "/", "200").await;
    let mut rest = Vec::new();
    let _reset_or_ended = timeout(LATEST, slow.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(rest.len() < LONG, "{}", rest.len());
}

/// A client that sends its next request meanwhile is not taken for one that reads.
#[tokio::test]
async fn a_client_that_asks_on_and_reads_nothing_loses_its_connection_too() {
    let server = Server::start_with(in_places(long(), 10), 10, HEADER_TIMEOUT).await;
    let mut slow = server.connect().await;
    for _ in 0..3 {
        send(&mut slow, "/long").await;
    }
    let gone = async {
        while slow.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok() {
            sleep(SHORT).await;
        }
    };
    timeout(LATEST, gone).await.expect("it is closed");
}

#[tokio::test]
async fn a_client_that_reads_on_may_take_longer_than_every_silence() {
    let server = Server::start_with(long(), 10, HEADER_TIMEOUT * 3).await;
    let (mut slow, begin) = (server.connect().await, Instant::now());
    send(&mut slow, "/long").await;
    let (mut part, mut read) = (vec![0; 1 << 20], 0);
    while read < LONG {
        let length = timeout(LATEST, slow.read(&mut part)).await.unwrap().unwrap();
        assert_ne!(length, 0, "after {read} bytes and {:?}", begin.elapsed());
        read += length;
        if begin.elapsed() < 2 * KEEP_ALIVE_TIMEOUT {
            sleep(SHORT).await;
        }
    }
    assert!(begin.elapsed() > KEEP_ALIVE_TIMEOUT, "{:?}", begin.elapsed());
}

#[derive(Clone)]
struct App {
    bodies: BodyLimits,
    gate: Arc<Semaphore>,
}

impl FromRef<App> for BodyLimits {
    fn from_ref(app: &App) -> Self {
        app.bodies.clone()
    }
}

/// Works on a body for as long as its gate is closed.
fn working(bytes: usize, is_open: bool) -> (Router, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(usize::from(is_open)));
    let bodies = BodyLimits { most: 1_000_000, large: 1_000_000, room: ByteRoom::new(bytes), patience: PATIENCE };
    let work = async |State(app): State<App>, body: JsonBody| -> Json<Value> {
        drop(app.gate.acquire().await.unwrap());
        Json(json!({ "length": body.bytes.len() }))
    };
    let routes = Router::new().route("/body", post(work)).route("/", get(async || "fine"));
    (in_places(routes, 1_000).with_state(App { bodies, gate: gate.clone() }), gate)
}

async fn begin_body(connection: &mut TcpStream, length: usize) {
    let head =
        format!("POST /body HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
}

async fn send_body(connection: &mut TcpStream, length: usize) {
    begin_body(connection, length).await;
    connection.write_all(format!("\"{}\"", "x".repeat(length - 2)).as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_body_that_trickles_in_is_ended_however_often_it_goes_on() {
    let (app, _gate) = working(10_000_000, true);
    let server = Server::start_with(app, 10, LATEST).await;
    let (mut slow, begin) = (server.connect().await, Instant::now());
    begin_body(&mut slow, 1_000_000).await;
    slow.write_all(b"\"").await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(SHORT).await;
        }
    });
    let mut text = String::new();
    let _reset = timeout(LATEST, reader.read_to_string(&mut text)).await.expect("it is ended");
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("too slowly"), "{text}");
    assert!(begin.elapsed() >= PATIENCE.mul_f64(0.9), "{:?}", begin.elapsed());
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_is_on_its_way_takes_no_place() {
    let bodies = BodyLimits { most: 1_000, large: 1_000, room: ByteRoom::new(1_000_000), patience: LATEST };
    let routes = Router::new().route("/body", post(async |body: JsonBody| body.bytes)).route("/", get(async || "fine"));
    let app = App { bodies, gate: Arc::new(Semaphore::new(0)) };
    let server = Server::start_with(in_places(routes, 1).with_state(app), 10, LATEST).await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut connection = server.connect().await;
        begin_body(&mut connection, 6).await;
        connection.write_all(b"\"").await.unwrap();
        slow.push(connection);
        // Whatever of it has been read.
        for _ in 0..5 {
            eventually(&server, "/", "200").await;
        }
    }
    for mut connection in slow {
        connection.write_all(b"fine\"").await.unwrap();
        assert!(head(&mut connection).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn bodies_that_are_worked_on_are_bounded_by_what_they_come_to() {
    const LENGTH: usize = 300_000;

    // Two of them, with what their buffers have beyond it, and not three.
    let (app, gate) = working(3 * LENGTH, false);
    let server = Server::start_with(app, 30, LATEST).await;
    let mut waiting = Vec::new();
    let refused = async {
        loop {
            let mut connection = server.connect().await;
            send_body(&mut connection, LENGTH).await;
            if let Ok(refused) = timeout(PATIENCE, head(&mut connection)).await {
                return refused;
            }
            waiting.push(connection);
            assert!(waiting.len() < 4, "none is refused");
        }
    };
    let refused = timeout(LATEST, refused).await.expect("one is refused");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("\r\nretry-after: "), "{refused}");
    assert!(!waiting.is_empty());
    // What takes little is taken.
    let mut small = server.connect().await;
    send_body(&mut small, 10).await;
    waiting.push(small);
    gate.add_permits(1);
    for mut connection in waiting {
        assert!(head(&mut connection).await.starts_with("HTTP/1.1 200"));
    }
    let mut next = server.connect().await;
    send_body(&mut next, LENGTH).await;
    assert!(head(&mut next).await.starts_with("HTTP/1.1 200"), "the room is free again");
}

#[tokio::test]
async fn answers_that_are_not_read_are_bounded_for_all_and_for_each_tenant() {
    let answers = LargeAnswers::within(5 * LONG, LONG, PATIENCE);
    let asked = async |tenant: &'static str, answers: LargeAnswers| -> Result<Response, Problem> {
        let room = answers.of_one(&Tenant::new(tenant).unwrap()).await?;
        room.json(&"x".repeat(LONG - 2))
    };
    let [acme, other] = [answers.clone(), answers];
    let routes = Router::new()
        .route("/acme", get(move || asked("acme", acme.clone())))
        .route("/other", get(move || asked("other", other.clone())));
    let server = Server::start_with(in_places(routes, 100), 100, 2 * LATEST).await;
    let mut unread = Vec::new();
    for path in ["/acme", "/acme", "/other", "/other"] {
        let mut connection = server.connect().await;
        send(&mut connection, path).await;
        assert!(head(&mut connection).await.starts_with("HTTP/1.1 200"), "{path}");
        unread.push(connection);
    }
    for path in ["/acme", "/other"] {
        eventually(&server, path, "503").await;
    }
    // Of a client that has gone.
    drop(unread.remove(0));
    let taken = async {
        loop {
            let mut connection = server.connect().await;
            send(&mut connection, "/acme").await;
            if head(&mut connection).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    timeout(LATEST, taken).await.expect("there is room again");
}
