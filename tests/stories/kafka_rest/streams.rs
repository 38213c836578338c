//! Streams of records that stay open.

use std::io::Error;

use reqwest::{Body, Method, Response};
use tokio::sync::mpsc;

use super::bridge::Bridge;
use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};

struct Stream {
    records: mpsc::Sender<Result<String, Error>>,
    response: Response,
}

impl Stream {
    /// One that has one record, not answered yet.
    async fn open(caller: &Caller, path: &str) -> Self {
        let (records, receiver) = mpsc::channel(1);
        records.send(Ok("{}".to_owned())).await.unwrap();
        let pieces = async |mut receiver: mpsc::Receiver<_>| receiver.recv().await.map(|piece| (piece, receiver));
        let body = Body::wrap_stream(futures::stream::unfold(receiver, pieces));
        let request = caller.request(Method::POST, path).header("content-type", "application/json");
        Self { records, response: request.body(body).send().await.unwrap() }
    }

    async fn put(&self) {
        self.records.send(Ok(" {}".to_owned())).await.unwrap();
    }

    /// What the next record is answered.
    async fn answer(&mut self) -> String {
        let piece = eventually(SOON, "it is answered", async || self.response.chunk().await.unwrap()).await;
        String::from_utf8_lossy(&piece).into_owned()
    }

    async fn is_at_its_end(&mut self) -> bool {
        self.response.chunk().await.unwrap().is_none()
    }
}

async fn path_of_a_topic(bridge: &Bridge) -> String {
    let topic = bridge.topic(1).await;
    format!("{}/topics/{topic}/records", bridge.cluster().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_comes_while_the_stream_is_open() {
    let Some(bridge) = Bridge::start().await else { return };
    let mut stream = Stream::open(&bridge, &path_of_a_topic(&bridge).await).await;
    let first = stream.answer().await;
    assert!(first.contains("\"offset\":0"), "{first}");
    stream.put().await;
    let second = stream.answer().await;
    assert!(second.contains("\"offset\":1"), "{second}");
    let Stream { records, response } = stream;
    drop(records);
    let mut stream = Stream { records: mpsc::channel(1).0, response };
    assert!(stream.is_at_its_end().await, "the stream ends with the request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_does_not_keep_the_process_from_stopping() {
    let Some(mut bridge) = Bridge::start().await else { return };
    let mut stream = Stream::open(&bridge, &path_of_a_topic(&bridge).await).await;
    let first = stream.answer().await;
    assert!(first.contains("\"offset\":0"), "{first}");
    bridge.terminate();
    assert!(stream.is_at_its_end().await, "it ends in good order");
    assert!(bridge.exited().await.success());
    assert!(!bridge.log().iter().any(|line| line.contains("before everything was finished")), "{:?}", bridge.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_open_take_no_place_from_requests_and_are_bounded_by_tenant_and_in_all() {
    let Some(bridge) = Bridge::start_with(&[("MAX_IN_FLIGHT", "4")]).await else { return };
    let path = path_of_a_topic(&bridge).await;
    let acme = bridge.holder_of_a_key("acme", &["topics:write"]).await;
    let globex = bridge.holder_of_a_key("globex", &["topics:write"]).await;
    let mut streams = Vec::new();
    for caller in [&bridge.caller(), &acme] {
        for _ in 0..2 {
            let mut stream = Stream::open(caller, &path).await;
            assert!(stream.answer().await.contains("\"error_code\":200"));
            streams.push(stream);
        }
        let refused = Stream::open(caller, &path).await.response;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"), "{refused:?}");
        let said = refused.text().await.unwrap();
        assert!(said.contains("of this tenant"), "{said}");
    }
    let refused = Stream::open(&globex, &path).await.response;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"), "{refused:?}");

    // As many as there are places are open, and silent.
    assert_eq!(bridge.get("/topics").await.status, 200);
    for stream in &mut streams {
        stream.put().await;
        assert!(stream.answer().await.contains("\"error_code\":200"));
    }
    drop(streams.pop());
    eventually(SOON, "another may be open", async || {
        (Stream::open(&globex, &path).await.response.status() == 200).then_some(())
    })
    .await;
}
