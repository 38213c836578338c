//! How Kafka is found, and what Correio does with it.

use std::fmt;
use std::time::Duration;

use super::ConfigError;
use super::read::Variables;
use super::values::{self, Parsed};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    pub brokers: Brokers,
    pub group_id: String,
    /// Stands before every topic's name.
    pub topic_prefix: String,
    /// Of topics that Correio creates.
    pub partitions: i32,
    /// Of topics that Correio creates. None: what the broker is configured for.
    pub replication_factor: Option<i32>,
    /// A message that no broker has confirmed for this long counts as not published.
    pub publish_timeout: Duration,
    pub security: KafkaSecurity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// Within this process, and forgotten with it.
    Embedded,
    /// `host:port` each.
    Addresses(Vec<String>),
}

/// Neither: in the clear, as anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaSecurity {
    pub tls: Option<KafkaTls>,
    pub sasl: Option<KafkaSasl>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaTls {
    /// A file, or a directory, of certificates in PEM. None: the system's.
    pub ca_location: Option<String>,
    pub client_certificate: Option<KafkaClientCertificate>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct KafkaClientCertificate {
    pub location: String,
    pub key_location: String,
    pub key_password: Option<String>,
}

impl fmt::Debug for KafkaClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaClientCertificate").field("location", &self.location).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSasl {
    pub mechanism: SaslMechanism,
    pub username: String,
    pub password: String,
}

