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

const MEMBERS: [&str; 6] = ["baseUrl", "apiUrl", "url", "apiKey", "apiToken", "instanceName"];
const LONGEST_INSTANCE_NAME: usize = 255;

/// Where the Evolution API is, and what opens it.
pub struct EvolutionCredentials {
    base_url: Url,
    instance_name: String,
    api_key_header: HeaderValue,
    redaction: Redaction,
}

/// Checks credentials as a client gave them; they are stored under their own names. `apiUrl` and `url` stand for `baseUrl`,
/// and `apiToken` for `apiKey`: so existing clients call them.
pub fn check(given: Option<&Value>, guard: &AddressGuard) -> Result<NewCredentials, Vec<FieldProblem>> {
    let mut object = CredentialsObject::read(given, &MEMBERS);
    let (base_url_name, base_url) = object.required_text_of(&["baseUrl", "apiUrl", "url"]);
    if let Some(Err(problem)) = base_url.map(|text| parse_base_url(text).and_then(|url| guard.check(&url))) {
        object.problem(base_url_name, problem);
    }
    let (api_key_name, api_key) = object.required_text_of(&["apiKey", "apiToken"]);
    if api_key.is_some_and(|api_key| !is_header_text(api_key)) {
        object.problem(api_key_name, "must be visible ASCII without spaces");
    }
    let instance_name = object.optional_text("instanceName");
    if instance_name.is_some_and(|name| !is_instance_name(name)) {
        object.problem("instanceName", "must have 1 to 255 characters, and none of them a control character");
    }
    object.finish()?;

    let given = [("baseUrl", base_url), ("apiKey", api_key), ("instanceName", instance_name)];
    let stored: Map<_, _> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect();
    Ok(NewCredentials { credentials: Credentials::new(Value::Object(stored).to_string()), reveal: None })
}

impl EvolutionCredentials {
    /// # Errors
    /// When nothing can be sent with what is stored.
    pub fn stored(credentials: &Credentials, channel_instance_id: &str) -> Result<Self, DeliveryError> {
        Self::read(credentials, channel_instance_id)
            .ok_or_else(|| DeliveryError::misconfigured("The instance's stored credentials cannot be used"))
    }

    fn read(credentials: &Credentials, channel_instance_id: &str) -> Option<Self> {
        let stored: Value = serde_json::from_str(credentials.expose()).ok()?;
        let text = |name| stored.get(name).and_then(Value::as_str);
        let base_url = parse_base_url(text("baseUrl")?).ok()?;
        let api_key = text("apiKey").filter(|api_key| is_header_text(api_key))?;
        let instance_name = text("instanceName").unwrap_or(channel_instance_id);
        if !is_instance_name(instance_name) {
            return None;
        }
        let mut api_key_header = HeaderValue::from_str(api_key).ok()?;
        api_key_header.set_sensitive(true);
        let redaction = Redaction::of(api_key);
        Some(Self { base_url, instance_name: instance_name.to_owned(), api_key_header, redaction })
    }

    /// `route` under the base URL, with the instance as its last segment.
    pub fn url(&self, route: &[&str]) -> Url {
        let mut url = self.url_of(route);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(&self.instance_name);
        }
        url
    }

    /// `route` under the base URL.
    pub fn url_of(&self, route: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        // An http URL always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(route);
        }
        url
    }

    pub fn instance_name(&self) -> &str {
        &self.instance_name
    }

    pub fn api_key_header(&self) -> &HeaderValue {
        &self.api_key_header
    }

    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }
}

/// `.` and `..` cannot be a segment of a URL's path, however they are encoded.
fn is_instance_name(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_INSTANCE_NAME).contains(&length) && !text.contains(char::is_control) && text != "." && text != ".."
}
