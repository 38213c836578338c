//! The proxies that the environment names, through which calls go that no guard watches.

use std::env;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Response, StatusCode, Url};
use tracing::{info, warn};

use super::blame::own_trouble;
use super::causes::causes;

/// Names of variables, each also read in lower case.
const NAMES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Squid's word for why it answers itself.
const SQUID_ERROR: &str = "x-squid-error";

/// What a proxy on the way did, and no receiver. Never holds a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProxyTrouble {
    #[error(
        "{proxy} wants a user name and a password that it knows (HTTP 407): give them in HTTP_PROXY and HTTPS_PROXY"
    )]
    Unknown { proxy: String },
    #[error("{proxy} refused it ({said}): let it pass there, or name its host in NO_PROXY")]
    Refused { proxy: String, said: String },
    #[error(
        "{proxy} made no connection to it ({cause}): the proxy is away, or does not let it pass, or cannot reach it; \
         NO_PROXY names hosts that are called without it"
    )]
    NoConnection { proxy: String, cause: String },
}

/// As the HTTP client finds them.
pub(super) struct Proxies(Matcher);

/// Whether the environment names a proxy, which a client uses that is not guarded.
pub fn has_proxy() -> bool {
    names_proxy(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn names_proxy(is_set: impl Fn(&str) -> bool) -> bool {
    NAMES.iter().any(|name| is_set(name) || is_set(&name.to_ascii_lowercase()))
}

/// Says which proxies are used, in one line, and which could not be.
pub fn announce_proxies() {
    let value = |name: &str| {
        let value = env::var(name).or_else(|_| env::var(name.to_ascii_lowercase())).ok();
        value.filter(|value| !value.is_empty())
    };
    for name in NAMES {
        if value(name).is_some_and(|value| proxy_of(&value).is_none()) {
            warn!("{name} is not the URL of a proxy, like http://proxy.example:3128, and is not used");
        }
    }
    let proxies = Proxies::of_environment();
    // Only `*` leaves this one out.
    let of = |scheme: &str| proxies.between(&format!("{scheme}://receiver.invalid/"));
    let (http, https) = (of("http"), of("https"));
    if http.is_some() || https.is_some() {
        let except = value("NO_PROXY");
        info!(
            http,
            https,
            except,
            "calls go through the proxies that the environment names, but for those to the hosts of NO_PROXY"
        );
    }
}

/// Its scheme, host and port, without its password.
fn proxy_of(value: &str) -> Option<String> {
    Proxies(Matcher::builder().all(value.to_owned()).build()).between("http://receiver.invalid/")
}

impl Proxies {
    pub(super) fn of_environment() -> Self {
        Self(Matcher::from_system())
    }

    fn between(&self, url: &str) -> Option<String> {
        let proxy = self.0.intercept(&url.parse::<Uri>().ok()?)?;
        let (scheme, authority) = (proxy.uri().scheme_str()?, proxy.uri().authority()?);
        Some(format!("{scheme}://{authority}"))
    }

    /// The proxy that a call of this URL goes through.
    pub(super) fn on_the_way_to(&self, url: &Url) -> Option<String> {
        self.between(url.as_str())
    }
}

/// What an answer says that is a proxy's and not the receiver's.
pub(super) fn refusal(proxy: Option<&str>, response: &Response) -> Option<ProxyTrouble> {
    // No receiver has a reason to send it, so that this need not be a proxy that was configured.
    if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Some(ProxyTrouble::Unknown { proxy: named(proxy) });
    }
    let said = response.headers().get(SQUID_ERROR)?;
    if proxy.is_none() || response.status() != StatusCode::FORBIDDEN {
        return None;
    }
    let error = said.to_str().unwrap_or_default().split(' ').next().unwrap_or_default();
    Some(ProxyTrouble::Refused { proxy: named(proxy), said: format!("HTTP 403, {error}") })
}

/// What an error says that happened between here and the end of a proxy.
pub(super) fn failure(proxy: Option<&str>, error: &reqwest::Error) -> Option<ProxyTrouble> {
    let is_http = proxy?.starts_with("http");
    // Behind it, it is the receiver whose certificate is refused; and whose silence it is, is not said.
    let is_behind_it = causes(error).any(|cause| cause.is::<rustls::Error>());
    if !is_http || !error.is_connect() || error.is_timeout() || is_behind_it || own_trouble(error).is_some() {
        return None;
    }
    let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
    // hyper-util's words, whose type it does not show.
    if cause.contains("proxy authorization required") {
        return Some(ProxyTrouble::Unknown { proxy: named(proxy) });
    }
    Some(ProxyTrouble::NoConnection { proxy: named(proxy), cause })
}

fn named(proxy: Option<&str>) -> String {
    proxy.map_or_else(|| "a proxy on the way".to_owned(), |proxy| format!("the proxy {proxy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_in_either_case() {
        for name in ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"] {
            assert!(names_proxy(|asked| asked == name), "{name}");
        }
        assert!(!names_proxy(|asked| asked.eq_ignore_ascii_case("NO_PROXY")));
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let shown = |value| proxy_of(value);
        assert_eq!(shown("http://me:hush@proxy.example:3128/x").as_deref(), Some("http://proxy.example:3128"));
        assert_eq!(shown("proxy.example:3128").as_deref(), Some("http://proxy.example:3128"));
        for unusable in ["\"http://proxy.example\"", "ftp://proxy.example", "http://"] {
            assert_eq!(shown(unusable), None, "{unusable}");
        }
    }
}