impl fmt::Debug for KafkaSasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSasl").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl SaslMechanism {
    pub fn as_str(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// `SSL`, `SASL_PLAINTEXT`, ...: two questions in one word.
#[derive(Clone, Copy)]
struct Protocol {
    tls: bool,
    sasl: bool,
}

const DEFAULT_PORT: u16 = 9092;

/// Kafka's limit for a topic's name is 249; the longest that the prefix stands before is `messaging.send.dlq`.
const LONGEST_PREFIX: usize = 249 - "messaging.send.dlq".len();

const LONGEST_GROUP_ID: usize = 255;

/// Whether this build can encrypt, and hash as SCRAM does.
const HAS_TLS: bool = cfg!(feature = "kafka-tls");

pub(super) fn read<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<KafkaConfig, ConfigError> {
    let timeout = values::duration_between(Duration::from_secs(1), Duration::from_secs(3600));
    Ok(KafkaConfig {
        brokers: variables.parsed_or(
            "KAFKA_BROKERS",
            Brokers::Addresses(vec!["localhost:9092".to_owned()]),
            brokers,
        )?,
        group_id: variables.parsed_or("KAFKA_GROUP_ID", "correio".to_owned(), group_id)?,
        topic_prefix: variables.parsed_or("KAFKA_TOPIC_PREFIX", String::new(), topic_prefix)?,
        partitions: variables.parsed_or("KAFKA_PARTITIONS", 3, values::number(1..=10_000))?,
        replication_factor: variables.parsed("KAFKA_REPLICATION_FACTOR", values::number(1..=i32::from(i16::MAX)))?,
        publish_timeout: variables.parsed_or("KAFKA_PUBLISH_TIMEOUT", Duration::from_secs(30), timeout)?,
        security: security(variables)?,
    })
}

fn security<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<KafkaSecurity, ConfigError> {
    let in_the_clear = Protocol { tls: false, sasl: false };
    let protocol = variables.parsed_or("KAFKA_SECURITY_PROTOCOL", in_the_clear, protocol)?;
    let tls = tls(variables)?;
    let sasl = sasl(variables)?;
    Ok(KafkaSecurity {
        tls: protocol.tls.then_some(tls),
        sasl: if protocol.sasl { Some(complete(sasl)?) } else { None },
    })
}

fn tls<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<KafkaTls, ConfigError> {
    let certificate = variables.parsed("KAFKA_SSL_CERTIFICATE_LOCATION", values::text)?;
    let key = variables.parsed("KAFKA_SSL_KEY_LOCATION", values::text)?;
    let key_password = variables.parsed("KAFKA_SSL_KEY_PASSWORD", values::text)?;
    let client_certificate = match (certificate, key) {
        (Some(location), Some(key_location)) => Some(KafkaClientCertificate { location, key_location, key_password }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(ConfigError::new("KAFKA_SSL_KEY_LOCATION", "must name the key of the certificate"));
        }
        (None, Some(_)) => {
            return Err(ConfigError::new("KAFKA_SSL_CERTIFICATE_LOCATION", "must name the certificate of the key"));
        }
    };
    Ok(KafkaTls { ca_location: variables.parsed("KAFKA_SSL_CA_LOCATION", values::text)?, client_certificate })
}

struct MaybeSasl {
    mechanism: SaslMechanism,
    username: Option<String>,
    password: Option<String>,
}

fn sasl<G: Fn(&str) -> Option<String>>(variables: &Variables<G>) -> Result<MaybeSasl, ConfigError> {
    Ok(MaybeSasl {
        mechanism: variables.parsed_or("KAFKA_SASL_MECHANISM", SaslMechanism::Plain, sasl_mechanism)?,
        username: variables.parsed("KAFKA_SASL_USERNAME", values::text)?,
        password: variables.parsed("KAFKA_SASL_PASSWORD", values::text)?,
    })
}

fn complete(sasl: MaybeSasl) -> Result<KafkaSasl, ConfigError> {
    let missing = |variable| ConfigError::new(variable, "must be set, because KAFKA_SECURITY_PROTOCOL asks for SASL");
    Ok(KafkaSasl {
        mechanism: sasl.mechanism,
        username: sasl.username.ok_or_else(|| missing("KAFKA_SASL_USERNAME"))?,
        password: sasl.password.ok_or_else(|| missing("KAFKA_SASL_PASSWORD"))?,
    })
}

fn brokers(text: &str) -> Parsed<Brokers> {
    if text == "embedded" {
        return Ok(Brokers::Embedded);
    }
    if text.split(',').any(|address| address.trim() == "embedded") {
        return Err("must be `embedded` alone, or brokers, because the embedded one knows of no others".to_owned());
    }
    let addresses: Option<Vec<String>> = text.split(',').map(|address| broker(address.trim())).collect();
    addresses.map(Brokers::Addresses).ok_or_else(|| {
        "must be `embedded`, or brokers like `kafka-1:9092`, `10.0.0.1` or `[::1]:9092` with commas in between"
            .to_owned()
    })
}

/// `host:port`, from an address whose port may be missing.
fn broker(address: &str) -> Option<String> {
    // The colons of an IPv6 address are within brackets.
    let host_end = address.find(']').map_or_else(|| address.find(':'), |bracket| Some(bracket + 1));
    let (host, rest) = address.split_at(host_end.unwrap_or(address.len()));
    let port = match rest.strip_prefix(':') {
        Some(port) => values::number(1..=u16::MAX)(port).ok()?,
        None if rest.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    is_host(host).then(|| format!("{host}:{port}"))
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(allowed)
}

fn group_id(text: &str) -> Parsed<String> {
    if text.len() > LONGEST_GROUP_ID || text.chars().any(char::is_control) {
        return Err(format!("must be at most {LONGEST_GROUP_ID} bytes long and without control characters"));
    }
    Ok(text.to_owned())
}

fn topic_prefix(text: &str) -> Parsed<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.len() > LONGEST_PREFIX || !text.bytes().all(allowed) {
        return Err(format!("must be at most {LONGEST_PREFIX} letters, digits, `.`, `_` and `-`"));
    }
    Ok(text.to_owned())
}

fn protocol(text: &str) -> Parsed<Protocol> {
    let protocol = match text.to_ascii_uppercase().as_str() {
        "PLAINTEXT" => Protocol { tls: false, sasl: false },
        "SSL" => Protocol { tls: true, sasl: false },
        "SASL_PLAINTEXT" => Protocol { tls: false, sasl: true },
        "SASL_SSL" => Protocol { tls: true, sasl: true },
        _ => return Err("must be `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`".to_owned()),
    };
    if protocol.tls && !HAS_TLS {
        return Err("needs a build with `--features kafka-tls`: this one cannot encrypt its way to Kafka".to_owned());
    }
    Ok(protocol)
}

fn sasl_mechanism(text: &str) -> Parsed<SaslMechanism> {
    let known = [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];
    let mechanism = known.into_iter().find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(text));
    let mechanism = mechanism.ok_or_else(|| "must be `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`".to_owned())?;
    if mechanism != SaslMechanism::Plain && !HAS_TLS {
        return Err("needs a build with `--features kafka-tls`: this one cannot do SCRAM".to_owned());
    }
    Ok(mechanism)
}
