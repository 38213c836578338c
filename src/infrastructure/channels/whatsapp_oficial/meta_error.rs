//! What went wrong, as Meta writes it in an answer and in a status.

use serde_json::Value;

use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::channels::whatsapp_errors::{code_of, number};

/// Of what Meta says, so that what we say beside it has room.
const LONGEST_SAID: usize = 220;

pub struct MetaError {
    /// As it is judged.
    pub code: i64,
    /// As Meta writes it.
    given: i64,
    said: String,
}

impl MetaError {
    /// None for what has no code, which is a number or a text.
    pub fn read(error: &Value) -> Option<Self> {
        let given = number(error.get("code")?)?;
        let code = code_of(given, error.get("error_subcode").and_then(number));
        let text =
            |place: &str| error.pointer(place).and_then(Value::as_str).map(str::trim).filter(|it| !it.is_empty());
        let message = text("/message").or_else(|| text("/title"));
        let details = text("/error_data/details").filter(|details| message.is_none_or(|it| !it.contains(details)));
        let said = [message, details].into_iter().flatten().map(|part| part.trim_end_matches('.'));
        Some(Self { code, given, said: said.collect::<Vec<_>>().join(": ") })
    }

    /// A sentence for people, and another where something can be done.
    pub fn sentence(&self, redaction: &Redaction) -> String {
        let said: String = redaction.snippet(&self.said).chars().take(LONGEST_SAID).collect();
        let colon = if said.is_empty() { "" } else { ": " };
        let advice = self.advice().map_or_else(String::new, |advice| format!(" {advice}"));
        format!("Meta's error {}{colon}{said}.{advice}", self.given)
    }

    fn advice(&self) -> Option<&'static str> {
        Some(match self.code {
            131_047 | 470 => "Its 24 hours are over: only a template reaches this recipient.",
            131_026 => "The recipient may not be on WhatsApp.",
            131_049 => "Meta limits marketing: try another day.",
            0 | 3 | 10 | 190 | 200..=299 | 131_005 => "The instance needs another access token, or more rights for it.",
            33 => "The channelPhoneOrId is not a phone number id that this access token sees.",
            131_042 => "The business account has to pay first.",
            131_030 => "A test number reaches only the recipients in its list.",
            131_048 => "Recipients have blocked or reported the number.",
            131_031 | 368 => "Meta's Business Support says what the account is blocked for.",
            131_045 | 133_010 => "The number has to be registered with Meta.",
            132_015 | 132_016 => "Meta shows in the WhatsApp Manager what is wrong with the template.",
            131_053 => "Meta takes images up to 5 MB, audio and video up to 16 MB, documents up to 100 MB.",
            _ => return None,
        })
    }
}
