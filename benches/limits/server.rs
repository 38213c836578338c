//! The program that is measured, as its users run it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::build::Build;
use crate::connection::Connection;
use crate::requests;
use crate::setting::Setting;
use crate::stage::Stage;
use crate::support::free_port::free_port;
use crate::support::leash::Leash;

/// How long it may take to start, or to stop, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when it is dropped.
pub struct Server {
    child: Child,
    leash: Leash,
    log: PathBuf,
    spawned: Instant,
    /// Where it listens.
    pub address: String,
}

impl Server {
    /// Returns when it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(stage: &Stage, build: &Build, setting: &Setting, role: &str) -> Result<Self> {
        let mut server = Self::spawn(stage, build, setting, role)?;
        server.ready().await?;
        Ok(server)
    }

    /// # Errors
    /// When it cannot be started.
    pub fn spawn(stage: &Stage, build: &Build, setting: &Setting, role: &str) -> Result<Self> {
        let port = free_port();
        let log = setting.directory(stage)?.join(format!("{role}-{port}.log"));
        let mut command = setting.command(stage, build)?;
        // What it logs goes to a file, as under a service manager.
        command.env("PORT", port.to_string()).args(["serve", "--role", role]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let spawned = Instant::now();
        let child = command.spawn()?;
        let leash = Leash::on(child.id());
        Ok(Self { child, leash, log, spawned, address: format!("127.0.0.1:{port}") })
    }

    /// Waits until `/health/ready` says so; returns how long ago it was spawned.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub async fn ready(&mut self) -> Result<Duration> {
        let (request, begin) = (requests::get("/health/ready"), Instant::now());
        while begin.elapsed() < PATIENCE {
            if let Ok(mut connection) = Connection::open(&self.address).await
                && connection.status_of(&request).await.is_ok_and(|status| status == 200)
            {
                return Ok(self.spawned.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended, {status}: {}", self.last_words()).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(format!("the server did not get ready in {PATIENCE:?}: {}", self.last_words()).into())
    }

    /// Makes our instance of this channel, with this address.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create_instance(&self, channel: &str, address: &str) -> Result<()> {
        let mut connection = Connection::open(&self.address).await?;
        let answer = connection.answer_to(&requests::create_instance(channel, address)).await?;
        match answer.status {
            201 => Ok(()),
            _ => Err(format!("an instance was refused: {}", answer.text()).into()),
        }
    }

    /// The most memory that it ever had, in bytes.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn peak_memory(&self) -> Result<u64> {
        self.bytes_of("VmHWM:")
    }

    /// The memory that it has now, in bytes.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn memory(&self) -> Result<u64> {
        self.bytes_of("VmRSS:")
    }

    fn bytes_of(&self, what: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let memory = status.lines().find_map(|line| line.strip_prefix(what)?.trim().strip_suffix(" kB"));
        let kibibytes: u64 = memory.ok_or("the system does not say how much memory the server has")?.trim().parse()?;
        Ok(kibibytes * 1024)
    }

    /// How long processors have worked for it.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name, which may have spaces and parentheses, comes the third field.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let spent = ticks(11).zip(ticks(12)).ok_or("the system does not say how long the server worked")?;
        // A hundred a second, on every Linux.
        Ok(Duration::from_millis((spent.0 + spent.1) * 10))
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                return Err(format!("the server did not stop in {PATIENCE:?}: {}", self.last_words()).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leash.let_go();
        let _it_may_have_ended = self.child.kill();
        let _ = self.child.wait();
    }
}
