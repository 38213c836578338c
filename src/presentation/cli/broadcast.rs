//! `correio broadcast`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::error::CommandError;
use crate::infrastructure::http_client::client_builder;

/// Send to many through a running server, watch it and stop it.
#[derive(Subcommand)]
pub enum BroadcastCommand {
    /// Send one message to each recipient of a list, and watch it to its end.
    Send(Box<SendArguments>),
    /// Watch a broadcast to its end.
    Watch(OneArguments),
    /// Make no more messages of it; those that are made are sent.
    Pause(OneArguments),
    /// Go on with one that is paused.
    Resume(OneArguments),
    /// Make no more messages of it, and cancel those that are queued.
    Cancel(OneArguments),
}

#[derive(Args)]
pub struct ServerArguments {
    /// Where the API is.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: Url,
    /// A key or a token that may write and read messages. Better: the environment's CORREIO_API_KEY.
    #[arg(long, hide_default_value = true)]
    api_key: Option<String>,
}

#[derive(Args)]
pub struct OneArguments {
    id: Uuid,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Args)]
pub struct SendArguments {
    /// A list with a header: the column `recipient` (or the first one), and one column a variable.
    #[arg(long)]
    csv: PathBuf,
    #[arg(long)]
    channel: String,
    /// The client's name of the instance (`channelInstanceId`).
    #[arg(long)]
    instance: String,
    /// What each gets; `{{name}}` is filled from the column `name`.
    #[arg(long)]
    message: String,
    /// An absolute http or https URL.
    #[arg(long)]
    media_url: Option<String>,
    /// Not before, e.g. `2026-01-18T12:00:00Z`.
    #[arg(long)]
    send_at: Option<String>,
    /// Messages a minute, 1 to 1000000; when absent, as fast as the instance takes them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate_per_minute: Option<u32>,
    /// Sent again with the same key and list, it is the same broadcast. A new one, when absent; where no answer came, it is said.
    #[arg(long)]
    key: Option<String>,
    /// Print its id and do not wait for its end.
    #[arg(long)]
    no_watch: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl std::fmt::Debug for BroadcastCommand {
    /// It has a key in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BroadcastCommand")
    }
}

/// Pause between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// Between two tries to send, where no answer comes.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// For one request.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(command: BroadcastCommand) -> Result<(), CommandError> {
    match command {
        BroadcastCommand::Send(arguments) => send(*arguments).await,
        BroadcastCommand::Watch(one) => watch(&Server::new(&one.server)?, &one.id.to_string()).await,
        BroadcastCommand::Pause(one) => change(one, "pause").await,
        BroadcastCommand::Resume(one) => change(one, "resume").await,
        BroadcastCommand::Cancel(one) => change(one, "cancel").await,
    }
}

/// Why a request came to nothing.
enum Failed {
    /// Whether it was carried out is not known.
    Unanswered(String),
    Refused(CommandError),
}

impl From<Failed> for CommandError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Unanswered(reason) => Self::Other(reason),
            Failed::Refused(error) => error,
        }
    }
}

struct Server {
    http: Client,
    base: String,
    api_key: String,
}

impl Server {
    fn new(arguments: &ServerArguments) -> Result<Self, CommandError> {
        let http = client_builder(Duration::from_secs(5)).timeout(PATIENCE).build();
        let http = http.map_err(|error| format!("no HTTP client can be made: {error}"))?;
        let base = format!("{}/api/messaging/broadcasts", arguments.url.as_str().trim_end_matches('/'));
        let api_key = arguments.api_key.clone().or_else(|| std::env::var("CORREIO_API_KEY").ok());
        let missing = || CommandError::Usage("give --api-key, or CORREIO_API_KEY in the environment".to_owned());
        Ok(Self { http, base, api_key: api_key.filter(|key| !key.is_empty()).ok_or_else(missing)? })
    }

