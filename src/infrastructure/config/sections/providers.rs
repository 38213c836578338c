use std::time::Duration;

use url::Url;

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{Parsed, boolean, duration};
use crate::infrastructure::config::variables::Variables;

/// What the providers of channels report to us.
#[derive(Clone, Debug)]
pub struct ProvidersConfig {
    /// Where they reach us, without a slash at its end.
    pub public_url: Option<String>,
    /// Whether reports without a secret are taken.
    pub are_open: bool,
    /// How long a secret that was replaced stays good beside its successor.
    pub secret_overlap: Duration,
}

pub const SECTION: Section = Section {
    title: "Providers",
    about: "What becomes of a message at a channel is reported by the channel's provider, such as an Evolution API.",
    settings: &[PUBLIC_URL.entry(), APP_DOMAIN.entry(), PROVIDER_WEBHOOKS_OPEN.entry(), SECRET_OVERLAP.entry()],
};

const PUBLIC_URL: OptionalSetting<String> = OptionalSetting {
    name: "PUBLIC_URL",
    unset: "",
    example: "https://correio.example.com",
    about: "URL at which providers reach this installation. An instance that is connected has its provider report to \
            `PUBLIC_URL/api/messaging/webhook/<channelInstanceId>`. Without it nothing is reported: messages stay `sent`.",
    parse: public_url,
};

const APP_DOMAIN: OptionalSetting<String> = OptionalSetting {
    name: "APP_DOMAIN",
    unset: "",
    example: "",
    about: "Another name of `PUBLIC_URL`; it means the same.",
    parse: public_url,
};

const PROVIDER_WEBHOOKS_OPEN: Setting<bool> = Setting {
    name: "PROVIDER_WEBHOOKS_OPEN",
    default: "false",
    about: "`true` takes reports without the instance's secret: anybody who reaches the API can then forge receipts.",
    parse: boolean,
};

const SECRET_OVERLAP: Setting<Duration> = Setting {
    name: "SECRET_OVERLAP",
    default: "24h",
    about: "How long a secret that was replaced stays good beside its successor: a provider's reports that bring it are taken.",
    parse: duration,
};

impl ProvidersConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let (public_url, other) = (PUBLIC_URL.read(variables)?, APP_DOMAIN.read(variables)?);
        if public_url.is_some() && other.is_some() && public_url != other {
            let sentence = "is another name of `PUBLIC_URL`, which says otherwise: unset one of them";
            return Err(ConfigError::new(APP_DOMAIN.name, sentence));
        }
        Ok(Self {
            public_url: public_url.or(other),
            are_open: PROVIDER_WEBHOOKS_OPEN.read(variables)?,
            secret_overlap: SECRET_OVERLAP.read(variables)?,
        })
    }
}

fn public_url(text: &str) -> Parsed<String> {
    let malformed = || "must be a URL like `https://correio.example.com`, without query or user name".to_owned();
    let url = Url::parse(text).map_err(|_| malformed())?;
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        return Err(malformed());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_no_slash_at_its_end_and_nothing_behind_its_path() {
        for (given, read) in [
            ("https://correio.example.com", "https://correio.example.com"),
            ("https://x.example/", "https://x.example"),
            ("http://10.0.0.5:3000/gateway/", "http://10.0.0.5:3000/gateway"),
        ] {
            assert_eq!(public_url(given), Ok(read.to_owned()));
        }
        for given in ["correio.example.com", "ftp://x", "https://u:p@x", "https://x?a=b", "https://x#a", "https://"] {
            assert!(public_url(given).is_err(), "{given}");
        }
    }
}
