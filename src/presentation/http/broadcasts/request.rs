//! The body of a request to send to many.

use std::collections::BTreeMap;

use deserr::Deserr;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::broadcasts::send_broadcast::{SendBroadcastCommand, To};
use crate::application::ports::Channels;
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::broadcast::template::is_name;
use crate::domain::broadcast::{BroadcastDraft, MOST_RECIPIENTS};
use crate::domain::group::GroupId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::Content;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::messages::content_request::{
    MediaTypeField, MediaUrlField, ObjectField, Written, has_json, media, milliseconds, missing, written,
};
use crate::presentation::http::wire::body::LargeBody;
use crate::presentation::http::wire::compact_json::compact;
use crate::presentation::http::wire::fields::{
    self, Name, Problems, RateField, RecipientField, TriesField, unknown_channel,
};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::id_of;

/// A member that is named already, and without effect yet. As null it means nothing and is taken.
const NOT_YET: &str = "priority";

/// One content for many recipients. `message` may be absent when there is a `payload` or a `template`.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({
    "channel": "sandbox", "channelInstanceId": "sandbox", "recipients": ["5585999999999", "5585888888888"],
    "message": "Olá, {{nome}}!",
    "variables": {"5585999999999": {"nome": "Ana"}, "5585888888888": {"nome": "Bia"}}
}))]
pub struct BroadcastRequest {
    /// The channel's name.
    channel: Name,
    /// The client's name of the instance.
    channel_instance_id: Name,
    /// Up to 100,000; one that is listed more than once gets one message. Required, unless there is a `groupId`.
    #[schema(max_items = 100_000)]
    #[deserr(default)]
    recipients: Option<Vec<RecipientField>>,
    /// A group of the instance, in their place.
    #[deserr(default)]
    group_id: Option<String>,
    /// `{{name}}` is filled from the recipient's variables; a recipient that has none of that name fails before anything is sent
    /// to it.
    #[deserr(default)]
    message: Option<String>,
    /// An absolute http or https URL.
    #[deserr(default)]
    media_url: Option<MediaUrlField>,
    /// How the medium is shown; guessed from the URL's extension when absent, else `document`.
    #[deserr(default)]
    media_type: Option<MediaTypeField>,
    /// Any JSON; a webhook gets it as its body. Its texts are filled, too.
    #[schema(value_type = Option<Value>)]
    #[deserr(default)]
    payload: Option<Value>,
    /// Of `whatsapp_oficial` alone: a template of Meta's with what fills it. Its texts are filled, too.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    template: Option<ObjectField>,
    /// By recipient, as it is listed: an object of texts, numbers and booleans.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    variables: Option<Value>,
    #[deserr(default)]
    max_retries: Option<TriesField>,
    /// Not before: at most a year ahead, to the millisecond. A moment that is past means now.
    #[deserr(default)]
    send_at: Option<Moment>,
    /// Messages a minute, one after the other; null: as fast as the instance takes them, or as its own rate allows.
    #[deserr(default)]
    rate_per_minute: Option<RateField>,
}

