//! Very many clients, each with a connection and one request of its own, as cheap as they get.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::Result;

/// Connections that are opened at the same time.
const OPENING: usize = 256;

/// An answer begins with its status: `HTTP/1.1 503`.
const BEGINNING: usize = 12;

const AT_ONCE: Duration = Duration::from_secs(1);

pub struct Crowd(JoinSet<Client>);

struct Client {
    status: Option<u16>,
    took: Duration,
    /// Open, as long as the others have theirs.
    _stream: Option<TcpStream>,
}

/// What they were answered.
#[derive(Default)]
pub struct Answers {
    pub by_status: BTreeMap<u16, usize>,
    /// With 503 within a second.
    pub refused_at_once: usize,
    /// Those that have no answer.
    pub unanswered: usize,
}

impl Crowd {
    /// Opens so many connections, and sends the request through each as soon as it is open; a client without an answer
    /// by then goes.
    ///
    /// # Errors
    /// When the address is none.
    pub fn gather(address: &str, clients: u32, request: &[u8], until: Instant) -> Result<Self> {
        let address: SocketAddr = address.parse()?;
        let (request, opening) = (Arc::<[u8]>::from(request), Arc::new(Semaphore::new(OPENING)));
        let mut crowd = JoinSet::new();
        for _ in 0..clients {
            crowd.spawn(client(address, request.clone(), opening.clone(), until));
        }
        Ok(Self(crowd))
    }

    /// Returns when each has an answer or has gone; the connections are closed then.
    ///
    /// # Errors
    /// When a client broke.
    pub async fn answers(mut self) -> Result<Answers> {
        let (mut answers, mut clients) = (Answers::default(), Vec::new());
        while let Some(client) = self.0.join_next().await {
            let client = client?;
            match client.status {
                Some(status) => *answers.by_status.entry(status).or_default() += 1,
                None => answers.unanswered += 1,
            }
            answers.refused_at_once += usize::from(client.status == Some(503) && client.took <= AT_ONCE);
            clients.push(client);
        }
        Ok(answers)
    }
}

async fn client(address: SocketAddr, request: Arc<[u8]>, opening: Arc<Semaphore>, until: Instant) -> Client {
    let Ok(Some(mut stream)) = timeout_at(until, open(address, &request, &opening)).await else {
        return Client { status: None, took: Duration::ZERO, _stream: None };
    };
    let (begin, mut read) = (Instant::now(), [0; BEGINNING]);
    let answered = timeout_at(until, stream.read_exact(&mut read)).await;
    let status = answered.is_ok_and(|read| read.is_ok()).then(|| status(&read)).flatten();
    Client { status, took: begin.elapsed(), _stream: Some(stream) }
}

async fn open(address: SocketAddr, request: &[u8], opening: &Semaphore) -> Option<TcpStream> {
    let _place = opening.acquire().await.ok()?;
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(request).await.ok()?;
    Some(stream)
}

fn status(beginning: &[u8]) -> Option<u16> {
    std::str::from_utf8(beginning).ok()?.rsplit_once(' ')?.1.parse().ok()
}
