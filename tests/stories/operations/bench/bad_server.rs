//! `correio bench` against servers that do not do what they are asked for.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::process::run;

/// Makes instances 1, 2, 3, ... and accepts everything.
#[derive(Default)]
struct Server {
    made: AtomicUsize,
    was_sent_to: AtomicBool,
    /// Once it was sent to, it takes for ever to count.
    counts_no_more: bool,
    keeps: Option<String>,
    deleted: Mutex<Vec<String>>,
}

impl Server {
    async fn start(self) -> (SocketAddr, Arc<Self>) {
        let server = Arc::new(self);
        let router = Router::new()
            .route("/api/messaging/instances", post(make))
            .route("/api/messaging/instances/{id}", delete(remove))
            .route("/api/messaging/messages/stats", get(count))
            .route("/api/messaging/message/send", post(accept))
            .with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, server)
    }
}

async fn make(State(server): State<Arc<Server>>) -> (StatusCode, Json<Value>) {
    let number = server.made.fetch_add(1, SeqCst) + 1;
    (StatusCode::CREATED, Json(json!({ "data": { "instanceId": number.to_string() } })))
}

async fn remove(State(server): State<Arc<Server>>, Path(id): Path<String>) -> StatusCode {
    if server.keeps.as_ref() == Some(&id) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    server.deleted.lock().unwrap().push(id);
    StatusCode::NO_CONTENT
}

async fn count(State(server): State<Arc<Server>>) -> Json<Value> {
    if server.counts_no_more && server.was_sent_to.load(SeqCst) {
        std::future::pending::<()>().await;
    }
    let none = json!({
        "pending": 0, "queued": 0, "processing": 0, "sent": 0, "delivered": 0, "read": 0, "failed": 0, "cancelled": 0, "total": 0
    });
    Json(json!({ "data": none }))
}

async fn accept(State(server): State<Arc<Server>>) -> StatusCode {
    server.was_sent_to.store(true, SeqCst);
    StatusCode::ACCEPTED
}

async fn bench(address: SocketAddr, arguments: &[&str]) -> Output {
    let elsewhere = tempfile::tempdir().unwrap();
    let url = format!("http://{address}");
    let arguments = [&["bench", "--url", &url, "--api-key", "k", "--channel", "sandbox"], arguments].concat();
    run(elsewhere.path(), &[], &arguments).await
}

#[tokio::test]
async fn an_instance_that_is_not_deleted_is_named_and_the_others_are_deleted() {
    let (address, server) = Server { keeps: Some("2".to_owned()), ..Server::default() }.start().await;
    let output = bench(address, &["--messages", "3", "--instances", "3", "--recipients", "3"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("was left behind: the server did not delete an instance: HTTP 503"), "{told}");
    assert_eq!(*server.deleted.lock().unwrap(), ["1", "3"]);
}

#[tokio::test]
async fn a_server_that_does_not_count_is_not_waited_for_much_longer_than_said() {
    let (address, server) = Server { counts_no_more: true, ..Server::default() }.start().await;
    let running = bench(address, &["--messages", "3", "--wait", "1s"]);
    let output = tokio::time::timeout(Duration::from_secs(40), running).await.expect("it waits for a count");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the server does not count in time"), "{told}");
    assert_eq!(*server.deleted.lock().unwrap(), ["1"]);
}
