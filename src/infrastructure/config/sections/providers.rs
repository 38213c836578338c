use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::domain::instance::channel::ChannelName;
use crate::domain::receipt::StuckAfter;
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
    /// How long a message may be `sent` before it counts as stuck.
    pub stuck_after: StuckAfter,
}

pub const SECTION: Section = Section {
    title: "Providers",
    about: "What becomes of a message at a channel is reported by the channel's provider, such as an Evolution API.",
    settings: &[
        PUBLIC_URL.entry(),
        APP_DOMAIN.entry(),
        PROVIDER_WEBHOOKS_OPEN.entry(),
        SECRET_OVERLAP.entry(),
        STUCK_AFTER.entry(),
    ],
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

const STUCK_AFTER: Setting<StuckAfter> = Setting {
    name: STUCK_AFTER_NAME,
    default: "10m",
    about: "How long a message may be `sent` without a receipt before it counts as stuck, on channels that give receipts: \
            one duration, or one for each of some channels, like `whatsapp_evolution=10m,whatsapp_oficial=1h` (10 minutes on those that are \
            not named, or what stands there without a name).",
    parse: stuck_after,
};

/// The default of channels that are not named.
const TEN_MINUTES: Duration = Duration::from_secs(600);

pub const STUCK_AFTER_NAME: &str = "STUCK_AFTER";

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
            stuck_after: STUCK_AFTER.read(variables)?,
        })
    }
}

fn stuck_after(text: &str) -> Parsed<StuckAfter> {
    let (mut others, mut of_channels) = (None, BTreeMap::new());
    for item in text.split(',').map(str::trim) {
        let (channel, time) =
            item.split_once('=').map_or((None, item), |(channel, time)| (Some(channel.trim()), time.trim()));
        let malformed = |error: String| match channel {
            None => format!("{error}, or such durations by channel, like `whatsapp_evolution=10m,whatsapp_oficial=1h`"),
            Some(_) => format!("{error} after the name of a channel"),
        };
        let time = duration(time).map_err(malformed)?;
        let is_new = match channel {
            None => others.replace(time).is_none(),
            Some(channel) => of_channels.insert(ChannelName::new(channel), time).is_none(),
        };
        if !is_new {
            return Err(channel.map_or_else(
                || "has more than one duration without a channel".to_owned(),
                |_| "names a channel more than once".to_owned(),
            ));
        }
    }
    Ok(StuckAfter { others: others.unwrap_or(TEN_MINUTES), of_channels })
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

    #[test]
    fn a_message_is_stuck_after_a_time_of_its_channel_or_of_all() {
        let of = |text: &str| stuck_after(text).map(|after| (after.others.as_secs(), after.of_channels.len()));
        assert_eq!(of("10m"), Ok((600, 0)));
        assert_eq!(of("whatsapp_evolution=5m,whatsapp_oficial=1h"), Ok((600, 2)));
        assert_eq!(of("30s, whatsapp_oficial = 1h"), Ok((30, 1)));
        let after = stuck_after("30s,whatsapp_oficial=1h").unwrap();
        assert_eq!(after.of(&ChannelName::new("whatsapp_oficial")).as_secs(), 3_600);
        assert_eq!(after.of(&ChannelName::new("whatsapp_evolution")).as_secs(), 30);
        for malformed in ["", "10", "10m,20m", "a=1m,a=2m", "a=", "a=1m,", "whatsapp_evolution=10"] {
            assert!(stuck_after(malformed).is_err(), "{malformed}");
        }
    }
}
