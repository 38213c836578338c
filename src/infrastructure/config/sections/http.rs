use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{Section, Setting};
use crate::infrastructure::config::values::{Parsed, number};
use crate::infrastructure::config::variables::Variables;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub host: IpAddr,
    /// 0 picks a free port.
    pub port: u16,
    pub max_body_bytes: usize,
}

pub const SECTION: Section =
    Section { title: "HTTP", about: "", settings: &[HOST.entry(), PORT.entry(), MAX_BODY_BYTES.entry()] };

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
    about: "Largest request body in bytes, 1 to 1073741824.",
    parse: |text| number(text, 1..=1_073_741_824),
};

impl HttpConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            host: HOST.read(variables)?,
            port: PORT.read(variables)?,
            max_body_bytes: MAX_BODY_BYTES.read(variables)?,
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
