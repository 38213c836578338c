//! A way to PostgreSQL on which the answers of some claims are lost.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::Result;

/// What the claim says, of every build so far, and no other statement.
const CLAIM: &[u8] = b"set status = 'processing'";

/// The answer of one claim in so many is lost, from the third on.
const ONE_IN: u64 = 20;
const FIRST: u64 = 2;

/// Carries what both sides say, to the letter. The server works off every statement; but the client of some claims is not
/// told, and finds its connection closed.
pub struct PostgresProxy {
    port: u16,
    claims: Arc<Claims>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Claims {
    begun: AtomicU64,
    lost: AtomicU64,
}

/// How often the server of a connection has to say that it is ready: once for its start, and once for every `Sync` and every
/// simple query.
struct Readiness {
    asked: AtomicU64,
    /// The one that ends an answer which is lost; 0 before there is one.
    lost: AtomicU64,
}

impl Readiness {
    fn ask(&self) {
        self.asked.fetch_add(1, SeqCst);
    }

    /// The answer of what is asked next is lost.
    fn lose(&self) {
        self.lost.store(self.asked.load(SeqCst) + 1, SeqCst);
    }
}

impl Claims {
    fn begin(&self, readiness: &Readiness) {
        if self.begun.fetch_add(1, SeqCst) % ONE_IN == FIRST {
            readiness.lose();
        }
    }
}

impl PostgresProxy {
    /// # Errors
    /// When there is no free port.
    pub async fn start(server: &PgConnectOptions) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, claims) = (listener.local_addr()?.port(), Arc::new(Claims::default()));
        let leads_to = (Ipv4Addr::LOCALHOST, server.get_port()).into();
        let task = tokio::spawn(serve(listener, leads_to, claims.clone()));
        Ok(Self { port, claims, task })
    }

    /// Of this database, this way. Not encrypted: what is encrypted cannot be read.
    pub fn url(&self, database: &PgConnectOptions) -> String {
        database.clone().port(self.port).ssl_mode(PgSslMode::Disable).to_url_lossy().to_string()
    }

    /// How many claims there were, and of how many the answer was lost.
    pub fn claims(&self) -> (u64, u64) {
        (self.claims.begun.load(SeqCst), self.claims.lost.load(SeqCst))
    }
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, leads_to: SocketAddr, claims: Arc<Claims>) {
    // The connections end with the proxy: they are aborted when the set is dropped.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let claims = claims.clone();
        connections.spawn(async move {
            let _one_side_left = connect(client, leads_to, &claims).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(client: TcpStream, leads_to: SocketAddr, claims: &Claims) -> io::Result<()> {
    let server = TcpStream::connect(leads_to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let readiness = Readiness { asked: AtomicU64::new(1), lost: AtomicU64::new(0) };
    // Both sides are closed when either has ended.
    tokio::select! {
        done = statements(from_client, to_server, &readiness, claims) => done,
        done = answers(from_server, to_client, &readiness, claims) => done,
    }
}

async fn statements(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    readiness: &Readiness,
    claims: &Claims,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    // The first message of a connection says what it is by its place.
    to.write_all(&read_message(&mut from, 0).await?).await?;
    let mut claiming = HashSet::new();
    loop {
        let message = read_message(&mut from, 1).await?;
        let mut texts = message[5..].split(|byte| *byte == 0);
        match message[0] {
            b'P' => {
                let (name, query) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
                if query.windows(CLAIM.len()).any(|part| part == CLAIM) {
                    claiming.insert(name.to_vec());
                } else {
                    claiming.remove(name);
                }
            }
            // Its portal's name comes first.
            b'B' if texts.nth(1).is_some_and(|name| claiming.contains(name)) => claims.begin(readiness),
            b'Q' | b'S' => readiness.ask(),
            _ => {}
        }
        to.write_all(&message).await?;
    }
}

async fn answers(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    readiness: &Readiness,
    claims: &Claims,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut next = 1;
    loop {
        let message = read_message(&mut from, 1).await?;
        let (is_ready, is_lost) = (message[0] == b'Z', readiness.lost.load(SeqCst) == next);
        if is_ready && is_lost {
            claims.lost.fetch_add(1, SeqCst);
            return Ok(());
        }
        if !is_lost {
            to.write_all(&message).await?;
        }
        next += u64::from(is_ready);
    }
}

/// A message as it stands: so many bytes that say what it is, its length without them, and its content.
async fn read_message(from: &mut (impl AsyncRead + Unpin), kind: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; kind];
    from.read_exact(&mut message).await?;
    let length = from.read_u32().await?;
    message.extend(length.to_be_bytes());
    let head = message.len();
    message.resize(kind + (length as usize).max(4), 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(message)
}
