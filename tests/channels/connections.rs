//! What becomes of a message when a connection, or what stands before the receiver, is not as it should be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use correio::application::ports::ChannelSender;
use correio::infrastructure::channels::{EvolutionSettings, WhatsappEvolutionSender};
use correio::infrastructure::http_client::{HttpClient, Repeats, client_builder};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::webhook::{sender, to};
use super::{PATIENCE, PLENTY, clock, delivery, text};
use crate::contracts::delivery::channel_sender::ending;
use crate::support::free_port::free_port;
use crate::support::http_receiver::{Answer, HttpReceiver, read_request};
use crate::support::proxy::{Proxy, Weather};
use crate::support::tls_server;

#[tokio::test]
async fn an_answer_is_read_as_browsers_and_curl_read_it() {
    let cookies: String = (0..150).map(|number| format!("Set-Cookie: c{number}=1\r\n")).collect();
    let heads = [
        ("a space before the colon", "Server : nginx\r\n"),
        ("a folded header", "X-Trace: one\r\n two\r\n"),
        ("a line without a colon", "this is no header\r\n"),
        ("150 cookies", cookies.as_str()),
        ("bytes beyond ASCII", "X-Loja: S\u{e3}o Jo\u{e3}o\r\n"),
    ];
    let receiver = HttpReceiver::start().await;
    for (what, head) in heads {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\nok");
        receiver.next(Answer::Raw(answer.into_bytes()));
        assert_eq!(ending(&sender().send(&to(&receiver.url("/"), text("Olá"))).await), "sent", "{what}");
    }
    assert_eq!(receiver.how_many(), heads.len());
}

/// The receiver had closed it, as idle, when the request came.
#[tokio::test]
async fn a_used_connection_that_is_closed_costs_no_try() {
    let receiver = HttpReceiver::start().await;
    let sender = sender();
    let send = async || ending(&sender.send(&to(&receiver.url("/"), text("Olá"))).await);
    assert_eq!(send().await, "sent");
    receiver.next(Answer::Close);
    assert_eq!(send().await, "sent");
    let ids: Vec<_> = receiver.received().iter().map(|it| it.header("webhook-id").map(str::to_owned)).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[1], ids[2]);

    // Once: who closes the new one as well has something against the request.
    receiver.forget();
    assert_eq!(send().await, "sent");
    receiver.next(Answer::Close);
    receiver.next(Answer::Close);
    assert_eq!(send().await, "unknown");
    assert_eq!(receiver.how_many(), 3);
}

#[tokio::test]
async fn a_new_connection_that_is_closed_is_no_reason_to_call_twice() {
    let receiver = HttpReceiver::start().await;
    receiver.next(Answer::Close);
    assert_eq!(ending(&sender().send(&to(&receiver.url("/"), text("Olá"))).await), "unknown");
    assert_eq!(receiver.how_many(), 1);
}

/// It may have read the first copy.
#[tokio::test]
async fn a_receiver_that_is_gone_for_the_second_copy_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = Vec::new();
        read_request(&mut stream, &mut buffer).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(listener);
        read_request(&mut stream, &mut buffer).await.unwrap();
    });
    let sender = sender();
    assert_eq!(ending(&sender.send(&to(&url, text("Olá"))).await), "sent");
    assert_eq!(ending(&sender.send(&to(&url, text("Olá"))).await), "unknown");
}

/// Answers the first request on its first connection; the second waits for half of [`PATIENCE`], and then the connection
/// is closed, with the goodbye of TLS or without it. Each that comes later has what `later` says.
async fn tls_server_that_closes_a_used_connection(
    says_goodbye: bool,
    later: &'static [u8],
) -> (String, Arc<AtomicUsize>) {
    const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let address = tls_server::start_with(move |mut stream, connection| {
        let count = count.clone();
        async move {
            let mut buffer = Vec::new();
            let mut answers = if connection == 0 { vec![ANSWER] } else { vec![] }.into_iter();
            while let Ok(Some(_)) = read_request(&mut stream, &mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                match answers.next() {
                    Some(answer) => stream.write_all(answer).await.unwrap(),
                    None if connection > 0 => stream.write_all(later).await.unwrap(),
                    None => {
                        tokio::time::sleep(PATIENCE / 2).await;
                        if says_goodbye {
                            stream.shutdown().await.unwrap();
                        }
                        return;
                    }
                }
            }
        }
    });
    (format!("https://localhost:{}/", address.await.port()), requests)
}

