//! Clients that want every one of their messages accepted, whatever happens to the API.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::caller::Caller;

/// How long a client asks again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it for them.
pub struct Accepted {
    /// Of the messages that were answered with a 2xx.
    pub ids: BTreeSet<String>,
    /// The longest time in which no request was answered so.
    pub longest_refusal: Duration,
}

/// Sends this many messages, each when its time has come, whether or not those before were answered.
pub async fn send_at_a_rate(caller: Caller, messages: usize, per_second: u32) -> Accepted {
    let refusals = Arc::new(Mutex::new(Refusals::default()));
    let mut due = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut sends = JoinSet::new();
    for number in 0..messages {
        due.tick().await;
        let (caller, refusals) = (caller.clone(), refusals.clone());
        sends.spawn(async move { accepted(&caller, number, &refusals).await });
    }
    let ids = sends.join_all().await.into_iter().collect();
    let longest_refusal = refusals.lock().unwrap().longest;
    Accepted { ids, longest_refusal }
}

/// Sends this many messages as fast as the API takes them.
pub async fn send_at_once(caller: Caller, messages: usize) -> Accepted {
    let refusals = Mutex::new(Refusals::default());
    let sends = (0..messages).map(|number| accepted(&caller, number, &refusals));
    let ids = futures::stream::iter(sends).buffer_unordered(100).collect().await;
    let longest_refusal = refusals.lock().unwrap().longest;
    Accepted { ids, longest_refusal }
}

/// Asks until it is accepted; its key makes one message of all that it asks.
async fn accepted(caller: &Caller, number: usize, refusals: &Mutex<Refusals>) -> String {
    let body = json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": format!("loja-{}", number % 500),
        "payload": { "pedido": number },
    });
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = Instant::now();
        let request = caller.request(Method::POST, "/api/messaging/message/send").json(&body);
        let request = request.timeout(Duration::from_secs(10)).header("idempotency-key", format!("pedido-{number}"));
        let refusal = match answer(request).await {
            Ok(id) => {
                refusals.lock().unwrap().end(asked);
                return id;
            }
            Err(refusal) => refusal,
        };
        refusals.lock().unwrap().begin();
        assert!(Instant::now() < end, "the message {number} was refused for {PATIENCE:?}, at last so: {refusal}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The id of the message, or why there is none.
async fn answer(request: reqwest::RequestBuilder) -> Result<String, String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body: Value = response.json().await.map_err(|error| error.to_string())?;
    let id = body["data"]["messageId"].as_str().filter(|_| status.is_success());
    id.map(str::to_owned).ok_or_else(|| format!("{status} {body}"))
}

/// When the API refused, or did not answer.
#[derive(Default)]
struct Refusals {
    since: Option<Instant>,
    longest: Duration,
}

impl Refusals {
    fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// A request was accepted that was `asked` then.
    fn end(&mut self, asked: Instant) {
        if let Some(since) = self.since.take_if(|since| *since < asked) {
            self.longest = self.longest.max(since.elapsed());
        }
    }
}
