//! Compares an answer with the one that a page shows: the same members, types and values, but for ids, times, keys and
//! addresses, which are others on every run. An id that the page shows twice has to be one id in the answers, too.

use std::collections::HashMap;

use serde_json::Value;

/// Members of whose values only the type counts.
const OTHER_EVERY_TIME: [&str; 3] = ["nextCursor", "secret", "uptime"];

/// Headers of which only the name counts.
const OTHER_HEADERS: [&str; 6] =
    ["content-length", "date", "host", "webhook-signature", "webhook-timestamp", "x-request-id"];

/// What was learnt from the answers so far.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What the page's ids are called in this run.
    ids: HashMap<String, String>,
}

impl Comparison {
    /// # Errors
    /// Where the answer differs, and how. Nothing was learnt from it then.
    pub fn values(&mut self, shown: &Value, answered: &Value) -> Result<(), String> {
        let mut learnt = self.clone();
        learnt.value("", shown, answered)?;
        *self = learnt;
        Ok(())
    }

    /// # Errors
    /// As of [`values`](Self::values).
    pub fn headers(&mut self, shown: &[(String, String)], answered: &[(String, String)]) -> Result<(), String> {
        let names = |headers: &[(String, String)]| {
            let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
            names.sort();
            names
        };
        if names(shown) != names(answered) {
            return Err(format!("the headers {:?}, not {:?}", names(answered), names(shown)));
        }
        for (name, value) in shown.iter().filter(|(name, _)| !OTHER_HEADERS.contains(&name.as_str())) {
            let answer = answered.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            self.text(name, value, answer.map_or("", |(_, value)| value))?;
        }
        Ok(())
    }

    /// A command of the page, with the ids of this run.
    pub fn in_this_run(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (shown, id)| text.replace(shown.as_str(), id))
    }

    fn value(&mut self, path: &str, shown: &Value, answered: &Value) -> Result<(), String> {
        match (shown, answered) {
            (Value::Object(shown), Value::Object(answered)) => {
                if let Some(name) = answered.keys().find(|name| !shown.contains_key(*name)) {
                    return Err(format!("{path}/{name} is answered, and not shown"));
                }
                for (name, shown) in shown {
                    let path = format!("{path}/{name}");
                    let answered = answered.get(name).ok_or_else(|| format!("{path} is shown, and not answered"))?;
                    if OTHER_EVERY_TIME.contains(&name.as_str()) && !shown.is_null() {
                        if kind(shown) != kind(answered) {
                            return Err(format!("{path} is {answered}, and not {}", kind(shown)));
                        }
                    } else {
                        self.value(&path, shown, answered)?;
                    }
                }
                Ok(())
            }
            (Value::Array(shown), Value::Array(answered)) if shown.len() == answered.len() => {
                let mut pairs = shown.iter().zip(answered).enumerate();
                pairs.try_for_each(|(index, (shown, answered))| self.value(&format!("{path}/{index}"), shown, answered))
            }
            (Value::String(shown), Value::String(answered)) => self.text(path, shown, answered),
            _ if shown == answered => Ok(()),
            _ => Err(format!("{path} is {answered}, and not {shown}")),
        }
    }

    fn text(&mut self, path: &str, shown: &str, answered: &str) -> Result<(), String> {
        let (ours, theirs) = (pieces(shown), pieces(answered));
        let differ = || Err(format!("{path} is {answered:?}, and not {shown:?}"));
        if ours.len() != theirs.len() {
            return differ();
        }
        for pair in ours.into_iter().zip(theirs) {
            match pair {
                (Piece::Id(shown), Piece::Id(id)) => {
                    let taken = self.ids.iter().any(|(other, known)| *known == id && *other != shown);
                    if taken || *self.ids.entry(shown.clone()).or_insert_with(|| id.clone()) != id {
                        return Err(format!("{path} is {id}, which is not what {shown} was before"));
                    }
                }
                (one, other) if one == other => {}
                _ => return differ(),
            }
        }
        Ok(())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Id(String),
    /// To the millisecond, in UTC.
    Time,
    /// Of this machine.
    Port,
    /// A number that the operating system chose.
    SystemError,
}

