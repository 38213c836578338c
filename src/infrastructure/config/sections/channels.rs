use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section};
use crate::infrastructure::config::values::{Parsed, boolean};
use crate::infrastructure::config::variables::Variables;
use crate::infrastructure::http_client::Exception;

/// Where channels may go.
#[derive(Clone, Debug)]
pub struct ChannelsConfig {
    /// Whether only public addresses are called. None: as soon as there is a second tenant.
    pub block_private: Option<bool>,
    /// What is called all the same.
    pub allow: Vec<Exception>,
}

pub const SECTION: Section = Section {
    title: "Channels",
    about: "Tenants say where their messages go: the URL of a webhook, the `baseUrl` of an Evolution API. \
            These settings keep such a URL from reaching what is not public.",
    settings: &[CHANNELS_BLOCK_PRIVATE.entry(), CHANNELS_ALLOW.entry(), WEBHOOK_BLOCK_PRIVATE.entry()],
};

const CHANNELS_BLOCK_PRIVATE: OptionalSetting<bool> = OptionalSetting {
    name: "CHANNELS_BLOCK_PRIVATE",
    unset: "`false`; `true` as soon as there is a tenant beside `default`, which the log says",
    example: "true",
    about: "`true` calls public addresses only: not this machine, private networks, link-local addresses (a cloud's metadata) or \
            IPv6 forms of these. Names are looked up first, at every new connection. \
            Proxies that the environment names (`HTTPS_PROXY`) are then not used, as they would look names up themselves.",
    parse: boolean,
};

const CHANNELS_ALLOW: OptionalSetting<Vec<Exception>> = OptionalSetting {
    name: "CHANNELS_ALLOW",
    unset: "",
    example: "evolution,10.20.0.0/16",
    about: "What is called although its address is not public: networks (CIDR), addresses and host names, with commas in between. \
            A name stands for itself alone, whatever its addresses are; any tenant can use it.",
    parse: exceptions,
};

const WEBHOOK_BLOCK_PRIVATE: OptionalSetting<bool> = OptionalSetting {
    name: "WEBHOOK_BLOCK_PRIVATE",
    unset: "",
    example: "",
    about: "The former name of `CHANNELS_BLOCK_PRIVATE`; it means the same.",
    parse: boolean,
};

impl ChannelsConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let former = WEBHOOK_BLOCK_PRIVATE.read(variables)?;
        let block_private = CHANNELS_BLOCK_PRIVATE.read(variables)?;
        if block_private.zip(former).is_some_and(|(now, former)| now != former) {
            let sentence = "is the former name of `CHANNELS_BLOCK_PRIVATE`, which says otherwise: unset one of them";
            return Err(ConfigError::new(WEBHOOK_BLOCK_PRIVATE.name, sentence));
        }
        let allow = CHANNELS_ALLOW.read(variables)?.unwrap_or_default();
        Ok(Self { block_private: block_private.or(former), allow })
    }
}

fn exceptions(text: &str) -> Parsed<Vec<Exception>> {
    text.split(',').map(|item| exception(item.trim())).collect()
}

fn exception(text: &str) -> Parsed<Exception> {
    let malformed = || {
        "must be networks, addresses and host names with commas in between, like `10.20.0.0/16,fd00::/8,evolution`, \
         without ports, schemes or `*`"
            .to_owned()
    };
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(Exception::Network(network.trunc()));
    }
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = address.parse::<IpAddr>() {
        return Ok(Exception::Network(address.into()));
    }
    match Host::parse(text) {
        Ok(Host::Domain(name)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            if name.is_empty() { Err(malformed()) } else { Ok(Exception::Host(name.to_owned())) }
        }
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_addresses_and_names_are_told_apart() {
        let network = |text: &str| Exception::Network(text.parse().unwrap());
        let name = |text: &str| Exception::Host(text.to_owned());
        assert_eq!(
            exceptions("10.1.2.3/8, 192.168.0.7,fd00::/8,[::1],Evolution.,a-b.example,bücher.example"),
            Ok(vec![
                network("10.0.0.0/8"),
                network("192.168.0.7/32"),
                network("fd00::/8"),
                network("::1/128"),
                name("evolution"),
                name("a-b.example"),
                name("xn--bcher-kva.example"),
            ])
        );
        for bad in [
            "10.0.0.0/33",
            "evolution:8080",
            "http://evolution",
            "*.example",
            "a b",
            "a,,b",
            ".",
            "10.0.0.256",
            "a/b",
            "10",
            "10.20",
            "0x7f.1",
        ] {
            assert!(exceptions(bad).is_err(), "{bad}");
        }
    }
}
