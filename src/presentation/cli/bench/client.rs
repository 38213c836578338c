//! HTTP/1.1 to the server that is measured: one kept connection, and as little work a request as there can be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use crate::infrastructure::http_client;

/// For one request, from connecting to the last byte of the answer: longer than a server waits for any channel.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server is, and what every request has to carry.
pub struct Server {
    addresses: Vec<SocketAddr>,
    host: HeaderValue,
    /// Of every path; no slash at its end.
    prefix: String,
    authorization: HeaderValue,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    #[error("no answer: {0}")]
    Broken(#[from] hyper::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooLate,
}

impl Server {
    /// `url` is where the API is, without `/api/messaging`; `key` an API key or a token.
    ///
    /// # Errors
    /// A sentence that repeats neither of them where it could hold a secret.
    pub fn new(url: &Url, key: &str) -> Result<Arc<Self>, String> {
        match url.scheme() {
            "http" => {}
            "https" => return Err("--url: https is not supported: measure the server behind its TLS proxy".to_owned()),
            _ => return Err("--url must begin with http://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("--url must have neither user nor password: the key goes into --api-key".to_owned());
        }
        let host = url.host_str().ok_or("--url has no host")?;
        let addresses =
            url.socket_addrs(|| None).map_err(|error| format!("--url: {host} cannot be resolved: {error}"))?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let host = HeaderValue::from_str(&host).map_err(|_| "--url has no host that HTTP can name")?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| "the API key has characters that no key has, such as a line break")?;
        authorization.set_sensitive(true);
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Arc::new(Self { addresses, host, prefix, authorization }))
    }

    /// All of a request but its body, to be used for many. `path` begins with a slash.
    ///
    /// # Errors
    /// When the path is none.
    pub fn head(&self, method: Method, path: &str) -> Result<Parts, String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, self.host.clone())
            .header(USER_AGENT, HeaderValue::from_static(http_client::USER_AGENT))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(());
        request.map(|request| request.into_parts().0).map_err(|error| format!("{path} is not a path: {error}"))
    }
}

/// A connection to the server, made again when the server has closed it.
pub struct Connection {
    server: Arc<Server>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, sender: None }
    }

    /// Connects, so that the first request does not have to.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn open(&mut self) -> Result<(), CallError> {
        let opened = tokio::time::timeout(PATIENCE, self.connect()).await;
        self.sender = Some(opened.map_err(|_| CallError::TooLate)??);
        Ok(())
    }

    /// Sends one request and reads the whole answer. What was sent on a connection that turned out to be closed is sent
    /// again on another, unless the server may have seen it.
    ///
    /// # Errors
    /// When there is no whole answer; the server may have done what it was asked for.
    pub async fn call(&mut self, head: &Parts, body: Bytes) -> Result<Answer, CallError> {
        // Taken: a connection in the middle of an exchange is of no use to the next one.
        let kept = self.sender.take();
        let (sender, answer) =
            tokio::time::timeout(PATIENCE, self.exchange(kept, head, body)).await.map_err(|_| CallError::TooLate)??;
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn exchange(
        &self,
        kept: Option<SendRequest<Full<Bytes>>>,
        head: &Parts,
        body: Bytes,
    ) -> Result<(SendRequest<Full<Bytes>>, Answer), CallError> {
        let mut request = Request::from_parts(head.clone(), Full::new(body));
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, read(response).await?)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await?;
        Ok((sender, read(response).await?))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let stream = TcpStream::connect(&self.server.addresses[..]).await.map_err(CallError::Unreachable)?;
        stream.set_nodelay(true).map_err(CallError::Unreachable)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // What goes wrong with it is reported where a request is sent on it.
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Result<Answer, CallError> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body })
}

impl Answer {
    /// What kind of refusal it is, such as `HTTP 422 invalid-field`, without the words that differ from one to the next.
    pub fn kind(&self) -> String {
        let status = self.status.as_u16();
        let problem = self.problem();
        match problem.as_ref().and_then(|it| it["type"].as_str()?.strip_prefix("urn:correio:problem:")) {
            Some(name) => format!("HTTP {status} {name}"),
            None => format!("HTTP {status}"),
        }
    }

    /// The same with the server's own words about it.
    pub fn sentence(&self) -> String {
        let problem = self.problem();
        match problem.as_ref().and_then(|it| it["detail"].as_str()) {
            Some(detail) => format!("{}: {detail}", self.kind()),
            None => self.kind(),
        }
    }

    fn problem(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, key: &str) -> String {
        Server::new(&url.parse().unwrap(), key).err().expect(url)
    }

    #[test]
    fn what_cannot_be_called_is_refused_without_telling_a_secret() {
        assert!(refused("https://127.0.0.1", "a key").contains("https is not supported"));
        assert!(refused("ftp://127.0.0.1", "a key").contains("http://"));
        let sentences = [refused("http://user:hush@127.0.0.1", "a key"), refused("http://127.0.0.1", "hush\n")];
        assert!(sentences.iter().all(|sentence| !sentence.contains("hush")), "{sentences:?}");
    }

    #[test]
    fn a_request_goes_below_the_path_of_the_url() {
        for (url, uri) in [("http://127.0.0.1:3000", "/api"), ("http://127.0.0.1/behind/", "/behind/api")] {
            let server = Server::new(&url.parse().unwrap(), "hush").unwrap();
            let head = server.head(Method::POST, "/api").unwrap();
            assert_eq!(head.uri, uri);
            assert_eq!(head.headers[AUTHORIZATION], "Bearer hush");
            assert!(!format!("{head:?}").contains("hush"));
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_kind() {
        let answer = |status, body: &'static str| Answer { status, body: Bytes::from_static(body.as_bytes()) };
        let problem = r#"{"type":"urn:correio:problem:channel-failed","detail":"It was away"}"#;
        let failed = answer(StatusCode::BAD_GATEWAY, problem);
        assert_eq!(failed.kind(), "HTTP 502 channel-failed");
        assert_eq!(failed.sentence(), "HTTP 502 channel-failed: It was away");
        assert_eq!(answer(StatusCode::BAD_GATEWAY, "<html>").sentence(), "HTTP 502");
    }
}
