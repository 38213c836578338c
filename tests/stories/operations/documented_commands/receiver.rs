//! What the tour's few lines of Python do: answer 204, and keep the request.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::http_receiver::{ReceivedRequest, read_request};

pub struct Receiver {
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move { converse(connection, &kept).await });
            }
        });
        Self { received, server }
    }

    pub fn last(&self) -> Option<ReceivedRequest> {
        self.received.lock().unwrap().last().cloned()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn converse(mut connection: TcpStream, kept: &Mutex<Vec<ReceivedRequest>>) {
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = read_request(&mut connection, &mut buffer).await {
        kept.lock().unwrap().push(request);
        let _its_client_may_be_gone = connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}
