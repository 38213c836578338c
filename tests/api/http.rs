//! A client that says exactly what it is told to: no library lets one send nonsense.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::server::API_KEY;

/// Nothing that the tests ask takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Connection(BufReader<TcpStream>);

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request, with which bytes are sent for it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query, percent-encoded.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn with_key(self) -> Self {
        self.with("X-API-Key", API_KEY)
    }

    pub fn with_json(self, body: &Value) -> Self {
        let mut request = self.with("Content-Type", "application/json");
        request.body = Some(body.to_string().into_bytes());
        request
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: correio\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends `request` and reads its answer.
    pub fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.write(&request.bytes())?;
        self.read(request.method == "HEAD")?.ok_or_else(|| io::Error::other("closed without an answer"))
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Says that nothing follows.
    pub fn finish(&mut self) -> io::Result<()> {
        self.0.get_mut().shutdown(Shutdown::Write)
    }

    /// The next answer, or none when the server closed the connection.
    pub fn read(&mut self, to_head: bool) -> io::Result<Option<Answer>> {
        loop {
            let Some(mut answer) = self.head()? else { return Ok(None) };
            let status = answer.status;
            if status < 200 {
                continue;
            }
            let length = answer.header("content-length").map_or(0, |text| text.parse().expect("a content-length"));
            assert!(answer.header("transfer-encoding").is_none(), "an answer of unknown length: {answer:?}");
            if !to_head && status != 204 && status != 304 {
                answer.body = vec![0; length];
                self.0.read_exact(&mut answer.body)?;
            }
            return Ok(Some(answer));
        }
    }

    fn head(&mut self) -> io::Result<Option<Answer>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
                None => return Ok(Some(Answer { status, headers, body: Vec::new() })),
            }
        }
    }
}
