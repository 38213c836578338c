//! How connections to Kafka are encrypted, and how Correio proves itself to the brokers.

use std::fmt;

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed};
use crate::infrastructure::config::variables::Variables;

/// With neither, connections are in the clear and anonymous.
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

pub const SECTION: Section = Section {
    title: "Kafka: encryption and authentication",
    about: "`SSL`, `SASL_SSL` and SCRAM need a build with `--features kafka-tls`.",
    settings: &[
        KAFKA_SECURITY_PROTOCOL.entry(),
        KAFKA_SASL_MECHANISM.entry(),
        KAFKA_SASL_USERNAME.entry(),
        KAFKA_SASL_PASSWORD.entry(),
        KAFKA_SSL_CA_LOCATION.entry(),
        KAFKA_SSL_CERTIFICATE_LOCATION.entry(),
        KAFKA_SSL_KEY_LOCATION.entry(),
        KAFKA_SSL_KEY_PASSWORD.entry(),
    ],
};

const KAFKA_SECURITY_PROTOCOL: Setting<Protocol> = Setting {
    name: "KAFKA_SECURITY_PROTOCOL",
    default: "PLAINTEXT",
    about: "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.",
    parse: protocol,
};

const KAFKA_SASL_MECHANISM: Setting<SaslMechanism> = Setting {
    name: "KAFKA_SASL_MECHANISM",
    default: "PLAIN",
    about: "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.",
    parse: sasl_mechanism,
};

const KAFKA_SASL_USERNAME: OptionalSetting<String> = OptionalSetting {
    name: "KAFKA_SASL_USERNAME",
    unset: "",
    example: "",
    about: "User name; needed with `SASL_PLAINTEXT` and `SASL_SSL`.",
    parse: values::text,
};

const KAFKA_SASL_PASSWORD: OptionalSetting<String> = OptionalSetting {
    name: "KAFKA_SASL_PASSWORD",
    unset: "",
    example: "",
    about: "Password; needed with `SASL_PLAINTEXT` and `SASL_SSL`.",
    parse: values::text,
};

const KAFKA_SSL_CA_LOCATION: OptionalSetting<String> = OptionalSetting {
    name: "KAFKA_SSL_CA_LOCATION",
    unset: "the certificates of the system",
    example: "",
    about: "PEM file, or directory of PEM files, with the certificates that have signed the brokers' certificates.",
    parse: values::path,
};

const KAFKA_SSL_CERTIFICATE_LOCATION: OptionalSetting<String> = OptionalSetting {
    name: "KAFKA_SSL_CERTIFICATE_LOCATION",
    unset: "",
    example: "",
    about: "PEM file with Correio's own certificate, if the brokers ask for one.",
    parse: values::path,
};

const KAFKA_SSL_KEY_LOCATION: OptionalSetting<String> = OptionalSetting {
    name: "KAFKA_SSL_KEY_LOCATION",
    unset: "",
    example: "",
    about: "PEM file with the private key of Correio's own certificate; needed if that certificate is set.",
    parse: values::path,
};

const KAFKA_SSL_KEY_PASSWORD: OptionalSetting<String> = OptionalSetting {
    name: "KAFKA_SSL_KEY_PASSWORD",
    unset: "",
    example: "",
    about: "Password of the private key, if the key is encrypted.",
    parse: values::text,
};

/// `SSL`, `SASL_PLAINTEXT`, ...: two questions in one word.
#[derive(Clone, Copy)]
struct Protocol {
    tls: bool,
    sasl: bool,
}

/// Whether this build can encrypt, and hash as SCRAM does.
const HAS_TLS: bool = cfg!(feature = "kafka-tls");

impl KafkaSecurity {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let protocol = KAFKA_SECURITY_PROTOCOL.read(variables)?;
        let tls = tls(variables)?;
        let sasl = sasl(variables)?;
        // Left alone, it would look as if connections were encrypted, or Correio had proved itself.
        let without_tls = !protocol.tls && (tls.ca_location.is_some() || tls.client_certificate.is_some());
        if without_tls {
            let ca = &KAFKA_SSL_CA_LOCATION;
            let set = if tls.ca_location.is_some() { ca } else { &KAFKA_SSL_CERTIFICATE_LOCATION };
            return Err(unused(set.name, "`SSL` or `SASL_SSL`"));
        }
        if !protocol.sasl && (sasl.username.is_some() || sasl.password.is_some()) {
            let set = if sasl.username.is_some() { &KAFKA_SASL_USERNAME } else { &KAFKA_SASL_PASSWORD };
            return Err(unused(set.name, "`SASL_PLAINTEXT` or `SASL_SSL`"));
        }
        Ok(Self { tls: protocol.tls.then_some(tls), sasl: if protocol.sasl { Some(complete(sasl)?) } else { None } })
    }
}

fn unused(set: &'static str, wanted: &str) -> ConfigError {
    let sentence = format!("is set, and KAFKA_SECURITY_PROTOCOL does not use it: that must be {wanted}, or this unset");
    ConfigError::new(set, sentence)
}

fn tls(variables: &Variables) -> Result<KafkaTls, ConfigError> {
    let certificate = KAFKA_SSL_CERTIFICATE_LOCATION.read(variables)?;
    let key = KAFKA_SSL_KEY_LOCATION.read(variables)?;
    let key_password = KAFKA_SSL_KEY_PASSWORD.read(variables)?;
    let client_certificate = match (certificate, key) {
        (Some(location), Some(key_location)) => Some(KafkaClientCertificate { location, key_location, key_password }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(ConfigError::new(KAFKA_SSL_KEY_LOCATION.name, "must name the key of the certificate"));
        }
        (None, Some(_)) => {
            return Err(ConfigError::new(KAFKA_SSL_CERTIFICATE_LOCATION.name, "must name the certificate of the key"));
        }
    };
    Ok(KafkaTls { ca_location: KAFKA_SSL_CA_LOCATION.read(variables)?, client_certificate })
}

struct MaybeSasl {
    mechanism: SaslMechanism,
    username: Option<String>,
    password: Option<String>,
}

fn sasl(variables: &Variables) -> Result<MaybeSasl, ConfigError> {
    Ok(MaybeSasl {
        mechanism: KAFKA_SASL_MECHANISM.read(variables)?,
        username: KAFKA_SASL_USERNAME.read(variables)?,
        password: KAFKA_SASL_PASSWORD.read(variables)?,
    })
}

fn complete(sasl: MaybeSasl) -> Result<KafkaSasl, ConfigError> {
    let missing = |variable| ConfigError::new(variable, "must be set, because KAFKA_SECURITY_PROTOCOL asks for SASL");
    Ok(KafkaSasl {
        mechanism: sasl.mechanism,
        username: sasl.username.ok_or_else(|| missing(KAFKA_SASL_USERNAME.name))?,
        password: sasl.password.ok_or_else(|| missing(KAFKA_SASL_PASSWORD.name))?,
    })
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
        return Err(
            "needs a build with `--features kafka-tls`: this one cannot encrypt its connections to Kafka".to_owned()
        );
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
