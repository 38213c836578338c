//! The instances of one run: made before it, counted after it, and deleted.

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use std::sync::Arc;

use super::client::{Answer, Connection, Server};

/// How many of the run's messages are in which state, as the API counts them.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct States {
    pub pending: u64,
    pub queued: u64,
    pub processing: u64,
    pub sent: u64,
    pub delivered: u64,
    pub read: u64,
    pub failed: u64,
    /// Absent from the answers of earlier versions.
    #[serde(default)]
    pub cancelled: u64,
    pub total: u64,
}

impl States {
    /// Messages that have not ended.
    pub fn open(&self) -> u64 {
        self.pending + self.queued + self.processing
    }

    /// By name, without the total.
    pub fn by_name(&self) -> [(&'static str, u64); 8] {
        [
            ("pending", self.pending),
            ("queued", self.queued),
            ("processing", self.processing),
            ("sent", self.sent),
            ("delivered", self.delivered),
            ("read", self.read),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
        ]
    }

    fn add(&mut self, other: &Self) {
        self.pending += other.pending;
        self.queued += other.queued;
        self.processing += other.processing;
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.read += other.read;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.total += other.total;
    }
}

/// The run's instances, and a connection of their own to ask about them.
pub struct Instances {
    server: Arc<Server>,
    connection: Connection,
    channel: &'static str,
    /// `channelInstanceId` and id of each.
    made: Vec<(String, String)>,
}

impl Instances {
    pub fn new(server: Arc<Server>, channel: &'static str) -> Self {
        Self { connection: Connection::new(server.clone()), server, channel, made: Vec::new() }
    }

    /// Makes an instance with this `channelInstanceId` and address. `delete` deletes it, also when a later one fails.
    ///
    /// # Errors
    /// A sentence, when the server does not make it.
    pub async fn make(&mut self, name: String, address: &str) -> Result<(), String> {
        let body = json!({
            "channel": self.channel, "channelInstanceId": name, "channelPhoneOrId": address, "name": "correio bench"
        });
        let answer = self.call(Method::POST, "/api/messaging/instances", Bytes::from(body.to_string())).await?;
        if answer.status != StatusCode::CREATED {
            return Err(refusal("make an instance", &answer));
        }
        let id = data(&answer).and_then(|data| data["instanceId"].as_str().map(str::to_owned));
        self.made.push((name, id.ok_or("the server made an instance without saying its id")?));
        Ok(())
    }

    /// # Errors
    /// A sentence, when the server does not count them.
    pub async fn states(&mut self) -> Result<States, String> {
        let mut states = States::default();
        for (name, _) in self.made.clone() {
            let path = format!("/api/messaging/messages/stats?channel={}&channelInstanceId={name}", self.channel);
            let answer = self.call(Method::GET, &path, Bytes::new()).await?;
            if answer.status != StatusCode::OK {
                return Err(refusal("count messages", &answer));
            }
            let counted = data(&answer).and_then(|data| serde_json::from_value::<States>(data).ok());
            states.add(&counted.ok_or("the server's counts by state cannot be read")?);
        }
        Ok(states)
    }

    /// Deletes all; what is still open fails. A server that does not answer is not asked for the others.
    ///
    /// # Errors
    /// A sentence about those that are left: the first of them, and why.
    pub async fn delete(&mut self) -> Result<(), String> {
        let mut left = Vec::new();
        let mut made = std::mem::take(&mut self.made).into_iter();
        while let Some((name, id)) = made.next() {
            let path = format!("/api/messaging/instances/{id}");
            match self.call(Method::DELETE, &path, Bytes::new()).await {
                Ok(answer) if answer.status == StatusCode::NO_CONTENT => {}
                Ok(answer) => left.push((name, refusal("delete an instance", &answer))),
                Err(sentence) => {
                    left.push((name, sentence));
                    left.extend(made.by_ref().map(|(name, _)| (name, String::new())));
                }
            }
        }
        match left.as_slice() {
            [] => Ok(()),
            [(name, why)] => Err(format!("the instance {name} was left behind: {why}")),
            [(name, why), ..] => Err(format!("{} instances were left behind, {name} first: {why}", left.len())),
        }
    }

    async fn call(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let head: Parts = self.server.head(method, path)?;
        self.connection.call(&head, body).await.map_err(|error| format!("the server does not answer: {error}"))
    }
}

fn refusal(what: &str, answer: &Answer) -> String {
    match answer.status {
        StatusCode::UNAUTHORIZED => format!("the server does not know the API key ({})", answer.kind()),
        _ => format!("the server did not {what}: {}", answer.sentence()),
    }
}

fn data(answer: &Answer) -> Option<Value> {
    let mut whole: Value = serde_json::from_slice(&answer.body).ok()?;
    whole.get_mut("data").map(Value::take)
}
