//! What a message says, as requests give it.

use deserr::Deserr;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::groups::send_to_group::SendToGroupCommand;
use crate::domain::Timestamp;
use crate::domain::message::{Content, Media, MediaType, MediaUrl, Priority};
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::compact_json::compact;
use crate::presentation::http::wire::fields::{self, Problems, TriesField};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::problem::Problem;

/// What to send to a group. `message` may be absent when there is a `payload` or a `template`.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({"message": "Olá!"}))]
pub struct ContentRequest {
    #[deserr(default)]
    message: Option<String>,
    /// An absolute http or https URL.
    #[deserr(default)]
    media_url: Option<MediaUrlField>,
    /// How the medium is shown; guessed from the URL's extension when absent, else `document`.
    #[deserr(default)]
    media_type: Option<MediaTypeField>,
    /// Any JSON; a webhook gets it as its body.
    #[schema(value_type = Option<Value>)]
    #[deserr(default)]
    payload: Option<Value>,
    /// Of `whatsapp_oficial` alone: a template of Meta's with what fills it.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    template: Option<ObjectField>,
    #[deserr(default)]
    max_retries: Option<TriesField>,
    #[deserr(default)]
    priority: Option<PriorityField>,
    /// Not before: at most a year ahead, to the millisecond. A moment that is past means now.
    #[deserr(default)]
    send_at: Option<Moment>,
}

/// # Errors
/// All that is wrong with it.
pub(in crate::presentation::http) fn read_content(body: JsonBody) -> Result<SendToGroupCommand, Problem> {
    let problems = body.value.as_object().map(missing).unwrap_or_default();
    let has_json = has_json(&body.value);
    let request = match fields::read::<ContentRequest>(body.value) {
        Ok(request) if problems.is_empty() => request,
        read => {
            let more = read.err().unwrap_or_default();
            return Err(Problem::invalid_field(problems.into_iter().chain(more.0)));
        }
    };
    let written = if has_json { written(&body.bytes)? } else { Written::default() };
    Ok(SendToGroupCommand {
        group: None,
        instance: None,
        content: Content {
            text: request.message,
            media: media(request.media_url, request.media_type),
            payload: request.payload.and(written.payload).map(|raw| compact(raw.get())),
            template: request.template.and(written.template).map(|raw| compact(raw.get())),
            record: None,
        },
        max_tries: request.max_retries.map(|tries| tries.0),
        priority: request.priority.map(|priority| priority.0),
        send_at: request.send_at.and_then(milliseconds),
        request: None,
    })
}

/// Whether something is to be passed on as its client wrote it.
pub fn has_json(value: &Value) -> bool {
    value.get("payload").or(value.get("template")).is_some()
}

/// As precise as rows are.
pub fn milliseconds(at: Moment) -> Option<Timestamp> {
    Timestamp::from_timestamp_millis(at.0.timestamp_millis())
}

pub fn media(url: Option<MediaUrlField>, media_type: Option<MediaTypeField>) -> Option<Media> {
    url.map(|url| Media { media_type: media_type.map_or_else(|| url.guess_type(), MediaType::from), url: url.0 })
}

/// How urgent it is: 0 to 9, 9 the most. Shown with the message; without effect yet.
#[derive(Debug, Clone, Copy, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(u64) = PriorityField::parse -> fields::Detail)]
#[schema(value_type = u8, minimum = 0, maximum = 9)]
pub struct PriorityField(pub Priority);

impl PriorityField {
    fn parse(number: u64) -> Result<Self, fields::Detail> {
        let priority = i64::try_from(number).ok().and_then(|number| Priority::try_from(number).ok());
        priority.map(Self).ok_or_else(|| fields::Detail(format!("must be from 0 to {}", Priority::HIGHEST)))
    }
}

/// An absolute http or https URL of at most 2,048 bytes.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = MediaUrlField::parse -> fields::Detail)]
#[schema(as = MediaUrl, value_type = String, format = "uri", max_length = 2048)]
pub struct MediaUrlField(pub MediaUrl);

impl MediaUrlField {
    fn parse(text: String) -> Result<Self, fields::Detail> {
        MediaUrl::parse(text).map(Self).map_err(|error| fields::Detail(error.to_string()))
    }

    /// What the extension says it is.
    fn guess_type(&self) -> MediaType {
        let path = url::Url::parse(self.0.as_str()).map(|url| url.path().to_owned()).unwrap_or_default();
        match mime_guess::from_path(path).first_or_octet_stream().type_() {
            mime::IMAGE => MediaType::Image,
            mime::AUDIO => MediaType::Audio,
            mime::VIDEO => MediaType::Video,
            _ => MediaType::Document,
        }
    }
}

/// A JSON object; what it holds is taken from what the client wrote.
#[derive(Debug, Deserr)]
#[deserr(error = Problems, try_from(Value) = ObjectField::parse -> fields::Detail)]
pub struct ObjectField;

impl ObjectField {
    fn parse(value: Value) -> Result<Self, fields::Detail> {
        if value.is_object() { Ok(Self) } else { Err("must be an object".into()) }
    }
}

#[derive(Debug, Clone, Copy, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum MediaTypeField {
    Image,
    Audio,
    Document,
    Video,
}

impl From<MediaTypeField> for MediaType {
    fn from(field: MediaTypeField) -> Self {
        match field {
            MediaTypeField::Image => MediaType::Image,
            MediaTypeField::Audio => MediaType::Audio,
            MediaTypeField::Document => MediaType::Document,
            MediaTypeField::Video => MediaType::Video,
        }
    }
}

/// What is passed on as its client wrote it.
#[derive(Default, Deserialize)]
pub struct Written<'a> {
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub template: Option<&'a RawValue>,
}

/// # Errors
/// When it is not JSON.
pub fn written(body: &[u8]) -> Result<Written<'_>, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::malformed_json(format!("The body is not well-formed JSON: {error}.")))
}

/// What members need of each other; listed together with what is wrong with each of them.
pub fn missing(members: &Map<String, Value>) -> Vec<FieldProblem> {
    let given = |name: &str| members.get(name).filter(|member| !member.is_null());
    let other = given("payload").or(given("template"));
    let mut problems = Vec::new();
    match given("message") {
        None if other.is_none() => problems.push(FieldProblem::new("/message", "is required")),
        Some(Value::String(text)) if text.is_empty() && other.or(given("mediaUrl")).is_none() => {
            problems.push(FieldProblem::new("/message", "must not be empty"));
        }
        _ => {}
    }
    if given("mediaType").is_some() && given("mediaUrl").is_none() {
        problems.push(FieldProblem::new("/mediaUrl", "is required with mediaType"));
    }
    problems
}
