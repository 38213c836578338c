//! What an answer of Evolution means.

use reqwest::StatusCode;
use serde_json::Value;

use super::request::{PEER, RequestKind};
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::text::storable;
use crate::infrastructure::channels::http::http_answer::{HttpAnswer, may_have_been_taken, may_work_later};
use crate::infrastructure::channels::http::redaction::Redaction;

const LONGEST_ID: usize = 255;

/// Meta's codes. Undeliverable, outside the 24 hours in which free text is allowed, unsupported type, invalid parameter.
const META_REFUSALS: [i64; 4] = [131_026, 131_047, 131_051, 100];
/// Token expired, permission missing.
const META_MISCONFIGURATIONS: [i64; 3] = [190, 10, 200];

#[derive(Debug)]
pub enum Verdict {
    Clear(Result<Acceptance, DeliveryError>),
    /// Refused if the instance is connected, else transient.
    DependsOnConnection(String),
}

/// What the answer to a message means.
pub fn judge(answer: &HttpAnswer, kind: RequestKind, redaction: &Redaction) -> Verdict {
    let status = answer.status.as_u16();
    let answered = AnswerText::read(answer);
    let reason = match redaction.snippet(&answered.said) {
        said if said.is_empty() => format!("HTTP {status} from {PEER}"),
        said => format!("HTTP {status} from {PEER}: {said}"),
    };
    if let Some(id) = answered.key_id().filter(|_| answer.status.is_success()) {
        return Verdict::Clear(Ok(Acceptance { channel_message_id: Some(id), http_status: Some(status) }));
    }
    if !answer.complete {
        // What is missing might have said that it was taken.
        return Verdict::Clear(Err(DeliveryError::unknown(format!(
            "HTTP {status} from {PEER}, whose answer was cut off"
        ))));
    }
    if answer.status == StatusCode::BAD_REQUEST && answered.texts.iter().any(|text| text == "[object Object]") {
        return Verdict::DependsOnConnection(reason);
    }
    Verdict::Clear(Err(failure(answer, kind, &answered, reason)))
}

fn failure(answer: &HttpAnswer, kind: RequestKind, answered: &AnswerText, reason: String) -> DeliveryError {
    match answer.status.as_u16() {
        200..300 => answered.meta_failure(reason),
        _ if may_have_been_taken(answer.status) && !answered.is_evolutions() => DeliveryError::unknown(reason),
        // Another address: the credentials name the wrong one, and an API key is not sent to just any server.
        300..400 | 401 => DeliveryError::misconfigured(reason),
        // Something before it keeps us out. Of a voice message it may be the medium that is kept from it.
        403 if kind != RequestKind::Audio => DeliveryError::misconfigured(reason),
        // A voice message's dead URL passes its own status on.
        404 if kind == RequestKind::Audio && answered.error() != Some("Not Found") => DeliveryError::refused(reason),
        404 => DeliveryError::misconfigured(reason),
        // The database's write follows the send.
        400 if answered.any_text(|text| text.starts_with("Prisma")) => DeliveryError::unknown(reason),
        _ => match answered.medium_status() {
            Some(medium) if may_work_later(medium) => DeliveryError::transient(reason),
            Some(_) => DeliveryError::refused(reason),
            None if answered.not_on_whatsapp => DeliveryError::refused(reason),
            None if answer.status == StatusCode::BAD_REQUEST && answered.any_text(is_passing) => {
                DeliveryError::transient(reason)
            }
            None if may_work_later(answer.status) => DeliveryError::transient(reason),
            None => DeliveryError::refused(reason),
        },
    }
}

/// Of a 400: what went wrong on the way to WhatsApp, not with the request.
fn is_passing(text: &str) -> bool {
    text.starts_with("Error:")
        || text.starts_with("AxiosError")
        || text.contains("Connection Closed")
        || text.contains("rate-overlimit")
}

/// Whether `connectionState` answered that the instance is connected.
pub fn says_open(answer: &HttpAnswer) -> bool {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let state = body.as_ref().and_then(|body| body.pointer("/instance/state"));
    answer.status.is_success() && state.and_then(Value::as_str) == Some("open")
}

/// What Evolution said, in any of its shapes: `response.message` is a text, a list, a list of lists, or a list of objects.
struct AnswerText {
    body: Value,
    /// Every text in `response.message`.
    texts: Vec<String>,
    not_on_whatsapp: bool,
    /// For people.
    said: String,
}

impl AnswerText {
    fn read(answer: &HttpAnswer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = body.pointer("/response/message").or_else(|| body.get("message")).unwrap_or(&Value::Null);
        let mut texts = Vec::new();
        let mut not_on_whatsapp = false;
        // The parser refuses deep nesting, and so bounds this walk.
        let mut rest = vec![message];
        while let Some(value) = rest.pop() {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Array(items) => rest.extend(items.iter().rev()),
                Value::Object(members) => {
                    not_on_whatsapp |= members.get("exists") == Some(&Value::Bool(false));
                }
                _ => {}
            }
        }
        let said = match (not_on_whatsapp, texts.is_empty()) {
            (true, _) => "the recipient is not on WhatsApp".to_owned(),
            (_, false) => texts.join("; "),
            _ => answer.text(),
        };
        Self { body, texts, not_on_whatsapp, said }
    }

    fn any_text(&self, is: impl Fn(&str) -> bool) -> bool {
        self.texts.iter().any(|text| is(text))
    }

    /// Whether it has the form in which Evolution itself writes errors; what stands before it may answer in JSON, too.
    fn is_evolutions(&self) -> bool {
        self.body.get("status").is_some_and(Value::is_u64) && self.body.get("response").is_some()
    }

    fn error(&self) -> Option<&str> {
        self.body.get("error")?.as_str()
    }

    fn key_id(&self) -> Option<String> {
        let id = match self.body.pointer("/key/id")? {
            Value::String(id) => storable(id, LONGEST_ID),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        (!id.trim().is_empty()).then_some(id)
    }

    /// The status with which the medium's own server answered Evolution.
    fn medium_status(&self) -> Option<StatusCode> {
        let text = self.texts.iter().find(|text| text.contains("AxiosError"))?;
        let (_, after) = text.split_once("status code ")?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        StatusCode::from_u16(digits.parse().ok()?).ok()
    }

    /// A 201 that holds no message: of a business account, Meta's error is passed on like a success.
    fn meta_failure(&self, reason: String) -> DeliveryError {
        let code = self.body.get("code").and_then(|code| match code {
            Value::String(code) => code.parse().ok(),
            code => code.as_i64(),
        });
        match code {
            Some(code) if META_REFUSALS.contains(&code) => DeliveryError::refused(reason),
            Some(code) if META_MISCONFIGURATIONS.contains(&code) => DeliveryError::misconfigured(reason),
            // Its rate limits (4, 80007, 130429, 131048, 131056), and whatever else it is: no id means that it was not taken.
            _ => DeliveryError::transient(reason),
        }
    }
}
