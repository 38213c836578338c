//! One HTTP/1.1 connection, as cheap as it gets: what a client costs, the server cannot have.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// More than any head of an answer that is read here.
const LONGEST_HEAD: usize = 16 * 1024;

pub struct Connection {
    stream: TcpStream,
    /// What has arrived of the answer.
    read: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    /// As it was read with the head and the body; valid UTF-8 or not.
    text: String,
}

impl Answer {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

impl Connection {
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4096) })
    }

    /// Sends a request, and returns its answer's status.
    ///
    /// # Errors
    /// When the connection ends, or something arrives that is no answer with a `content-length`.
    pub async fn status_of(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            if self.read.len() > LONGEST_HEAD {
                return Err("an answer without an end of its head".into());
            }
        };
        let (status, length) = parse(&self.read[..head]).ok_or("an answer that cannot be read")?;
        while self.read.len() < head + length {
            self.read_more().await?;
        }
        if self.read.len() > head + length {
            return Err("more than one answer to a request".into());
        }
        Ok(status)
    }

    /// The same, with what was answered.
    ///
    /// # Errors
    /// As above.
    pub async fn answer_to(&mut self, request: &[u8]) -> Result<Answer> {
        let status = self.status_of(request).await?;
        Ok(Answer { status, text: String::from_utf8_lossy(&self.read).into_owned() })
    }

    async fn read_more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// The status, and how long the body is.
fn parse(head: &[u8]) -> Option<(u16, usize)> {
    let head = std::str::from_utf8(head).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, length?))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
