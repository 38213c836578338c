use std::time::Duration;

use crate::domain::message::MaxTries;
use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{
    boolean, duration, duration_between, duration_of_at_least, durations, number,
};
use crate::infrastructure::config::variables::Variables;

#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    pub worker_concurrency: usize,
    /// Of these, at most.
    pub instance_concurrency: usize,
    pub node_timeout: Duration,
    /// Tries for a message, the first included.
    pub max_tries: MaxTries,
    /// The waits before the second, third, ... try; never empty.
    pub retry_backoff: Vec<Duration>,
    pub direct_timeout: Duration,
    /// Messages of one broadcast that may be open at the same time.
    pub broadcast_ahead: u32,
    pub undeliverable_after: Duration,
    /// None: as the database says, see [`Config::has_sandbox`](crate::infrastructure::config::Config::has_sandbox).
    pub sandbox_enabled: Option<bool>,
    /// None: as many as there are.
    pub max_open_per_tenant: Option<u64>,
    /// None: depends on whether something looks at `/health/ready`.
    pub shutdown_delay: Option<Duration>,
    pub shutdown_timeout: Duration,
}

pub const SECTION: Section = Section {
    title: "Delivery",
    about: "",
    settings: &[
        WORKER_CONCURRENCY.entry(),
        INSTANCE_CONCURRENCY.entry(),
        NODE_TIMEOUT.entry(),
        MAX_RETRIES.entry(),
        RETRY_BACKOFF.entry(),
        DIRECT_TIMEOUT.entry(),
        MAX_OPEN_PER_TENANT.entry(),
        UNDELIVERABLE_AFTER.entry(),
        BROADCAST_AHEAD.entry(),
        SANDBOX_ENABLED.entry(),
        SHUTDOWN_DELAY.entry(),
        SHUTDOWN_TIMEOUT.entry(),
    ],
};

const WORKER_CONCURRENCY: Setting<usize> = Setting {
    name: "WORKER_CONCURRENCY",
    default: "64",
    about: "Calls to channels that a process makes at the same time in the background, 1 to 10000; up to four times as many \
            outcomes may be waiting to be recorded. Messages whose caller waits for the result do not count.",
    parse: |text| number(text, 1..=10_000),
};

const BROADCAST_AHEAD: Setting<u32> = Setting {
    name: "BROADCAST_AHEAD",
    default: "5000",
    about: "How many messages of one broadcast are made ahead of what has been sent, 2 to 1000000: so many still go out when it \
            is paused.",
    parse: |text| number(text, 2..=1_000_000),
};

const INSTANCE_CONCURRENCY: OptionalSetting<usize> = OptionalSetting {
    name: "INSTANCE_CONCURRENCY",
    unset: "a quarter of `WORKER_CONCURRENCY`",
    example: "",
    about: "How many of these calls one instance may have, 1 to 10000: one whose receiver hangs leaves the others to the \
            rest.",
    parse: |text| number(text, 1..=10_000),
};

const NODE_TIMEOUT: Setting<Duration> = Setting {
    name: "NODE_TIMEOUT",
    default: "15s",
    about: "Time without a sign of life after which a process counts as gone; at least `1s`. A heartbeat has three tenths of it, \
            from 1 s to 10 s, to be answered: the shorter it is, the sooner a database that is slow for a moment makes processes go on as \
            new nodes.",
    parse: |text| duration_of_at_least(text, Duration::from_secs(1)),
};

const MAX_RETRIES: Setting<MaxTries> = Setting {
    name: "MAX_RETRIES",
    default: "3",
    about: "Tries for a message, the first included, 1 to 100. A message whose caller waits for the result is tried \
            once: the caller gets the result and decides what to do.",
    parse: |text| {
        let tries = number(text, 1..=u64::from(MaxTries::MOST))?;
        MaxTries::new(tries).map_err(|error| error.to_string())
    },
};

