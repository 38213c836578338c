//! How single values are written. Every parser answers with the end of a sentence about what it wants.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{DatabaseConfig, LogFormat};

/// Far beyond any sensible wait, and small enough that adding it to a time never overflows.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Keys are pasted from many tools, some of which leave the padding off.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub type Parsed<T> = Result<T, String>;

pub fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be `true` or `false`".to_owned()),
    }
}

pub fn host(text: &str) -> Parsed<IpAddr> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| "must be an IP address, like `0.0.0.0`, or `localhost`".to_owned())
}

pub fn number<N>(range: RangeInclusive<N>) -> impl Fn(&str) -> Parsed<N>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    move |text| {
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| only_digits && range.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// One number and one unit: `300ms`, `15s`, `5m`, `24h`.
pub fn duration(text: &str) -> Parsed<Duration> {
    let malformed = || "must be a duration like `300ms`, `15s`, `5m` or `24h`".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let milliseconds_a_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(malformed()),
    };
    if count.is_empty() {
        return Err(malformed());
    }
    let milliseconds = count.parse().ok().and_then(|count: u64| count.checked_mul(milliseconds_a_unit));
    let duration = milliseconds.map(Duration::from_millis).filter(|duration| *duration <= LONGEST_DURATION);
    duration.ok_or_else(|| "must be at most a year".to_owned())
}

pub fn duration_of_at_least(shortest: Duration) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| {
        let duration = duration(text)?;
        if duration < shortest {
            return Err(format!("must be at least {}s", shortest.as_secs()));
        }
        Ok(duration)
    }
}

pub fn duration_between(shortest: Duration, longest: Duration) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| {
        let duration = duration(text)?;
        if duration < shortest || duration > longest {
            return Err(format!("must be from {}s to {}s", shortest.as_secs(), longest.as_secs()));
        }
        Ok(duration)
    }
}

pub fn durations(text: &str) -> Parsed<Vec<Duration>> {
    let durations: Result<Vec<_>, _> = text.split(',').map(|item| duration(item.trim())).collect();
    durations.map_err(|_| "must be durations with commas in between, like `1s,4s,16s`".to_owned())
}

pub fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be `text` or `json`".to_owned()),
    }
}

pub fn log_filter(text: &str) -> Parsed<String> {
    // Spaces in front of a directive make the library cut it in the wrong places, at worst within a character.
    let directives = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    match EnvFilter::try_new(&directives) {
        Ok(_) => Ok(directives),
        Err(_) => Err("must be a level, like `info`, or directives, like `info,correio=debug`".to_owned()),
    }
}

pub fn database(text: &str) -> Parsed<DatabaseConfig> {
    if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        return sqlite(path);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Url::parse(text).map_err(|error| format!("is no URL that can be read: {error}"))?;
        return Ok(DatabaseConfig::Postgres { url: text.to_owned() });
    }
    Err("must start with `sqlite://` or `postgres://`".to_owned())
}

fn sqlite(path: &str) -> Parsed<DatabaseConfig> {
    if path.is_empty() || path.ends_with('/') {
        return Err("must name a file, like `sqlite://data/correio.db`".to_owned());
    }
    if path.contains(":memory:") {
        return Err("must name a file: what is kept in memory does not survive a restart".to_owned());
    }
    // Passing them on would let an installation switch durability off; dropping them would be silent.
    if path.contains('?') {
        return Err("takes no parameters after `?` with SQLite".to_owned());
    }
    Ok(DatabaseConfig::Sqlite { path: PathBuf::from(path) })
}

pub fn credentials_keys(text: &str) -> Parsed<Vec<[u8; 32]>> {
    text.split(',').map(|item| credentials_key(item.trim())).collect()
}

pub fn credentials_key(text: &str) -> Parsed<[u8; 32]> {
    let bytes = BASE64.decode(text).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "must be 32 bytes in base64 (`openssl rand -base64 32` makes one)".to_owned())
}

pub fn bootstrap_api_key(text: &str) -> Parsed<String> {
    if text.len() < 32 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be 32 or more visible ASCII characters, without spaces".to_owned());
    }
    // Callers could never use it.
    if text.bytes().filter(|byte| *byte == b'.').count() == 2 {
        return Err("must not have exactly two dots, because that is how a JWT is told from an API key".to_owned());
    }
    Ok(text.to_owned())
}

pub fn jwt_secret(text: &str) -> Parsed<Vec<u8>> {
    if text.len() < 32 {
        return Err("must be at least 32 bytes long".to_owned());
    }
    Ok(text.as_bytes().to_vec())
}

/// PEM text as it stands, or the file that has it.
pub fn public_key(text: &str) -> Parsed<String> {
    if text.contains("-----BEGIN") {
        // Not every place where variables are set takes line breaks.
        return public_pem(&text.replace("\\r", "").replace("\\n", "\n"));
    }
    let content = std::fs::read_to_string(text)
        .map_err(|error| format!("must be a public key in PEM, or a file that has one; reading the file: {error}"))?;
    public_pem(&content)
}

fn public_pem(text: &str) -> Parsed<String> {
    if text.contains("PRIVATE KEY-----") {
        return Err("has a private key; verifying takes the public one".to_owned());
    }
    if !text.contains("-----BEGIN PUBLIC KEY-----") && !text.contains("-----BEGIN RSA PUBLIC KEY-----") {
        return Err("must hold a `-----BEGIN PUBLIC KEY-----`".to_owned());
    }
    Ok(text.to_owned())
}

pub fn http_url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "must be a URL that starts with `https://` or `http://`".to_owned())
}

pub fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}