    /// `data` of the answer.
    async fn ask(&self, method: Method, path: &str, body: Option<(&Value, &str)>) -> Result<Value, Failed> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.api_key);
        if let Some((body, key)) = body {
            request = request.header("idempotency-key", key).json(body);
        }
        // An error of the client names the URL, which has no secret in it.
        let unanswered = |error| Failed::Unanswered(format!("the server does not answer: {error}"));
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let answer: Result<Value, reqwest::Error> = response.json().await;
        if status.is_success() {
            // One that broke off says nothing.
            return Ok(answer.map_err(unanswered)?["data"].clone());
        }
        let answer = answer.unwrap_or_default();
        let reason = answer["error"].as_str().unwrap_or("no reason was given").to_owned();
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            return Err(Failed::Refused(CommandError::Usage(reason)));
        }
        let reason = format!("{}: {reason}", status.as_u16());
        Err(if status.is_server_error() { Failed::Unanswered(reason) } else { Failed::Refused(reason.into()) })
    }

    /// Asked again with the same key: it is stored once, however often it comes.
    async fn send(&self, body: &Value, key: &str) -> Result<Value, CommandError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let reason = match self.ask(Method::POST, "", Some((body, key))).await {
                Err(Failed::Unanswered(reason)) => reason,
                answer => return Ok(answer?),
            };
            let Some(pause) = pauses.next() else {
                return Err(CommandError::Other(format!(
                    "{reason}; whether it was accepted is not known: say the same again with --key {key}, and it is sent once"
                )));
            };
            tokio::time::sleep(pause).await;
        }
    }
}

async fn send(arguments: SendArguments) -> Result<(), CommandError> {
    let server = Server::new(&arguments.server)?;
    let (recipients, variables) = read_list(&arguments.csv)?;
    let mut body = json!({
        "channel": arguments.channel, "channelInstanceId": arguments.instance, "message": arguments.message,
        "recipients": recipients, "variables": variables,
    });
    let given = [("mediaUrl", arguments.media_url), ("sendAt", arguments.send_at)];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        body[name] = value.into();
    }
    if let Some(rate) = arguments.rate_per_minute {
        body["ratePerMinute"] = rate.into();
    }
    let key = arguments.key.unwrap_or_else(|| Uuid::now_v7().to_string());
    let broadcast = server.send(&body, &key).await?;
    let id = broadcast["id"].as_str().unwrap_or_default().to_owned();
    println!("{id}");
    if arguments.no_watch { Ok(()) } else { watch(&server, &id).await }
}

type Variables = Map<String, Value>;

/// The recipients in their order, and what each has in the other columns.
fn read_list(path: &PathBuf) -> Result<(Vec<String>, Variables), CommandError> {
    let cannot = |error: csv::Error| CommandError::Usage(format!("{}: {error}", path.display()));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(cannot)?;
    let header = reader.headers().map_err(cannot)?.clone();
    let place = header.iter().position(|column| column == "recipient").unwrap_or_default();
    let (mut recipients, mut variables) = (Vec::new(), Variables::new());
    for record in reader.records() {
        let record = record.map_err(cannot)?;
        let recipient = record.get(place).unwrap_or_default().to_owned();
        let others = header.iter().zip(&record).enumerate().filter(|(column, _)| *column != place);
        let of_one: BTreeMap<&str, &str> = others.map(|(_, pair)| pair).filter(|(name, _)| !name.is_empty()).collect();
        if !of_one.is_empty() {
            variables.entry(recipient.clone()).or_insert_with(|| json!(of_one));
        }
        recipients.push(recipient);
    }
    Ok((recipients, variables))
}

async fn change(one: OneArguments, verb: &str) -> Result<(), CommandError> {
    let server = Server::new(&one.server)?;
    let broadcast = server.ask(Method::POST, &format!("/{}/{verb}", one.id), None).await?;
    println!("{}", broadcast["status"].as_str().unwrap_or_default());
    Ok(())
}

/// Until it has ended; a bar on a terminal, and what became of it at its end.
async fn watch(server: &Server, id: &str) -> Result<(), CommandError> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{wide_bar}] {percent:>3}%  {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    loop {
        let broadcast = server.ask(Method::GET, &format!("/{id}"), None).await?;
        let (status, counts) = (broadcast["status"].as_str().unwrap_or_default(), &broadcast["counts"]);
        let of = |names: &[&str]| names.iter().filter_map(|name| counts[*name].as_u64()).sum::<u64>();
        let (sent, failed, cancelled) = (of(&["sent", "delivered", "read"]), of(&["failed"]), of(&["cancelled"]));
        let said = format!("{status}: {sent} sent, {failed} failed, {cancelled} cancelled");
        bar.set_length(broadcast["total"].as_u64().unwrap_or_default());
        bar.set_position(sent + failed + cancelled);
        bar.set_message(said.clone());
        if matches!(status, "finished" | "cancelled") {
            bar.finish_and_clear();
            println!("{said}");
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}
