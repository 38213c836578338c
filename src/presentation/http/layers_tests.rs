use std::io::{Read, Write};
use std::net::TcpStream;

use axum::Router;
use axum::routing::get;

use super::{InFlight, Readiness, layered};

/// Two requests on one connection.
const REQUESTS: &[u8] = b"GET /defect HTTP/1.1\r\nhost: a\r\nx-request-id: pedido-1\r\n\r\n\
    GET /fine HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

async fn defect() {
    panic!("a defect");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_with_the_requests_id_and_so_is_the_next() {
    let routes = Router::new().route("/defect", get(defect)).route("/fine", get(async || "fine"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, layered(routes, InFlight::new(10), Readiness::default())).await });

    let asked = tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(REQUESTS).unwrap();
        let mut answers = String::new();
        connection.read_to_string(&mut answers).unwrap();
        answers
    });
    let answers = asked.await.unwrap();

    let next = answers.rfind("HTTP/1.1 200").unwrap_or_else(|| panic!("{answers}"));
    let (defect, fine) = answers.split_at(next);
    assert!(defect.starts_with("HTTP/1.1 500"), "{defect}");
    assert!(defect.contains("\r\nx-request-id: pedido-1\r\n"), "{defect}");
    assert!(defect.contains("\r\ncontent-type: application/problem+json\r\n"), "{defect}");
    assert!(defect.contains(r#""status":500"#), "{defect}");
    assert!(!defect.contains("a defect"), "{defect}");
    assert!(fine.ends_with("\r\n\r\nfine"), "{fine}");
}
