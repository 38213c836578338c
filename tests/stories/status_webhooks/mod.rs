//! Who subscribes to states is told of each.

mod subscribing;
mod telling;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::support::caller::Caller;
use crate::support::http_receiver::ReceivedRequest;

const PATH: &str = "/api/messaging/subscriptions/status";

/// What the caller is shown of a subscription that it makes.
async fn subscribes(caller: &Caller, body: &Value) -> Value {
    let answer = caller.post(PATH, body).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    answer.data()
}

fn path_of(subscription: &Value) -> String {
    format!("{PATH}/{}", subscription["id"].as_str().unwrap())
}

/// The signatures that a request brings: by which of these secrets it was signed, in order.
fn signed_by(request: &ReceivedRequest, secrets: &[&str]) -> Vec<usize> {
    let header = |name: &str| request.header(name).unwrap().to_owned();
    let signed =
        [format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes(), request.body.clone()];
    let signature = |secret: &str| {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(signed.concat());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let known: Vec<String> = secrets.iter().map(|secret| signature(secret)).collect();
    let place = |brought: &str| known.iter().position(|known| known == brought).expect("a signature by a known secret");
    header("webhook-signature").split(' ').map(place).collect()
}
