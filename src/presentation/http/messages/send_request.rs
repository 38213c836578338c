//! The body of a request to send.

use deserr::Deserr;
use serde_json::Value;
use utoipa::ToSchema;

use super::content_request::{
    MediaTypeField, MediaUrlField, ObjectField, PriorityField, Written, has_json, media, milliseconds, missing, written,
};
use crate::application::groups::send_to_group::SendToGroupCommand;
use crate::application::messages::send_message::SendMessageCommand;
use crate::application::ports::Channels;
use crate::domain::group::GroupId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Content, Draft};
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::compact_json::compact;
use crate::presentation::http::wire::fields::{self, Name, Problems, RecipientField, TriesField, unknown_channel};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::id_of;

/// What a request to send asks for.
pub enum AskedSend {
    /// One message.
    One(SendMessageCommand),
    /// To whom a group says.
    Group(SendToGroupCommand),
}

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
    /// The recipient. Required, unless there is a `groupId`.
    #[deserr(default)]
    remote_jid: Option<RecipientField>,
    /// A group of the instance, in the place of a recipient.
    #[deserr(default)]
    group_id: Option<String>,
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

/// # Errors
/// All that is wrong with it.
pub(in crate::presentation::http) fn read(body: JsonBody, channels: &Channels) -> Result<AskedSend, Problem> {
    let mut problems = Vec::new();
    let has_json = has_json(&body.value);
    if let Value::Object(members) = &body.value {
        let given = |name: &str| members.get(name).is_some_and(|member| !member.is_null());
        match (given("remoteJid"), given("groupId")) {
            (false, false) => problems.push(FieldProblem::new("/remoteJid", "is required")),
            (true, true) => problems.push(FieldProblem::new("/groupId", "cannot be given together with remoteJid")),
            _ => {}
        }
        problems.extend(missing(members));
        problems.extend(unknown_channel(members.get("channel"), channels));
    }
    let request = fields::read::<SendRequest>(body.value).map_err(|more| {
        let all = std::mem::take(&mut problems).into_iter().chain(more.0);
        Problem::invalid_field(all)
    })?;
    let written = if has_json { written(&body.bytes)? } else { Written::default() };
    if !problems.is_empty() {
        return Err(Problem::invalid_field(problems));
    }
    let channel = ChannelName::new(request.channel.into_string());
    let channel_instance_id = request.channel_instance_id.0;
    let content = Content {
        text: request.message,
        media: media(request.media_url, request.media_type),
        payload: request.payload.and(written.payload).map(|raw| compact(raw.get())),
        template: request.template.and(written.template).map(|raw| compact(raw.get())),
        record: None,
    };
    let max_tries = request.max_retries.map(|tries| tries.0);
    let priority = request.priority.map(|priority| priority.0);
    let send_at = request.send_at.and_then(milliseconds);
    Ok(match request.remote_jid {
        Some(recipient) => {
            let draft = Draft { max_tries, priority, send_at, ..Draft::new(recipient.0, content) };
            AskedSend::One(SendMessageCommand { channel, channel_instance_id, draft, request: None })
        }
        None => AskedSend::Group(SendToGroupCommand {
            group: request.group_id.as_deref().and_then(id_of).map(GroupId),
            instance: Some((channel, channel_instance_id)),
            content,
            max_tries,
            priority,
            send_at,
            request: None,
        }),
    })
}
