//! The program as separate processes, with everything around it, ready to be disturbed.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::MutexGuard;

use super::disturbances::Disturbances;
use super::length::Length;
use super::receiver::Receiver;
use super::servers::Servers;
use super::setting::Setting;
use super::small_disk::SmallDisk;
use super::way::Way;
use crate::support::databases::FreshPostgres;
use crate::support::eventually::{SOON, eventually};
use crate::support::free_port::free_port;
use crate::support::installation::{Installation, Mode};
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::test_app::TestApp;

/// How long without a heartbeat makes a node gone, in every story.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a stage is set with.
pub struct Plan {
    pub setting: Setting,
    /// Of the program, besides those that every stage has.
    pub settings: Vec<(&'static str, &'static str)>,
    /// Whether there is a proxy between the program and everything else.
    pub proxied: bool,
    /// The size of a disk for everything that is stored; None: the machine's own disk.
    pub disk_megabytes: Option<u32>,
}

pub struct Stage {
    // The order is that in which they are dropped: processes before what they use.
    pub workers: Vec<Process>,
    proxies: HashMap<Way, Proxy>,
    disk: Option<SmallDisk>,
    pub api: TestApp,
    pub receiver: Receiver,
    pub disturbances: Disturbances,
    pub length: Length,
    pub setting: Setting,
    pub servers: MutexGuard<'static, Servers>,
}

impl Stage {
    /// None where something is not installed, or not allowed.
    pub async fn set(plan: &Plan, length: Length) -> Option<Self> {
        let setting = plan.setting;
        let mut servers = Servers::for_one_story(setting.needs()).await?;
        let postgres = match setting {
            Setting::DirectSqlite => None,
            Setting::Kafka | Setting::DirectPostgres => Some(FreshPostgres::on(servers.postgres().options()).await),
        };
        let mode = match setting {
            Setting::Kafka => Mode::Kafka(servers.kafka().address()),
            Setting::DirectPostgres | Setting::DirectSqlite => Mode::Direct,
        };
        let installation = Installation::new(postgres, mode);
        let disk = match plan.disk_megabytes {
            Some(megabytes) => Some(SmallDisk::mount(&installation.data_dir(), megabytes)?),
            None => None,
        };

        let receiver = Receiver::start().await;
        let mut proxies = HashMap::new();
        // Its address must outlive it.
        let mut settings = vec![("PORT", free_port().to_string()), ("NODE_TIMEOUT", "3s".to_owned())];
        settings.push(("RETRY_BACKOFF", "200ms,500ms,1s".to_owned()));
        // All the load is one instance's, which gets a quarter of the calls otherwise: too few to catch up in a minute.
        settings.push(("INSTANCE_CONCURRENCY", "64".to_owned()));
        settings.push(("RUST_LOG", "info,correio::presentation::http::request_log=warn".to_owned()));
        settings.extend(plan.settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut hook = receiver.port();
        if plan.proxied {
            hook = free_port();
            proxies.insert(Way::Channel, Proxy::start(hook, receiver.port()).await);
            settings.extend(lead_through(&mut proxies, &installation, &mut servers).await);
        }
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (api, roles): (_, &[&str]) = match setting {
            Setting::Kafka => (TestApp::start_api(installation, &settings).await, &["worker", "worker"]),
            Setting::DirectPostgres => (TestApp::start_with(installation, &settings).await, &["all"]),
            Setting::DirectSqlite => (TestApp::start_with(installation, &settings).await, &[]),
        };
        let mut workers = Vec::new();
        for role in roles {
            workers.push(api.another(role).await);
        }
        api.create_instance(&json!({
            "channel": "webhook", "channelInstanceId": "pedidos",
            "channelPhoneOrId": format!("http://127.0.0.1:{hook}/hook"),
        }))
        .await;
        let disturbances = Disturbances::default();
        Some(Self { workers, proxies, disk, api, receiver, disturbances, length, setting, servers })
    }

    pub fn proxy(&self, way: Way) -> &Proxy {
        self.proxies.get(&way).expect("a proxy in this story")
    }

    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("a small disk in this story")
    }

    /// Every process is there, and delivers.
    pub async fn is_busy(&self) {
        let before = self.receiver.how_many_taken();
        eventually(3 * SOON, "messages are delivered", async || {
            (self.receiver.how_many_taken() > before + 50).then_some(())
        })
        .await;
    }

    /// What the processes themselves say that befell them.
    pub fn hear_the_processes(&mut self) {
        let logs = self.workers.iter().map(Process::log).chain([self.api.log()]);
        let lines: Vec<Value> = logs.flatten().filter_map(|line| serde_json::from_str(&line).ok()).collect();
        for line in lines {
            let said = line["message"].as_str().unwrap_or_default();
            let at = line["timestamp"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
            // A machine that is too busy freezes processes, too.
            if let Some(at) = at.filter(|_| said.contains("goes on as a new node")) {
                self.disturbances.hear("no heartbeat for too long", at - 2 * NODE_TIMEOUT, at);
            }
        }
    }

    /// How many messages have not come to their end, or owe a dead letter.
    pub async fn open(&self) -> usize {
        let open = "select count(*)
                      from messaging_messages
                     where status in ('pending', 'queued', 'processing')
                        or (status = 'failed' and dead_lettered_at is null)";
        usize::try_from(self.api.sql_number(open).await).unwrap()
    }

    pub fn all_live(&mut self) -> bool {
        self.api.is_alive() && self.workers.iter_mut().all(Process::is_alive)
    }
}

/// Puts a proxy in front of each server; returns what the program has to be told to come through them.
async fn lead_through(
    proxies: &mut HashMap<Way, Proxy>,
    installation: &Installation,
    servers: &mut Servers,
) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if let Some(postgres) = &installation.postgres {
        let port = free_port();
        proxies.insert(Way::Postgres, Proxy::start(port, postgres.options().get_port()).await);
        settings.push(("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{port}/{}", postgres.name())));
    }
    if let Mode::Kafka(_) = &installation.mode {
        let (port, leads_to) = servers.kafka().proxied();
        proxies.insert(Way::Kafka, Proxy::start(port, leads_to).await);
        settings.push(("KAFKA_BROKERS", format!("127.0.0.1:{port}")));
    }
    settings
}
