//! The webhook that everything is for. It keeps a log of what it got, fails 5 % of the calls, and can go away.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::free_port::free_port;
use crate::support::http_receiver::read_request;

/// How many calls of a hundred fail.
const FAILING: u8 = 5;

/// Long enough that whoever is killed is killed in the middle of something.
const WORK: Duration = Duration::from_millis(40);

#[derive(Clone, Debug)]
pub struct Call {
    pub id: String,
    pub at: DateTime<Utc>,
    /// Whether it took the message; else it said that it may work later.
    pub took: bool,
    /// Whether its answer was given to the connection.
    pub answered: bool,
}

pub struct Receiver {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Call>>>,
    server: Option<JoinHandle<()>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let address = ([127, 0, 0, 1], free_port()).into();
        let mut receiver = Self { address, log: Arc::default(), server: None };
        receiver.come_back().await;
        receiver
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.log.lock().unwrap().clone()
    }

    pub fn how_many_taken(&self) -> usize {
        self.log.lock().unwrap().iter().filter(|call| call.took).count()
    }

    /// In the middle of its work, whose answers are lost.
    pub fn go_away(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its port is still free");
        self.server = Some(tokio::spawn(serve(listener, self.log.clone())));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.go_away();
    }
}

async fn serve(listener: TcpListener, log: Arc<Mutex<Vec<Call>>>) {
    // The connections end with the server: they are aborted when the set is dropped.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let log = log.clone();
        connections.spawn(async move {
            let _client_left = converse(connection, &log).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut connection: TcpStream, log: &Mutex<Vec<Call>>) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut connection, &mut buffer).await? {
        let (id, took) = (request.header("webhook-id").expect("an id").to_owned(), fastrand::u8(0..100) >= FAILING);
        let number = {
            let mut log = log.lock().unwrap();
            log.push(Call { id, at: Utc::now(), took, answered: false });
            log.len() - 1
        };
        tokio::time::sleep(WORK).await;
        let status = if took { "200 OK" } else { "503 Service Unavailable" };
        connection.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
        log.lock().unwrap()[number].answered = true;
    }
    Ok(())
}
