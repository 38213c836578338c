//! What an answer of Evolution means.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::request::{PEER, RequestKind};
use crate::domain::message::delivery::{Acceptance, DeliveryError, OffCause};
use crate::domain::text::storable;
use crate::infrastructure::channels::http::http_answer::{HttpAnswer, may_have_been_taken, may_work_later};
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::channels::http::report_members::LONGEST_ID;
use crate::infrastructure::channels::whatsapp_errors::{Consequence, code_of, consequence, number};

/// A socket that was lost is open again in a moment, mostly.
const RECONNECTING: Duration = Duration::from_secs(2);
/// A person has to do something.
const FOR_A_PERSON: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub enum Verdict {
    Clear(Result<Acceptance, DeliveryError>),
    /// A group that is unknown, not ours, or not answered for: Evolution says the same of all.
    DependsOnGroup(String),
}

/// What the answer to a message means.
///
/// Seen of 2.3.6 and read of 2.3.7, 2.4.0 and 1.8.6: the tables of `docs/channels/whatsapp-evolution.md`.
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
    if answer.status == StatusCode::BAD_REQUEST && answered.any_text(|text| text == "[object Object]") {
        return Verdict::DependsOnGroup(reason);
    }
    Verdict::Clear(Err(failure(answer, kind, &answered, reason)))
}

fn failure(answer: &HttpAnswer, kind: RequestKind, answered: &AnswerText, reason: String) -> DeliveryError {
    let is_of_medium = kind == RequestKind::Audio;
    match answer.status.as_u16() {
        200..300 => answered.without_id(reason),
        503 if answered.text("code") == Some("LICENSE_REQUIRED") => {
            DeliveryError::instance_off(answered.licence_reason(), FOR_A_PERSON)
        }
        _ if !answered.is_evolutions() && answered.is_of_something_before(answer.status) => {
            DeliveryError::unknown(reason)
        }
        // Another address: the credentials name the wrong one, and an API key is not sent to just any server.
        300..=399 => DeliveryError::misconfigured(reason),
        // A voice message's medium passes its own status on.
        401 if is_of_medium && answered.text("error") != Some("Unauthorized") => DeliveryError::refused(reason),
        // Also of a good key, while Evolution's own database is away.
        401 => DeliveryError::instance_off(reason, FOR_A_PERSON),
        // Something before it keeps us out. Of a voice message it may be the medium that is kept from it.
        403 if !is_of_medium => DeliveryError::misconfigured(reason),
        404 if is_of_medium && answered.text("error") != Some("Not Found") => DeliveryError::refused(reason),
        404 => DeliveryError::instance_off(reason, FOR_A_PERSON),
        _ => match answered.medium_status() {
            Some(medium) if may_work_later(medium) => DeliveryError::transient(reason),
            Some(_) => DeliveryError::refused(reason),
            None if answered.not_on_whatsapp => DeliveryError::refused(reason),
            None => match answered.texts.iter().find_map(|text| of_text(answer.status, text)) {
                Some(meaning) => meaning.error(reason),
                None if may_work_later(answer.status) => DeliveryError::transient(reason),
                None => DeliveryError::refused(reason),
            },
        },
    }
}

/// What a text says went wrong.
#[derive(Clone, Copy)]
enum Meaning {
    Reconnecting,
    NeverConnected,
    NeedsExtension,
    Passing,
    Refusal,
    Unknown,
}

impl Meaning {
    fn error(self, reason: String) -> DeliveryError {
        match self {
            Meaning::Reconnecting => DeliveryError::instance_disconnected(reason, RECONNECTING, OffCause::Disconnected),
            Meaning::NeverConnected => DeliveryError::instance_disconnected(
                format!("The instance is not connected to WhatsApp: its QR code is to be scanned ({reason})"),
                FOR_A_PERSON,
                OffCause::NeverConnected,
            ),
            Meaning::NeedsExtension => {
                DeliveryError::refused(format!("This integration needs a URL that ends in a file extension ({reason})"))
            }
            Meaning::Passing => DeliveryError::transient(reason),
            Meaning::Refusal => DeliveryError::refused(reason),
            Meaning::Unknown => DeliveryError::unknown(reason),
        }
    }
}

/// What is read of a socket that is not there yet.
const NO_SOCKET: [&str; 6] =
    ["'id'", "'sendMessage'", "'onWhatsApp'", "'textMessage'", "'waUploadToServer'", "'groupMetadata'"];
/// A conversion that failed, or a medium that is none.
const UNFIT_MEDIUM: [&str; 3] = ["File or buffer is undefined", "unsupported image format", "ffmpeg exited"];
/// The database's write follows the send.
const AFTER_THE_SEND: [&str; 3] = ["Prisma", "DriverAdapterError", "TypeError"];