const RETRY_BACKOFF: Setting<Vec<Duration>> = Setting {
    name: "RETRY_BACKOFF",
    default: "1s,4s,16s",
    about: "Waits before the second, third, ... try; the last one repeats. \
            Each wait is spread by 20 % either way.",
    parse: durations,
};

const DIRECT_TIMEOUT: Setting<Duration> = Setting {
    name: "DIRECT_TIMEOUT",
    default: "30s",
    about: "Longest time that a caller of direct mode waits for the result, `1s` to `1h`. After it the answer is 202 with the status \
            `pending`, the try goes on, and its result is in the message's row.",
    parse: |text| duration_between(text, Duration::from_secs(1), Duration::from_secs(3_600)),
};

const MAX_OPEN_PER_TENANT: OptionalSetting<u64> = OptionalSetting {
    name: "MAX_OPEN_PER_TENANT",
    unset: "no bound",
    example: "100000",
    about: "How many messages of one tenant may be open (`pending`, `queued` or `processing`), with the recipients of broadcasts that \
            have no message yet, 1 to 1000000000. Another one is refused with 429 `too-many-open`, a broadcast as a whole. Each \
            process counts several times a second: together they may accept a few more.",
    parse: |text| number(text, 1..=1_000_000_000),
};

const UNDELIVERABLE_AFTER: Setting<Duration> = Setting {
    name: "UNDELIVERABLE_AFTER",
    default: "24h",
    about: "How long a message is put off, because no process has its channel or can open its instance's credentials, \
            before it fails. No try is spent on waiting, and one that only waits for a place of its instance never fails for that.",
    parse: duration,
};

const SANDBOX_ENABLED: OptionalSetting<bool> = OptionalSetting {
    name: "SANDBOX_ENABLED",
    unset: "`true` with SQLite, `false` with PostgreSQL",
    example: "",
    about: "Whether there is a channel `sandbox`, which delivers nowhere, and an instance of it. \
            For trials only: any caller that may send can occupy workers with it.",
    parse: boolean,
};

const SHUTDOWN_DELAY: OptionalSetting<Duration> = OptionalSetting {
    name: "SHUTDOWN_DELAY",
    unset: "`5s` when `/health/ready` was asked for in the last minute, else `0s`, and `0s` for a worker",
    example: "10s",
    about: "Time for which a process that is asked to stop still serves, `0s` to `1h`, so that a balancer takes it out first: \
            `/health/ready` answers 503, and connections are closed after an answer. A second TERM or INT ends it.",
    parse: |text| duration_between(text, Duration::ZERO, Duration::from_secs(3_600)),
};

const SHUTDOWN_TIMEOUT: Setting<Duration> = Setting {
    name: "SHUTDOWN_TIMEOUT",
    default: "30s",
    about: "Time that a stopping process has to finish what it has begun; it begins after `SHUTDOWN_DELAY`.",
    parse: duration,
};

impl DeliveryConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let worker_concurrency = WORKER_CONCURRENCY.read(variables)?;
        let share = INSTANCE_CONCURRENCY.read(variables)?;
        Ok(Self {
            worker_concurrency,
            instance_concurrency: share.unwrap_or_else(|| (worker_concurrency / 4).max(1)),
            node_timeout: NODE_TIMEOUT.read(variables)?,
            max_tries: MAX_RETRIES.read(variables)?,
            retry_backoff: RETRY_BACKOFF.read(variables)?,
            direct_timeout: DIRECT_TIMEOUT.read(variables)?,
            broadcast_ahead: BROADCAST_AHEAD.read(variables)?,
            max_open_per_tenant: MAX_OPEN_PER_TENANT.read(variables)?,
            undeliverable_after: UNDELIVERABLE_AFTER.read(variables)?,
            shutdown_delay: SHUTDOWN_DELAY.read(variables)?,
            shutdown_timeout: SHUTDOWN_TIMEOUT.read(variables)?,
            sandbox_enabled: SANDBOX_ENABLED.read(variables)?,
        })
    }
}
