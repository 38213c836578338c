pub mod limits;

use std::time::Duration;

use url::Url;

use crate::domain::access::api_key;
use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed, duration_between};
use crate::infrastructure::config::variables::Variables;
use limits::LimitsConfig;

#[derive(Clone)]
pub struct AccessConfig {
    pub bootstrap_api_key: Option<String>,
    pub jwt: JwtConfig,
    /// How long the token of a user who signed in lives.
    pub sign_in_ttl: Duration,
    pub limits: LimitsConfig,
}

/// How Bearer tokens are verified. Without any key, only API keys work.
#[derive(Clone)]
pub struct JwtConfig {
    pub secret: Option<Vec<u8>>,
    /// PEM text.
    pub public_key: Option<String>,
    pub jwks_url: Option<Url>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the user.
    pub user_claim: String,
}

pub const SECTION: Section = Section {
    title: "Access",
    about: "Callers present an API key or a Bearer token (JWT). \
            Without `JWT_SECRET`, `JWT_PUBLIC_KEY` and `JWT_JWKS_URL`, only API keys work, and the tokens of users who sign in.",
    settings: &[
        BOOTSTRAP_API_KEY.entry(),
        JWT_SECRET.entry(),
        JWT_PUBLIC_KEY.entry(),
        JWT_JWKS_URL.entry(),
        JWT_ISSUER.entry(),
        JWT_AUDIENCE.entry(),
        JWT_TENANT_CLAIM.entry(),
        JWT_USER_CLAIM.entry(),
        SIGN_IN_TTL.entry(),
    ],
};

const BOOTSTRAP_API_KEY: OptionalSetting<String> = OptionalSetting {
    name: "BOOTSTRAP_API_KEY",
    unset: "a key generated at the first start: shown once on its terminal, else in a file `bootstrap-api-key`",
    example: "",
    about: "API key of the tenant `default` with every scope: 32 or more visible ASCII characters. \
            Every start adds the key if it is missing.",
    parse: bootstrap_api_key,
};

const JWT_SECRET: OptionalSetting<Vec<u8>> = OptionalSetting {
    name: "JWT_SECRET",
    unset: "",
    example: "",
    about: "Secret of tokens signed with HS256: at least 32 bytes. Without it, the tokens of users who sign in are signed with a \
            key that follows from `CREDENTIALS_KEY`.",
    parse: jwt_secret,
};

const JWT_PUBLIC_KEY: OptionalSetting<String> = OptionalSetting {
    name: "JWT_PUBLIC_KEY",
    unset: "",
    example: "",
    about: "Public key for tokens signed with RS256, ES256 or EdDSA: PEM text, in which `\\n` may stand for a \
            line break, or the path of a PEM file.",
    parse: public_key,
};

const JWT_JWKS_URL: OptionalSetting<Url> = OptionalSetting {
    name: "JWT_JWKS_URL",
    unset: "",
    example: "https://id.example.com/.well-known/jwks.json",
    about: "URL where the issuer of tokens signed with RS256, ES256 or EdDSA publishes its keys (JWKS).",
    parse: http_url,
};

const JWT_ISSUER: OptionalSetting<String> = OptionalSetting {
    name: "JWT_ISSUER",
    unset: "not checked",
    example: "",
    about: "Value that a token's claim `iss` must have.",
    parse: values::text,
};

const JWT_AUDIENCE: OptionalSetting<String> = OptionalSetting {
    name: "JWT_AUDIENCE",
    unset: "not checked",
    example: "",
    about: "Value that a token's claim `aud` must have or contain.",
    parse: values::text,
};

const JWT_TENANT_CLAIM: Setting<String> = Setting {
    name: "JWT_TENANT_CLAIM",
    default: "tenant",
    about: "Claim that names the tenant. The tenant of a token without the claim is its user.",
    parse: values::text,
};

const JWT_USER_CLAIM: Setting<String> = Setting {
    name: "JWT_USER_CLAIM",
    default: "sub",
    about: "Claim that names the user: a text of 1 to 255 characters, or a whole number. It is stored as the `user_id` of \
            what the token's bearer makes.",
    parse: values::text,
};

const SIGN_IN_TTL: Setting<Duration> = Setting {
    name: "SIGN_IN_TTL",
    default: "24h",
    about: "How long the token lives that a user gets who signs in (`/auth/login`), `1m` to `30d`.",
    parse: |text| duration_between(text, Duration::from_secs(60), Duration::from_secs(30 * 24 * 60 * 60)),
};

impl AccessConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            bootstrap_api_key: BOOTSTRAP_API_KEY.read(variables)?,
            jwt: JwtConfig::read(variables)?,
            sign_in_ttl: SIGN_IN_TTL.read(variables)?,
            limits: LimitsConfig::read(variables)?,
        })
    }
}

impl JwtConfig {
    /// May read one file: the one that `JWT_PUBLIC_KEY` names.
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            secret: JWT_SECRET.read(variables)?,
            public_key: JWT_PUBLIC_KEY.read(variables)?,
            jwks_url: JWT_JWKS_URL.read(variables)?,
            issuer: JWT_ISSUER.read(variables)?,
            audience: JWT_AUDIENCE.read(variables)?,
            tenant_claim: JWT_TENANT_CLAIM.read(variables)?,
            user_claim: JWT_USER_CLAIM.read(variables)?,
        })
    }
}

pub fn bootstrap_api_key(text: &str) -> Parsed<String> {
    if !api_key::has_form(text) {
        return Err("must be 32 or more visible ASCII characters, without spaces".to_owned());
    }
    // Callers could never use it.
    if text.bytes().filter(|byte| *byte == b'.').count() == 2 {
        return Err("must not have exactly two dots, because a key with two dots would be read as a JWT".to_owned());
    }
    Ok(text.to_owned())
}

fn jwt_secret(text: &str) -> Parsed<Vec<u8>> {
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
    let content = std::fs::read_to_string(values::path(text)?)
        .map_err(|error| format!("must be a public key in PEM, or a file that has one; reading the file: {error}"))?;
    public_pem(&content)
}

fn public_pem(text: &str) -> Parsed<String> {
    if text.contains("PRIVATE KEY-----") {
        return Err("has a private key; verifying needs the public one".to_owned());
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