/// Of a 400 or a 500; none where the status says all.
fn of_text(status: StatusCode, text: &str) -> Option<Meaning> {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let is_bad_request = status == StatusCode::BAD_REQUEST;
    if !is_bad_request && status != StatusCode::INTERNAL_SERVER_ERROR {
        return None;
    }
    if has(&["Connection Closed"]) {
        return Some(Meaning::Reconnecting);
    }
    if has(&["(reading "]) && has(&NO_SOCKET) {
        return Some(Meaning::NeverConnected);
    }
    if has(&["startsWith is not a function"]) {
        return Some(Meaning::NeedsExtension);
    }
    if has(&UNFIT_MEDIUM) || has(&["JID decoded but"]) {
        return Some(Meaning::Refusal);
    }
    if !is_bad_request {
        // Timed out, away, limited: of a 500 it is the check of the number, before the send.
        return None;
    }
    if has(&["Timed Out"]) || AFTER_THE_SEND.iter().any(|start| text.trim_start().starts_with(start)) {
        return Some(Meaning::Unknown);
    }
    let is_passing = text.starts_with("Error:") || text.starts_with("AxiosError") || has(&["rate-overlimit"]);
    is_passing.then_some(Meaning::Passing)
}

/// What `findGroupInfos` answered of a group to which a message was not sent, or none in time.
pub fn group_verdict(answer: Option<&HttpAnswer>, reason: String) -> DeliveryError {
    let Some(answer) = answer else { return DeliveryError::transient(reason) };
    let answered = AnswerText::read(answer);
    let says = |text: &str| answered.any_text(|said| said.contains(text));
    if says("item-not-found") || says("forbidden") {
        return DeliveryError::refused(format!("The group does not exist, or the sender is not in it ({reason})"));
    }
    match answered.texts.iter().find_map(|text| of_text(StatusCode::BAD_REQUEST, text)) {
        Some(meaning @ (Meaning::Reconnecting | Meaning::NeverConnected)) => meaning.error(reason),
        _ => DeliveryError::transient(reason),
    }
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
        // One odd byte, or a mark of the byte order, must not hide that it was taken.
        let text = answer.text();
        let body: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
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
            (_, false) => texts.iter().map(|text| without_places(text)).collect::<Vec<_>>().join("; "),
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

    fn text(&self, member: &str) -> Option<&str> {
        self.body.get(member)?.as_str()
    }

    fn licence_reason(&self) -> String {
        let place = self.text("register_url").map(|url| storable(url, LONGEST_ID));
        let place = place.map_or_else(String::new, |url| format!(": {url}"));
        format!("Evolution API's licence is not activated{place}")
    }

    /// Whether something that stands before Evolution says that it got no answer, or lost it: Evolution may have taken the
    /// message. Evolution's own 500 and 503 have its form.
    fn is_of_something_before(&self, status: StatusCode) -> bool {
        let lost_it = || self.said.contains("reset reason") && !self.said.contains("connection failure");
        may_have_been_taken(status)
            || (status == StatusCode::INTERNAL_SERVER_ERROR && !self.said.trim().is_empty())
            || (status == StatusCode::SERVICE_UNAVAILABLE && lost_it())
    }

    /// Also of an answer that something on the way has wrapped.
    fn key_id(&self) -> Option<String> {
        let id = match ["/key/id", "/data/key/id", "/0/key/id"].iter().find_map(|place| self.body.pointer(place))? {
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

    /// A 2xx without the message's id: of a business account, Meta's error is passed on like a success.
    fn without_id(&self, reason: String) -> DeliveryError {
        let subcode = self.body.get("error_subcode").and_then(number);
        let code = self.body.get("code").and_then(number).map(|code| code_of(code, subcode));
        // Others have a member of that name, too.
        let is_of_meta = ["type", "fbtrace_id"].iter().any(|member| self.body.get(member).is_some());
        match code.filter(|_| is_of_meta).and_then(consequence) {
            Some(Consequence::Refuse) => DeliveryError::refused(reason),
            Some(Consequence::PutInstanceOff) => DeliveryError::instance_off(reason, FOR_A_PERSON),
            Some(Consequence::TryLater | Consequence::SpareRecipient | Consequence::SlowDown(_)) => {
                DeliveryError::transient(reason)
            }
            // It was taken, by what does not say as what.
            None => DeliveryError::unknown(reason),
        }
    }
}

/// Without the place in Evolution's own sources that a text names.
pub fn without_places(text: &str) -> &str {
    text.split_once(" invocation in").map_or(text, |(before, _)| before)
}
