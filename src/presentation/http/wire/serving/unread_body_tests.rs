use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::serving_tests::{LATEST, Server};

async fn server() -> Server {
    let refusing = post(async || (StatusCode::UNAUTHORIZED, "fine"));
    Server::start_with(Router::new().route("/", refusing), 10, LATEST).await
}

/// The answer to a request whose body has so many bytes, of which so many are sent; and whether the connection stays.
async fn asked(connection: &mut TcpStream, more: &str, length: usize, sent: usize) -> (String, bool) {
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{more}content-length: {length}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b' '; sent]).await.unwrap();
    let answer = timeout(LATEST, super::serving_tests::answer(connection)).await.unwrap();
    let stays = !answer.to_lowercase().contains("connection: close");
    (answer, stays)
}

#[tokio::test]
async fn who_is_refused_by_its_head_hears_it_and_goes_on() {
    let server = server().await;
    let mut connection = server.connect().await;
    for length in [0, 10, 300_000, 1_000_000, 10] {
        let (answer, stays) = asked(&mut connection, "", length, length).await;
        assert!(answer.starts_with("HTTP/1.1 401") && stays, "{length}: {answer}");
    }
}

#[tokio::test]
async fn what_is_not_waited_for_ends_the_connection_and_the_answer_says_so() {
    let server = server().await;
    // More than is read for nothing; a client that sends nothing before it is asked to; one that sends no more.
    for (more, length, sent) in [("", 2_000_000, 0), ("expect: 100-continue\r\n", 10, 0), ("", 10, 5)] {
        let mut connection = server.connect().await;
        let (answer, stays) = asked(&mut connection, more, length, sent).await;
        assert!(answer.starts_with("HTTP/1.1 401") && !stays, "{length}: {answer}");
        let mut rest = Vec::new();
        let _ = timeout(LATEST, connection.read_to_end(&mut rest)).await.expect("it is closed");
        assert!(rest.is_empty());
    }
}
