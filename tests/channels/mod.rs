//! Every channel against real sockets.

mod addresses;
mod arbitrary_answers;
mod connections;
mod evolution_answers;
mod evolution_requests;
#[allow(dead_code, reason = "the example needs a part of it")]
mod http;
mod meta_answers;
mod meta_requests;
mod ntfy_contract;
mod ntfy_example;
mod ntfy_page;
mod sandbox;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{Clock, Delivery};
use correio::domain::Timestamp;
use correio::domain::instance::credentials::Credentials;
use correio::domain::message::{Content, Media, MediaType, MediaUrl};
use correio::domain::problem::FieldProblem;
use serde_json::Value;

use crate::contracts::delivery::channel_sender::some_message_id;

/// How long a sender waits that is meant to give up: long enough for a busy machine, short enough to be waited for.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long one waits that is meant to get an answer.
const PLENTY: Duration = Duration::from_secs(30);

struct StoppedClock;

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        "2026-01-18T12:00:00.250Z".parse().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _duration: Duration) {}
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(StoppedClock)
}

fn delivery(address: &str, credentials: &Value, recipient: &str, content: Content) -> Delivery {
    Delivery {
        message_id: some_message_id(),
        run: 0,
        tries: 1,
        channel_instance_id: "loja".to_owned(),
        address: address.to_owned(),
        credentials: Credentials::new(credentials.to_string()),
        recipient: recipient.to_owned(),
        content,
        created_at: "2026-01-18T11:59:58.007Z".parse().unwrap(),
    }
}

fn text(text: &str) -> Content {
    Content { text: Some(text.to_owned()), ..Content::default() }
}

fn medium(media_type: MediaType, url: &str, text: Option<&str>) -> Content {
    Content {
        text: text.map(str::to_owned),
        media: Some(Media { url: MediaUrl::stored(url.to_owned()), media_type }),
        ..Content::default()
    }
}

fn template(json: &str) -> Content {
    Content { template: Some(json.to_owned()), ..Content::default() }
}

fn payload(json: &str) -> Content {
    Content { payload: Some(json.to_owned()), ..Content::default() }
}

fn paths(problems: Vec<FieldProblem>) -> Vec<String> {
    problems.into_iter().map(|problem| problem.path).collect()
}
