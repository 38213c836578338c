use reqwest::header::HeaderValue;
use serde_json::{Map, Value};
use url::Url;

use crate::application::ports::NewCredentials;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::delivery::DeliveryError;
use crate::domain::problem::FieldProblem;
use crate::infrastructure::channels::http::base_url::parse_base_url;
use crate::infrastructure::channels::http::credentials_object::{CredentialsObject, is_header_text};
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::http_client::AddressGuard;

const MEMBERS: [&str; 5] = ["accessToken", "appSecret", "verifyToken", "baseUrl", "version"];

/// Meta drops a version about two years after it came.
const VERSION: &str = "v26.0";
const BASE_URL: &str = "https://graph.facebook.com";

const LONGEST_TOKEN: usize = 4096;
const LONGEST_VERIFY_TOKEN: usize = 255;
const LONGEST_VERSION: usize = 16;

const VISIBLE: &str = "must be visible ASCII without spaces, at most 4096 characters";

/// Checks credentials as a client gave them. What is not given is not stored either: a later release may have another default.
pub fn check(given: Option<&Value>, guard: &AddressGuard) -> Result<NewCredentials, Vec<FieldProblem>> {
    let mut object = CredentialsObject::read(given, &MEMBERS);
    let tokens = ["accessToken", "appSecret"].map(|name| {
        let token = object.required_text(name);
        if token.is_some_and(|token| !is_token(token)) {
            object.problem(name, VISIBLE);
        }
        (name, token)
    });
    let verify_token = object.required_text("verifyToken");
    if verify_token.is_some_and(|token| !is_verify_token(token)) {
        object.problem("verifyToken", "must have 1 to 255 characters, and none of them a control character");
    }
    let base_url = object.optional_text("baseUrl");
    if let Some(Err(problem)) = base_url.map(|text| parse_base_url(text).and_then(|url| guard.check(&url))) {
        object.problem("baseUrl", problem);
    }
    let version = object.optional_text("version");
    if version.is_some_and(|version| !is_version(version)) {
        object.problem("version", "must be a version of Meta's Graph API, such as v26.0");
    }
    object.finish()?;

    let given = tokens.into_iter().chain([("verifyToken", verify_token), ("baseUrl", base_url), ("version", version)]);
    let stored: Map<_, _> = given.filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect();
    Ok(NewCredentials { credentials: Credentials::new(Value::Object(stored).to_string()), reveal: None })
}

/// Where Meta's API is, and what opens it.
pub struct MetaCredentials {
    base_url: Url,
    version: String,
    bearer: HeaderValue,
    redaction: Redaction,
}

impl MetaCredentials {
    /// # Errors
    /// When nothing can be sent with what is stored.
    pub fn stored(credentials: &Credentials) -> Result<Self, DeliveryError> {
        Self::read(credentials)
            .ok_or_else(|| DeliveryError::misconfigured("The instance's stored credentials cannot be used"))
    }

    fn read(credentials: &Credentials) -> Option<Self> {
        let stored: Value = serde_json::from_str(credentials.expose()).ok()?;
        let text = |name| stored.get(name).and_then(Value::as_str);
        let access_token = text("accessToken").filter(|token| is_token(token))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {access_token}")).ok()?;
        bearer.set_sensitive(true);
        let version = text("version").unwrap_or(VERSION);
        Some(Self {
            base_url: parse_base_url(text("baseUrl").unwrap_or(BASE_URL)).ok()?,
            version: Some(version).filter(|version| is_version(version))?.to_owned(),
            bearer,
            redaction: Redaction::of(access_token),
        })
    }

    /// `route` under the base URL and the version.
    pub fn url(&self, route: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        // An http URL always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&self.version).extend(route);
        }
        url
    }

    pub fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }
}

/// What proves Meta's reports, and who sets them up.
pub struct MetaSecrets {
    pub app_secret: String,
    pub verify_token: String,
}

impl MetaSecrets {
    /// None when what is stored cannot be read.
    pub fn read(credentials: &Credentials) -> Option<Self> {
        let stored: Value = serde_json::from_str(credentials.expose()).ok()?;
        let text = |name| stored.get(name).and_then(Value::as_str);
        // An empty secret proves nothing.
        Some(Self {
            app_secret: text("appSecret").filter(|secret| is_token(secret))?.to_owned(),
            verify_token: text("verifyToken").filter(|token| is_verify_token(token))?.to_owned(),
        })
    }
}

fn is_token(text: &str) -> bool {
    is_header_text(text) && text.len() <= LONGEST_TOKEN
}

/// Whatever its owner chose: it travels in a query.
fn is_verify_token(text: &str) -> bool {
    (1..=LONGEST_VERIFY_TOKEN).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// `vN.N`.
fn is_version(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    text.len() <= LONGEST_VERSION && numbers.is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}
