//! The body of a request to send.

use deserr::Deserr;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::messages::send_message::SendMessageCommand;
use crate::application::ports::Channels;
use crate::domain::Timestamp;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Content, Draft, Media, MediaType, MediaUrl, Priority};
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::compact_json::compact;
use crate::presentation::http::wire::fields::{self, Name, Problems, RecipientField, TriesField, unknown_channel};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::problem::Problem;

/// Members that the contract names and that cannot be used yet. As null they mean nothing and are taken.
const NOT_YET: [&str; 1] = ["groupId"];

/// A message to send. `message` may be absent when there is a `payload` or a `template`.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({
    "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "5585999999999", "message": "Olá!"
}))]
pub struct SendRequest {
    /// The channel's name.
    channel: Name,
    /// The client's name of the instance.
    channel_instance_id: Name,
    /// The recipient.
    remote_jid: RecipientField,
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
    /// Of `whatsapp_oficial` alone: a template of Meta's with what fills it (`name`, `language`, `components`), passed on as it
    /// is. A `message` beside it is kept and shown, and not sent.
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

/// How urgent it is: 0 to 9, 9 the most. Shown with the message; without effect yet.
#[derive(Debug, Clone, Copy, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(u64) = PriorityField::parse -> fields::Detail)]
#[schema(value_type = u8, minimum = 0, maximum = 9)]
pub struct PriorityField(Priority);

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
pub struct MediaUrlField(MediaUrl);

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
struct Written<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    template: Option<&'a RawValue>,
}

pub(in crate::presentation::http) fn read(body: JsonBody, channels: &Channels) -> Result<SendMessageCommand, Problem> {
    let mut value = body.value;
    let mut problems = Vec::new();
    let has_json = value.get("payload").or(value.get("template")).is_some();
    if let Value::Object(members) = &mut value {
        for name in NOT_YET {
            if members.remove(name).is_some_and(|member| !member.is_null()) {
                problems.push(FieldProblem::new(format!("/{name}"), "is not supported yet"));
            }
        }
        problems.extend(missing(members));
        problems.extend(unknown_channel(members.get("channel"), channels));
    }
    let request = fields::read::<SendRequest>(value).map_err(|more| {
        let all = std::mem::take(&mut problems).into_iter().chain(more.0);
        Problem::invalid_field(all)
    })?;
    let written = if has_json { written(&body.bytes)? } else { Written::default() };
    let payload = request.payload.and(written.payload).map(|raw| compact(raw.get()));
    let template = request.template.and(written.template).map(|raw| compact(raw.get()));
    if !problems.is_empty() {
        return Err(Problem::invalid_field(problems));
    }
    let media = request.media_url.map(|url| Media {
        media_type: request.media_type.map_or_else(|| url.guess_type(), MediaType::from),
        url: url.0,
    });
    Ok(SendMessageCommand {
        channel: ChannelName::new(request.channel.into_string()),
        channel_instance_id: request.channel_instance_id.0,
        draft: Draft {
            recipient: request.remote_jid.0,
            content: Content { text: request.message, media, payload, template, record: None },
            max_tries: request.max_retries.map(|tries| tries.0),
            priority: request.priority.map(|priority| priority.0),
            send_at: request.send_at.and_then(|at| Timestamp::from_timestamp_millis(at.0.timestamp_millis())),
        },
        request: None,
    })
}

fn written(body: &[u8]) -> Result<Written<'_>, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::malformed_json(format!("The body is not well-formed JSON: {error}.")))
}

/// What members need of each other; listed together with what is wrong with each of them.
fn missing(members: &Map<String, Value>) -> Vec<FieldProblem> {
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
