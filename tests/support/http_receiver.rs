//! An HTTP server on a real socket that remembers what it was sent and answers what the test scripts, wrong answers
//! included. It speaks HTTP/1.1 itself: no framework lets one answer with nonsense.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    pub method: String,
    /// With the query, as it stood in the request.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it was there.
    pub at: Instant,
}

impl ReceivedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    Http {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Waits, then answers.
    After(Duration, Box<Answer>),
    /// Closes the connection without a word.
    Close,
    /// Says exactly this, then closes the connection.
    Raw(Vec<u8>),
    /// Sends the same bytes until nobody listens.
    Endless(Vec<u8>),
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer::Http { status, headers: Vec::new(), body: body.into() }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, body.to_string()).with("content-type", "application/json")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Answer::Http { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn after(self, wait: Duration) -> Self {
        Answer::After(wait, Box::new(self))
    }
}

#[derive(Default)]
struct Script {
    received: Vec<ReceivedRequest>,
    next: VecDeque<Answer>,
    then: Option<Answer>,
}

pub struct HttpReceiver {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    server: tokio::task::JoinHandle<()>,
}

impl HttpReceiver {
    /// Answers 200 until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let script = Arc::new(Mutex::new(Script::default()));
        let server = tokio::spawn(serve(listener, script.clone()));
        Self { address, script, server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The answer to every request from now on, except where [`Self::next`] says otherwise.
    pub fn always(&self, answer: Answer) {
        self.script.lock().unwrap().then = Some(answer);
    }

    /// The answer to one request, after those that were already queued up.
    pub fn next(&self, answer: Answer) {
        self.script.lock().unwrap().next.push_back(answer);
    }

    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.script.lock().unwrap().received.clone()
    }

    pub fn how_many(&self) -> usize {
        self.script.lock().unwrap().received.len()
    }

    /// The one request that came.
    pub fn only(&self) -> ReceivedRequest {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "one request, not {received:#?}");
        received.remove(0)
    }

    pub fn forget(&self) {
        self.script.lock().unwrap().received.clear();
    }
}

impl Drop for HttpReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An address at which nobody listens.
pub async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address")
}

async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let script = script.clone();
        // The connections end with the receiver: they are aborted when the set is dropped.
        connections.spawn(async move {
            let _client_left = converse(connection, &script).await;
        });
    }
}

async fn converse(mut connection: TcpStream, script: &Mutex<Script>) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut connection, &mut buffer).await? {
        let mut answer = {
            let mut script = script.lock().unwrap();
            script.received.push(request);
            script.next.pop_front().or_else(|| script.then.clone()).unwrap_or_else(|| Answer::new(200, ""))
        };
        while let Answer::After(wait, then) = answer {
            tokio::time::sleep(wait).await;
            answer = *then;
        }
        match answer {
            Answer::Http { status, headers, body } => {
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
                connection.write_all(&[head.as_bytes(), &body].concat()).await?;
            }
            Answer::Raw(bytes) => {
                connection.write_all(&bytes).await?;
                return connection.shutdown().await;
            }
            Answer::Endless(bytes) => loop {
                connection.write_all(&bytes).await?;
            },
            Answer::Close | Answer::After(..) => return Ok(()),
        }
    }
    Ok(())
}

/// None when the client has closed the connection.
pub async fn read_request(
    connection: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<ReceivedRequest>> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if connection.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < head_end + length {
        if connection.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_end..head_end + length].to_vec();
    buffer.drain(..head_end + length);
    Ok(Some(ReceivedRequest { method, path, headers, body, at: Instant::now() }))
}