fn client_that_trusts_the_tls_server() -> HttpClient {
    HttpClient::new(|| client_builder(PLENTY).tls_backend_preconfigured(tls_server::trusting())).unwrap()
}

async fn post(client: &HttpClient, url: &str, patience: Duration) -> Result<u16, reqwest::Error> {
    let request = client.requests().post(url).body("Olá").build().unwrap();
    client.send(request, patience, Repeats::OnceOnNewConnection).await.map(|response| response.status().as_u16())
}

#[tokio::test]
async fn a_used_connection_over_tls_that_is_closed_costs_no_try() {
    for says_goodbye in [true, false] {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        let (url, requests) = tls_server_that_closes_a_used_connection(says_goodbye, answer).await;
        let client = client_that_trusts_the_tls_server();
        assert_eq!(post(&client, &url, PLENTY).await.unwrap(), 204);
        assert_eq!(post(&client, &url, PLENTY).await.unwrap(), 202, "goodbye: {says_goodbye}");
        assert_eq!(requests.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn the_second_copy_has_what_the_first_left_of_the_time() {
    let (url, requests) = tls_server_that_closes_a_used_connection(true, b"").await;
    let client = client_that_trusts_the_tls_server();
    assert_eq!(post(&client, &url, PLENTY).await.unwrap(), 204);
    let began = Instant::now();
    let error = post(&client, &url, PATIENCE).await.unwrap_err();
    let took = began.elapsed();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 3, "the second copy was sent");
    assert!(took >= PATIENCE && took < PATIENCE.mul_f64(1.4), "{took:?}");
}

/// Evolution sends what it is asked for twice to the recipient twice.
#[tokio::test]
async fn what_a_channel_may_have_read_is_not_repeated_within_a_try() {
    let receiver = HttpReceiver::start().await;
    let sender = WhatsappEvolutionSender::new(EvolutionSettings::default(), clock()).unwrap();
    let credentials = json!({ "baseUrl": receiver.url(""), "apiKey": "s3cr3t-k3y" });
    let send = async || ending(&sender.send(&delivery("", &credentials, "5585999998888", text("Olá"))).await);
    receiver.next(Answer::json(201, &json!({ "key": { "id": "3EB0" } })));
    assert_eq!(send().await, "sent");
    receiver.next(Answer::Close);
    assert_eq!(send().await, "unknown");
    assert_eq!(receiver.how_many(), 2);
}

/// What a server that closes idle connections after two seconds is about to close.
#[tokio::test]
async fn what_nothing_repeats_goes_on_no_connection_that_has_been_idle_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut buffer = Vec::new();
                while let Ok(Some(_)) = read_request(&mut stream, &mut buffer).await {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    let client = HttpClient::new(|| client_builder(PLENTY)).unwrap();
    let ask = async |repeats| {
        let request = client.requests().post(&url).build().unwrap();
        client.send(request, PLENTY, repeats).await.unwrap();
        connections.load(Ordering::SeqCst)
    };
    let mut counts = Vec::new();
    for repeats in [Repeats::IfUnsent, Repeats::OnceOnNewConnection] {
        counts.extend([ask(repeats).await, ask(repeats).await]);
        // It is time that makes the difference.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        counts.push(ask(repeats).await);
    }
    assert_eq!(counts, [1, 1, 2, 3, 3, 3]);
}

#[tokio::test]
async fn a_proxy_that_lost_the_answer_does_not_say_that_nothing_was_taken() {
    let receiver = HttpReceiver::start().await;
    let page = "<html><head><title>Bad Gateway</title></head></html>";
    let evolution = WhatsappEvolutionSender::new(EvolutionSettings::default(), clock()).unwrap();
    let credentials = json!({ "baseUrl": receiver.url(""), "apiKey": "s3cr3t-k3y" });
    for status in [502, 504, 520, 521, 522, 523, 524] {
        receiver.always(Answer::new(status, page).with("content-type", "text/html"));
        let webhook = sender().send(&to(&receiver.url("/"), text("Olá"))).await;
        assert_eq!(ending(&webhook), "unknown", "{status}");
        let whatsapp = evolution.send(&delivery("", &credentials, "5585999998888", text("Olá"))).await;
        assert_eq!(ending(&whatsapp), "unknown", "{status}");
    }
    // It asked nobody, or it is Evolution itself that speaks.
    receiver.always(Answer::new(503, page));
    assert_eq!(ending(&sender().send(&to(&receiver.url("/"), text("Olá"))).await), "transient");
    receiver.always(Answer::json(502, &json!({ "message": "Internal server error" })));
    let whatsapp = evolution.send(&delivery("", &credentials, "5585999998888", text("Olá"))).await;
    assert_eq!(ending(&whatsapp), "unknown");
    receiver
        .always(Answer::json(502, &json!({ "status": 502, "error": "Bad Gateway", "response": { "message": "x" } })));
    let whatsapp = evolution.send(&delivery("", &credentials, "5585999998888", text("Olá"))).await;
    assert_eq!(ending(&whatsapp), "transient");
}

/// Answers the first request on its first connection, and none after it; all on the others. It answers pings all the time.
async fn server_whose_first_connection_hangs() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let requests = Arc::new(AtomicUsize::new(0));
            let answer = service_fn(move |_| {
                let hangs = is_first && requests.fetch_add(1, Ordering::SeqCst) > 0;
                async move {
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, hyper::Error>(hyper::Response::new(Full::new(Bytes::new())))
                }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, connections)
}

#[tokio::test]
async fn a_shared_connection_on_which_somebody_waited_in_vain_is_not_used_again() {
    let (address, connections) = server_whose_first_connection_hangs().await;
    let client = HttpClient::new(|| client_builder(PLENTY).http2_prior_knowledge()).unwrap();
    let send = async |patience| {
        let request = client.requests().post(format!("http://{address}/")).build().unwrap();
        client.send(request, patience, Repeats::OnceOnNewConnection).await.map(|response| response.status().as_u16())
    };
    assert_eq!(send(PLENTY).await.unwrap(), 200);
    assert!(send(PATIENCE).await.unwrap_err().is_timeout());
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        assert_eq!(send(PLENTY).await.unwrap(), 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// Answers everything, and counts connections.
async fn http2_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer =
                service_fn(async |_| Ok::<_, hyper::Error>(hyper::Response::new(Full::new(Bytes::from_static(b"ok")))));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, connections)
}

/// It is frozen, or what stands before it has lost it: the connection stays open, and pings are not answered.
#[tokio::test]
async fn a_shared_connection_that_says_nothing_is_given_up_before_the_time_of_its_request() {
    let (server, connections) = http2_server().await;
    let port = free_port();
    let proxy = Proxy::start(port, server.port()).await;
    let client = HttpClient::new(|| client_builder(PLENTY).http2_prior_knowledge()).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(post(&client, &url, PLENTY).await.unwrap(), 200);

    proxy.turn(Weather::Silent);
    let began = Instant::now();
    let patience = PLENTY * 10;
    let (one, other) = tokio::join!(post(&client, &url, patience), post(&client, &url, patience));
    let took = began.elapsed();
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(!error.is_connect(), "it may have been read: {error:?}");
    }
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(25), "{took:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1, "neither was sent again");

    // What is on the old one would come through now, too.
    proxy.turn(Weather::Fine);
    assert_eq!(post(&client, &url, PLENTY).await.unwrap(), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
