use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::access::request_limit::RequestLimits;
use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed, number};
use crate::infrastructure::config::variables::Variables;

/// How often callers may ask.
#[derive(Clone)]
pub struct LimitsConfig {
    /// None: as often as they like.
    pub requests: Option<RequestLimits>,
    /// Whose word about their clients is taken.
    pub trusted_proxies: Vec<IpNet>,
}

pub const SECTION: Section = Section {
    title: "Limits",
    about: "How often callers may ask, on `/events`, `/api/events`, `/auth` and `/api/auth` alone. Over a limit: 429 with \
            `Retry-After`. With PostgreSQL the limits of a minute hold for all processes together; the one of a second is \
            each process's own.",
    settings: &[
        RATE_LIMITS.entry(),
        RATE_LIMIT_PER_IP.entry(),
        RATE_LIMIT_PER_KEY.entry(),
        RATE_LIMIT_BURST.entry(),
        TRUSTED_PROXIES.entry(),
    ],
};

const RATE_LIMITS: Setting<bool> = Setting {
    name: "RATE_LIMITS",
    default: "true",
    about: "`false` lifts all limits of this section.",
    parse: values::boolean,
};

const RATE_LIMIT_PER_IP: Setting<u32> = Setting {
    name: "RATE_LIMIT_PER_IP",
    default: "1000",
    about: "Requests that one IP address (of IPv6, one /64) may make in a minute, 1 to 1000000000. Those of keys with a limit of \
            their own are not counted here.",
    parse: |text| number(text, 1..=1_000_000_000),
};

const RATE_LIMIT_PER_KEY: Setting<u32> = Setting {
    name: "RATE_LIMIT_PER_KEY",
    default: "100",
    about: "Requests that the holder of one API key, or of the tokens of one subject, may make in a minute, 1 to 1000000000. A \
            key made by `correio keys create --requests-per-minute` has its own.",
    parse: |text| number(text, 1..=1_000_000_000),
};

const RATE_LIMIT_BURST: Setting<u32> = Setting {
    name: "RATE_LIMIT_BURST",
    default: "10",
    about: "Requests that one caller may make in a second, 1 to 1000000000. A key with a limit of its own that is higher may make as \
            many in a second as in a minute.",
    parse: |text| number(text, 1..=1_000_000_000),
};

const TRUSTED_PROXIES: OptionalSetting<Vec<IpNet>> = OptionalSetting {
    name: "TRUSTED_PROXIES",
    unset: "none: a request comes from where its connection does",
    example: "10.0.0.0/8",
    about: "Addresses and networks of proxies in front, separated by commas. The client of such a one is the last address in \
            `X-Forwarded-For` that is not one of them.",
    parse: networks,
};

impl LimitsConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let limits = RequestLimits {
            per_address: RATE_LIMIT_PER_IP.read(variables)?,
            per_key: RATE_LIMIT_PER_KEY.read(variables)?,
            burst: RATE_LIMIT_BURST.read(variables)?,
        };
        Ok(Self {
            requests: RATE_LIMITS.read(variables)?.then_some(limits),
            trusted_proxies: TRUSTED_PROXIES.read(variables)?.unwrap_or_default(),
        })
    }
}

fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    let network = |item: &str| item.parse().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from));
    let networks: Option<Vec<IpNet>> = text.split(',').map(|item| network(item.trim())).collect();
    networks.ok_or_else(|| "must be IP addresses or networks such as `10.0.0.0/8`, separated by commas".to_owned())
}
