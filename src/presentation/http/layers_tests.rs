use axum::Router;
use axum::routing::get;
use serde_json::Value;

use super::layered;
use crate::infrastructure::channels::http::tls;

async fn defect() {
    panic!("a defect");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_with_the_requests_id_and_so_is_the_next() {
    let routes = Router::new().route("/defect", get(defect)).route("/fine", get(async || "fine"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, layered(routes)).await });
    tls::install();
    let client = reqwest::Client::new();

    let answer =
        client.get(format!("http://{address}/defect")).header("x-request-id", "pedido-1").send().await.unwrap();

    assert_eq!((answer.status().as_u16(), &answer.headers()["x-request-id"]), (500, &"pedido-1".parse().unwrap()));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], 500, "{problem}");
    assert!(!problem.to_string().contains("a defect"), "{problem}");
    let fine = client.get(format!("http://{address}/fine")).send().await.unwrap();
    assert_eq!(fine.text().await.unwrap(), "fine");
}
