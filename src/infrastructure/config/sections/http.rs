use std::time::Duration;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{Section, Setting};
use crate::infrastructure::config::values::{Parsed, duration_between, number};
use crate::infrastructure::config::variables::Variables;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub host: IpAddr,
    /// 0 picks a free port.
    pub port: u16,
    pub max_body_bytes: usize,
    /// Of a list of recipients.
    pub max_broadcast_bytes: usize,
    pub max_in_flight: usize,
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub keep_alive_timeout: Duration,
}

pub const SECTION: Section = Section {
    title: "HTTP",
    about: "",
    settings: &[
        HOST.entry(),
        PORT.entry(),
        MAX_BODY_BYTES.entry(),
        MAX_BROADCAST_BYTES.entry(),
        MAX_IN_FLIGHT.entry(),
        MAX_CONNECTIONS.entry(),
        HEADER_TIMEOUT.entry(),
        KEEP_ALIVE_TIMEOUT.entry(),
    ],
};

const HOST: Setting<IpAddr> = Setting {
    name: "HOST",
    default: "127.0.0.1",
    about: "Address to listen on: an IP address or `localhost`.",
    parse: host,
};

const PORT: Setting<u16> = Setting {
    name: "PORT",
    default: "3000",
    about: "Port to listen on. `0` picks a free port, which the log line `listening` names.",
    parse: |text| number(text, 0..=u16::MAX),
};

const MAX_BODY_BYTES: Setting<usize> = Setting {
    name: "MAX_BODY_BYTES",
    default: "1048576",
    about: "Largest request body in bytes, 1 to 1073741824; of a compressed one, what it comes to.",
    parse: |text| number(text, 1..=1_073_741_824),
};

const MAX_BROADCAST_BYTES: Setting<usize> = Setting {
    name: "MAX_BROADCAST_BYTES",
    default: "16777216",
    about: "Largest body of a broadcast, or of a list of members, in bytes, 1 to 1073741824; of a compressed one, what it comes to. \
            Never less than `MAX_BODY_BYTES`.",
    parse: |text| number(text, 1..=1_073_741_824),
};

const MAX_IN_FLIGHT: Setting<usize> = Setting {
    name: "MAX_IN_FLIGHT",
    default: "4096",
    about: "Requests that are handled at the same time, 1 to 1000000. Further ones get 503 with `Retry-After`, without a \
            query; `/health/live` and `/health/ready` are always answered. One tenant of several has three quarters of them \
            at the most; in direct mode a quarter may wait for one instance, and half for one tenant of several. As many streams of records (`…/records` of the REST Proxy, version 3) \
            may be open beside them, half of them of one tenant.",
    parse: |text| number(text, 1..=1_000_000),
};

const MAX_CONNECTIONS: Setting<usize> = Setting {
    name: "MAX_CONNECTIONS",
    default: "20000",
    about: "Connections at the same time, 1 to 1000000. More are accepted and closed.",
    parse: |text| number(text, 1..=1_000_000),
};

const HEADER_TIMEOUT: Setting<Duration> = Setting {
    name: "HEADER_TIMEOUT",
    default: "15s",
    about: "Time for the head of a request to arrive, `1s` to `1h`; after it the connection is closed.",
    parse: |text| duration_between(text, Duration::from_secs(1), Duration::from_secs(3_600)),
};

const KEEP_ALIVE_TIMEOUT: Setting<Duration> = Setting {
    name: "KEEP_ALIVE_TIMEOUT",
    default: "75s",
    about: "Time after which a connection without a request is closed, `1s` to `1h`. It should be longer than that of a proxy \
            in front, which otherwise may send a request into a connection that is being closed.",
    parse: |text| duration_between(text, Duration::from_secs(1), Duration::from_secs(3_600)),
};

impl HttpConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            host: HOST.read(variables)?,
            port: PORT.read(variables)?,
            max_body_bytes: MAX_BODY_BYTES.read(variables)?,
            max_broadcast_bytes: MAX_BROADCAST_BYTES.read(variables)?,
            max_in_flight: MAX_IN_FLIGHT.read(variables)?,
            max_connections: MAX_CONNECTIONS.read(variables)?,
            header_timeout: HEADER_TIMEOUT.read(variables)?,
            keep_alive_timeout: KEEP_ALIVE_TIMEOUT.read(variables)?,
        })
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

pub fn host(text: &str) -> Parsed<IpAddr> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| "must be an IP address, like `0.0.0.0`, or `localhost`".to_owned())
}