/// # Errors
/// All that is wrong with it.
pub fn read(body: LargeBody, channels: &Channels) -> Result<SendBroadcastCommand, Problem> {
    let mut value = body.json()?;
    let mut problems = Vec::new();
    let has_json = has_json(&value);
    if let Value::Object(members) = &mut value {
        if members.remove(NOT_YET).is_some_and(|member| !member.is_null()) {
            problems.push(FieldProblem::new(format!("/{NOT_YET}"), "is not supported yet"));
        }
        problems.extend(to_nobody_or_both(members));
        problems.extend(missing(members));
        problems.extend(unknown_channel(members.get("channel"), channels));
    }
    let request = fields::read::<BroadcastRequest>(value).map_err(|more| {
        let all = std::mem::take(&mut problems).into_iter().chain(more.0);
        Problem::invalid_field(all)
    })?;
    let mut variables = match request.variables.map_or_else(|| Ok(BTreeMap::new()), read_variables) {
        Ok(variables) => variables,
        Err(more) => return Err(Problem::invalid_field(problems.into_iter().chain(more))),
    };
    let to = match request.recipients {
        Some(recipients) => To::Listed(with_variables(recipients, &mut variables)),
        None => To::Group(request.group_id.as_deref().and_then(id_of).map(GroupId)),
    };
    if let (To::Listed(_), Some(stranger)) = (&to, variables.keys().next()) {
        let path = format!("/variables/{}", stranger.replace('~', "~0").replace('/', "~1"));
        problems.push(FieldProblem::new(path, "is of no recipient that is listed"));
    }
    if !problems.is_empty() {
        return Err(Problem::invalid_field(problems));
    }
    let written = if has_json { written(&body.bytes)? } else { Written::default() };
    let content = Content {
        text: request.message,
        media: media(request.media_url, request.media_type),
        payload: request.payload.and(written.payload).map(|raw| compact(raw.get())),
        template: request.template.and(written.template).map(|raw| compact(raw.get())),
        record: None,
    };
    Ok(SendBroadcastCommand {
        instance: Some((ChannelName::new(request.channel.into_string()), request.channel_instance_id.0)),
        to,
        draft: BroadcastDraft {
            group: None,
            content,
            is_template: true,
            max_tries: request.max_retries.map(|tries| tries.0),
            priority: None,
            rate_per_minute: request.rate_per_minute.map(|rate| rate.0),
            send_at: request.send_at.and_then(milliseconds),
        },
        request: None,
    })
}

/// Takes those of each recipient out of `variables`.
fn with_variables(recipients: Vec<RecipientField>, variables: &mut Variables) -> Vec<BroadcastRecipient> {
    let addresses = recipients.into_iter().map(|recipient| recipient.0.into_string());
    let with = |address: String| {
        let variables = variables.remove(&address).unwrap_or_default();
        BroadcastRecipient { address, variables }
    };
    addresses.map(with).collect()
}

fn to_nobody_or_both(members: &Map<String, Value>) -> Option<FieldProblem> {
    let given = |name: &str| members.get(name).filter(|member| !member.is_null());
    match (given("recipients"), given("groupId")) {
        (None, None) => Some(FieldProblem::new("/recipients", "is required")),
        (Some(_), Some(_)) => Some(FieldProblem::new("/groupId", "cannot be given together with recipients")),
        (Some(Value::Array(items)), None) if items.is_empty() => {
            Some(FieldProblem::new("/recipients", "must not be empty"))
        }
        (Some(Value::Array(items)), None) if items.len() > MOST_RECIPIENTS => {
            Some(FieldProblem::new("/recipients", format!("must be at most {MOST_RECIPIENTS}")))
        }
        (None, Some(_)) if given("variables").is_some() => {
            Some(FieldProblem::new("/variables", "cannot be given together with groupId: {{name}} is a member's name"))
        }
        _ => None,
    }
}

type Variables = BTreeMap<String, BTreeMap<String, String>>;

fn read_variables(value: Value) -> Result<Variables, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let mut variables = Variables::new();
    let Value::Object(recipients) = value else {
        return Err(vec![FieldProblem::new("/variables", "must be an object of objects")]);
    };
    for (recipient, given) in recipients {
        let path = format!("/variables/{}", recipient.replace('~', "~0").replace('/', "~1"));
        let Value::Object(given) = given else {
            problems.push(FieldProblem::new(path, "must be an object"));
            continue;
        };
        let mut of_one = BTreeMap::new();
        for (name, value) in given {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(is) => is.to_string(),
                _ => {
                    problems.push(FieldProblem::new(format!("{path}/{name}"), "must be a text, a number or a boolean"));
                    continue;
                }
            };
            if !is_name(&name) {
                let detail = "must have a name of 1 to 64 letters, digits, `_`, `-` and `.`";
                problems.push(FieldProblem::new(format!("{path}/{name}"), detail));
            }
            of_one.insert(name, text);
        }
        variables.insert(recipient, of_one);
        if problems.len() > 100 {
            break;
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(problems) }
}
