//! Closed loops at full speed: `wrk` does as much with one core as a server with the other.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::tool;

/// What all connections together got answered.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Flow {
    pub requests: u64,
    pub seconds: f64,
    /// Answers that are no 2xx or 3xx.
    refused: u64,
    /// Requests without an answer.
    broken: u64,
}

impl Flow {
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Requests that were not taken, or not answered.
    pub fn failed(&self) -> u64 {
        self.refused + self.broken
    }

    /// # Errors
    /// When an answer was not a success, or did not come.
    pub fn succeeded(self, address: &str) -> Result<Self> {
        let Self { requests, refused, broken, .. } = self;
        if self.failed() == 0 {
            return Ok(self);
        }
        Err(format!("of {requests} requests {refused} were refused and {broken} broke: {address}").into())
    }
}

pub struct Wrk {
    program: PathBuf,
    get: PathBuf,
    send: PathBuf,
    webhook: PathBuf,
}

impl Wrk {
    /// # Errors
    /// When it is not installed.
    pub fn find(directory: &Path) -> Result<Self> {
        let [get, send, webhook] = ["get.lua", "send.lua", "webhook.lua"].map(|name| directory.join(name));
        std::fs::write(&get, include_str!("wrk/report.lua"))?;
        std::fs::write(&send, concat!(include_str!("wrk/report.lua"), include_str!("wrk/send.lua")))?;
        std::fs::write(&webhook, concat!(include_str!("wrk/report.lua"), include_str!("wrk/webhook.lua")))?;
        Ok(Self { program: tool::installed("wrk", "wrk")?, get, send, webhook })
    }

    /// Gets this URL.
    ///
    /// # Errors
    /// When an answer was not a success, or did not come.
    pub async fn get(&self, url: &str, connections: u32, seconds: u32) -> Result<Flow> {
        self.run(&self.get, url, connections, seconds, &[]).await?.succeeded(url)
    }

    /// Sends messages of one of our instances to a thousand recipients, whose names begin with `recipient`.
    ///
    /// # Errors
    /// As above.
    pub async fn send(
        &self,
        address: &str,
        (channel, recipient): (&str, &str),
        connections: u32,
        seconds: u32,
    ) -> Result<Flow> {
        self.try_to_send(address, (channel, recipient), connections, seconds).await?.succeeded(address)
    }

    /// Reports events as a CRM does.
    ///
    /// # Errors
    /// When an answer was not a success, or did not come.
    pub async fn webhooks(&self, address: &str, connections: u32, seconds: u32) -> Result<Flow> {
        let url = format!("http://{address}");
        self.run(&self.webhook, &url, connections, seconds, &[]).await?.succeeded(address)
    }

    /// The same, whatever is answered.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn try_to_send(
        &self,
        address: &str,
        (channel, recipient): (&str, &str),
        connections: u32,
        seconds: u32,
    ) -> Result<Flow> {
        let url = format!("http://{address}");
        self.run(&self.send, &url, connections, seconds, &["--", crate::requests::API_KEY, channel, recipient]).await
    }

    async fn run(&self, script: &Path, url: &str, connections: u32, seconds: u32, arguments: &[&str]) -> Result<Flow> {
        let mut command = Command::new(&self.program);
        command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "10s", "-s"]);
        let said = tool::run(command.arg(script).arg(url).args(arguments)).await?;
        let last = said.lines().rfind(|line| line.starts_with('{')).ok_or("wrk did not say what it did")?;
        Ok(serde_json::from_str(last)?)
    }
}
