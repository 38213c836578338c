//! How a run is asked for.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use super::load::Mode;
use super::message::SHORTEST_TEXT;
use super::report::Options;
use super::schedule::Plan;
use crate::infrastructure::config::parse_duration;

/// Measure a running server: how much it accepts and delivers, and how fast.
///
/// Sends messages over HTTP to instances that are made for the run, receives them itself, and prints a table and, in the last
/// line, the same as JSON. Exits with 1 unless everything was accepted and delivered. The key needs the scopes
/// messages:write, messages:read and instances:write; https is not supported. Ctrl-C ends the run early, with its report.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// The server, without `/api/messaging`.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    pub url: Url,
    /// An API key or a token. Better: the environment's or `.env`'s BENCH_API_KEY, else BOOTSTRAP_API_KEY.
    #[arg(long, hide_default_value = true)]
    api_key: Option<Secret>,
    /// How many messages to send.
    #[arg(long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    messages: Option<u64>,
    /// For how long to send, e.g. `30s` [default: 10s, without --messages].
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,
    /// Messages a second, at fixed times. Latency counts from those times, so that a stall shows. Without it, each
    /// connection sends as soon as it has its answer.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Bytes of a message's text.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(SHORTEST_TEXT as i64..=16_777_216))]
    pub payload_size: u32,
    /// Different recipients, spread over the instances.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub recipients: u64,
    /// Instances to make for the run; not more than recipients.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub instances: u64,
    /// How the server has to answer; a run in which it answers otherwise is stopped.
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    pub mode: Mode,
    /// What to send through. The sandbox delivers nowhere, so that only accepting is measured.
    #[arg(long, value_enum, default_value_t = BenchChannel::Webhook)]
    pub channel: BenchChannel,
    /// The address of this machine at which the server reaches the receiver.
    #[arg(long, default_value = "127.0.0.1")]
    pub receiver_host: IpAddr,
    /// The receiver's port; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    pub receiver_port: u16,
    /// The receiver's whole URL, where the server reaches it under another name than --receiver-host.
    #[arg(long)]
    pub receiver_url: Option<Url>,
    /// How long to wait for deliveries after the last accept.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub wait: Duration,
    /// Leave the run's instances where they are.
    #[arg(long)]
    pub keep: bool,
    /// Print only the JSON.
    #[arg(long)]
    pub json: bool,
}

/// A channel that can be measured without a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchChannel {
    Webhook,
    Sandbox,
}

impl BenchChannel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Sandbox => "sandbox",
        }
    }
}

/// A key on the command line.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "must be a number from 0.001 to 1000000".to_owned())
}

impl BenchArguments {
    pub fn api_key(&self) -> Option<&str> {
        self.api_key.as_ref().map(|key| key.0.as_str())
    }

    pub fn plan(&self) -> Plan {
        let otherwise = self.messages.is_none().then_some(Duration::from_secs(10));
        Plan { messages: self.messages, duration: self.duration.or(otherwise), rate: self.rate }
    }

    /// What the report repeats of them: no secret.
    pub fn options(&self) -> Options {
        let plan = self.plan();
        Options {
            url: self.url.to_string(),
            channel: self.channel.as_str(),
            mode: self.mode,
            messages: plan.messages,
            duration_seconds: plan.duration.map(|duration| duration.as_secs_f64()),
            rate: plan.rate,
            concurrency: self.concurrency,
            payload_size: self.payload_size,
            recipients: self.recipients,
            instances: self.instances,
        }
    }

    /// # Errors
    /// A sentence about options that contradict each other.
    pub fn check(&self) -> Result<(), String> {
        if self.instances > self.recipients {
            return Err("--instances must not be more than --recipients: some would get nothing".to_owned());
        }
        if self.channel == BenchChannel::Webhook && self.receiver_host.is_unspecified() && self.receiver_url.is_none() {
            return Err(
                "--receiver-host listens everywhere: --receiver-url has to say where the server finds it".to_owned()
            );
        }
        Ok(())
    }
}