fn pieces(text: &str) -> Vec<Piece> {
    const ID: &str = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
    const TIME: &str = "dddd-dd-ddTdd:dd:dd.dddZ";
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (piece, length) = if looks_like(rest, ID) {
            (Piece::Id(rest[..ID.len()].to_owned()), ID.len())
        } else if looks_like(rest, TIME) {
            (Piece::Time, TIME.len())
        } else if let Some(length) = numbered(rest, "localhost:").or(numbered(rest, "127.0.0.1:")) {
            (Piece::Port, length)
        } else if let Some(length) = numbered(rest, "(os error ") {
            (Piece::SystemError, length)
        } else {
            if let Some(Piece::Literal(literal)) = pieces.last_mut() {
                literal.push(first);
            } else {
                pieces.push(Piece::Literal(first.to_string()));
            }
            rest = &rest[first.len_utf8()..];
            continue;
        };
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

/// `h` stands for a hexadecimal digit, `d` for a decimal one.
fn looks_like(text: &str, pattern: &str) -> bool {
    let fits = |(wanted, byte): (u8, u8)| match wanted {
        b'h' => byte.is_ascii_hexdigit(),
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    };
    text.len() >= pattern.len() && pattern.bytes().zip(text.bytes()).all(fits)
}

/// How long this is with the digits after it, if the text begins so.
fn numbered(text: &str, before: &str) -> Option<usize> {
    let digits = text.strip_prefix(before)?.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then_some(before.len() + digits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "01a2084f-4801-738e-b86b-09723c8362d5";
    const B: &str = "01b00000-0000-7000-8000-000000000001";
    const C: &str = "01c00000-0000-7000-8000-000000000002";

    fn shown() -> Value {
        json!({
            "success": true, "retries": 1, "error": null, "status": "sent", "nextCursor": "AaIIT0", "list": [{ "a": "x" }],
            "id": A, "channelMessageId": format!("sandbox-{A}"), "sentAt": "2026-11-23T12:09:03.245Z",
            "detail": "http://127.0.0.1:9000/hook (os error 111)",
        })
    }

    fn answered() -> Value {
        json!({
            "success": true, "retries": 1, "error": null, "status": "sent", "nextCursor": "Bb", "list": [{ "a": "x" }],
            "id": B, "channelMessageId": format!("sandbox-{B}"), "sentAt": "2027-01-01T00:00:00.000Z",
            "detail": "http://127.0.0.1:21000/hook (os error 61)",
        })
    }

    #[test]
    fn ids_times_ports_and_cursors_may_be_others() {
        let mut comparison = Comparison::default();
        assert_eq!(comparison.values(&shown(), &answered()), Ok(()));
        assert_eq!(comparison.in_this_run(&format!("GET /messages/{A}")), format!("GET /messages/{B}"));
    }

    #[test]
    fn every_other_difference_is_found() {
        for (member, value) in [
            ("success", json!(false)),
            ("success", json!("true")),
            ("retries", json!(2)),
            ("error", json!("busy")),
            ("status", json!("queued")),
            ("nextCursor", json!(null)),
            ("list", json!([])),
            ("list", json!([{ "a": "x", "b": null }])),
            ("list", json!([{ "a": "x" }, { "a": "x" }])),
            ("id", json!("5585999999999")),
            ("channelMessageId", json!(B)),
            ("channelMessageId", json!(format!("sandbox-{C}"))),
            ("sentAt", json!(null)),
            ("sentAt", json!("2027-01-01")),
            ("detail", json!("https://127.0.0.1:21000/hook (os error 61)")),
            ("one more", json!(null)),
        ] {
            let mut answered = answered();
            answered[member] = value.clone();
            let found = Comparison::default().values(&shown(), &answered).expect_err(&format!("{member} {value}"));
            let named = if member == "id" || member == "channelMessageId" { "" } else { member };
            assert!(found.contains(named), "{member} {value}: {found}");
        }
        let mut less = answered();
        less.as_object_mut().unwrap().remove("retries");
        let found = Comparison::default().values(&shown(), &less);
        assert_eq!(found, Err("/retries is shown, and not answered".to_owned()));
    }

    #[test]
    fn an_id_stays_the_same_from_one_answer_to_the_next() {
        let mut comparison = Comparison::default();
        comparison.values(&json!(A), &json!(B)).unwrap();
        comparison.values(&json!(A), &json!(C)).expect_err("the same message has another id");
        comparison.values(&json!(C), &json!(B)).expect_err("two messages have one id");
        comparison.values(&json!(A), &json!(B)).unwrap();
    }

    #[test]
    fn headers_are_the_same_but_for_what_is_other_every_time() {
        let headers = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let shown = headers(&[("content-type", "application/json"), ("date", "today"), ("webhook-id", A)]);
        let same = headers(&[("date", "tomorrow"), ("webhook-id", B), ("Content-Type", "application/json")]);
        assert_eq!(Comparison::default().headers(&shown, &same), Ok(()));
        for other in [
            headers(&[("content-type", "text/html"), ("date", ""), ("webhook-id", B)]),
            headers(&[("content-type", "application/json"), ("webhook-id", B)]),
            headers(&[("content-type", "application/json"), ("date", ""), ("webhook-id", B), ("x", "y")]),
            headers(&[("content-type", "application/json"), ("date", ""), ("webhook-id", "7")]),
        ] {
            Comparison::default().headers(&shown, &other).expect_err("another header");
        }
    }
}
