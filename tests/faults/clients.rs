//! Clients that want every one of their messages accepted, whatever happens to the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::support::caller::Caller;

/// How long it may take, once nothing goes wrong any more, until the last is accepted.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it waits for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests they have under way; the others wait for their turn, as behind a proxy.
const CONNECTIONS: usize = 300;

/// What came of one message, for its client.
#[derive(Clone, Debug)]
pub struct Acceptance {
    pub id: String,
    /// When its client first wanted to send it.
    pub due: DateTime<Utc>,
    pub accepted: DateTime<Utc>,
    pub told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Queued,
    /// It is being delivered, and its one try takes long.
    Pending,
    Sent,
    Failed,
}

/// What came of all of them.
pub struct Sent {
    pub acceptances: Vec<Acceptance>,
    /// How often they were not accepted, by what came instead.
    pub refusals: BTreeMap<String, usize>,
}

impl Sent {
    /// The longest time in which none was accepted, though they kept coming.
    pub fn longest_refusal(&self) -> Duration {
        let mut times: Vec<DateTime<Utc>> = self.acceptances.iter().map(|one| one.accepted).collect();
        times.extend(self.acceptances.iter().map(|one| one.due).min());
        times.sort();
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]).to_std().unwrap_or_default());
        gaps.max().unwrap_or_default()
    }
}

/// Clients that send until they are told to stop.
pub struct Clients {
    stop: CancellationToken,
    sending: JoinHandle<Sent>,
}

impl Clients {
    /// Each message is sent when its time has come, whether or not those before were answered.
    pub fn start(caller: Caller, per_second: u32) -> Self {
        let stop = CancellationToken::new();
        let sending = tokio::spawn(send_until(stop.clone(), caller, per_second));
        Self { stop, sending }
    }

    /// Returns when everything that they have begun to send was accepted.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn stop(self) -> Sent {
        self.stop.cancel();
        let sent = tokio::time::timeout(PATIENCE, self.sending).await;
        sent.unwrap_or_else(|_| panic!("not everything was accepted {PATIENCE:?} after the fault")).unwrap()
    }
}

async fn send_until(stop: CancellationToken, caller: Caller, per_second: u32) -> Sent {
    let client = Arc::new(Client { caller, connections: Semaphore::new(CONNECTIONS), refusals: Mutex::default() });
    let mut due = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut sends = JoinSet::new();
    for number in 0.. {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = due.tick() => {}
        }
        let client = client.clone();
        sends.spawn(async move { client.accepted(number).await });
    }
    let acceptances = sends.join_all().await;
    let refusals = client.refusals.lock().unwrap().clone();
    Sent { acceptances, refusals }
}

/// Sends this many messages as fast as the API takes them.
pub async fn send_at_once(caller: Caller, messages: usize) -> Sent {
    let client = Client { caller, connections: Semaphore::new(CONNECTIONS), refusals: Mutex::default() };
    let sends = (0..messages).map(|number| client.accepted(number));
    let acceptances = futures::stream::iter(sends).buffer_unordered(100).collect().await;
    let refusals = client.refusals.lock().unwrap().clone();
    Sent { acceptances, refusals }
}

struct Client {
    caller: Caller,
    connections: Semaphore,
    refusals: Mutex<BTreeMap<String, usize>>,
}

impl Client {
    /// Asks until it is accepted; its key makes one message of all that it asks.
    async fn accepted(&self, number: usize) -> Acceptance {
        let due = Utc::now();
        loop {
            match self.ask(number).await {
                Ok((id, told)) => return Acceptance { id, due, accepted: Utc::now(), told },
                Err(refusal) => *self.refusals.lock().unwrap().entry(refusal).or_default() += 1,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Its id and its state; what came instead of them.
    async fn ask(&self, number: usize) -> Result<(String, Told), String> {
        let _connection = self.connections.acquire().await.unwrap();
        let body = json!({
            "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": format!("loja-{}", number % 500),
            "payload": { "pedido": number },
        });
        let request = self.caller.request(Method::POST, "/api/messaging/message/send").json(&body);
        let request = request.timeout(ANSWER_TIMEOUT).header("idempotency-key", format!("pedido-{number}"));
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let body: Value = response.json().await.map_err(no_answer)?;
        // Also in the answer that says that the one try of direct mode failed: the message is there, and has ended.
        let id = body["data"]["messageId"].as_str().map(str::to_owned);
        let told = match body["data"]["status"].as_str() {
            Some("queued") => Some(Told::Queued),
            Some("pending") => Some(Told::Pending),
            Some("sent") => Some(Told::Sent),
            Some("failed") => Some(Told::Failed),
            _ => None,
        };
        id.zip(told).ok_or_else(|| status.as_u16().to_string())
    }
}

fn no_answer(error: reqwest::Error) -> String {
    if error.is_timeout() { "no answer".to_owned() } else { "no connection".to_owned() }
}
