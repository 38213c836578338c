//! Pipedrive's webhooks, of both versions, and what is sent by those who took them for something in between.

use chrono::DateTime;
use sha2::{Digest, Sha256};

use crate::application::ports::{NotAReport, Report, WebhookReader};
use crate::domain::Timestamp;
use crate::domain::event::LONGEST_NAME;
use crate::domain::json_members::{member, members};

/// What a report is read from.
#[derive(Clone, Copy, Default)]
pub struct PipedriveReader;

impl WebhookReader for PipedriveReader {
    fn read(&self, body: &[u8]) -> Result<Report, NotAReport> {
        let text = String::from_utf8_lossy(body);
        let members = members(text.trim_start_matches('\u{feff}')).ok_or(NotAReport)?;
        let meta = Meta(member(&members, "meta").and_then(self::members).ok_or(NotAReport)?);
        let entity = meta.text("entity").or_else(|| meta.text("object")).ok_or(NotAReport)?;
        let action = meta.text("action").ok_or(NotAReport)?;
        Ok(Report {
            key: meta.key(),
            occurred_at: meta.occurred_at(),
            company: meta.text("company_id"),
            entity,
            action,
            members,
        })
    }
}

struct Meta(Vec<(String, String)>);

impl Meta {
    /// A text or a number as a text. What JavaScript takes for false is not there.
    fn text(&self, name: &str) -> Option<String> {
        let raw = member(&self.0, name)?;
        let text = match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()),
            _ => raw.to_owned(),
        };
        let is_false = ["", "null", "false"].contains(&text.as_str()) || (raw == text && is_zero(raw));
        (!is_false).then_some(text)
    }

    /// What its repeats share. Version 2 gives each event a UUID; version 1 a time in microseconds. None where the id may be the
    /// object's: all of its events would be taken for one.
    fn key(&self) -> Option<String> {
        let webhook = self.text("webhook_id").unwrap_or_default();
        let id = self.text("id")?;
        if let Some(at) = self.text("timestamp_micro") {
            let object = self.text("object").or_else(|| self.text("entity"))?;
            // One action of each moment: a merge is told with the same time as the update that it brings.
            let action = self.text("action")?;
            return Some(bounded(format!("v1/{webhook}/{object}/{id}/{at}/{action}")));
        }
        let is_a_text = member(&self.0, "id").is_some_and(|raw| raw.starts_with('"'));
        let is_the_events = is_a_text && !id.bytes().all(|byte| byte.is_ascii_digit());
        let is_second_version = self.text("version").is_some_and(|version| version.starts_with('2'));
        (is_the_events || is_second_version).then(|| bounded(format!("v2/{webhook}/{id}")))
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        let number = |name: &str| self.text(name)?.parse::<i64>().ok();
        let micros = number("timestamp_micro").and_then(DateTime::from_timestamp_micros);
        let seconds = || number("timestamp").and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let text = || Some(DateTime::parse_from_rfc3339(&self.text("timestamp")?).ok()?.to_utc());
        let time = micros.or_else(seconds).or_else(text)?;
        // As precise as every database keeps it, and within what each can store.
        Timestamp::from_timestamp_millis(time.timestamp_millis()).filter(|time| (0..=9999).contains(&year(*time)))
    }
}

fn year(time: Timestamp) -> i32 {
    chrono::Datelike::year(&time)
}

fn is_zero(raw: &str) -> bool {
    raw.parse::<f64>().is_ok_and(|number| number == 0.0)
}

/// A key that is too long is known by its digest: cut, it would be another one's.
fn bounded(key: String) -> String {
    let key = key.replace('\0', "\u{fffd}");
    if key.chars().count() <= LONGEST_NAME {
        return key;
    }
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &serde_json::Value) -> Result<Report, NotAReport> {
        PipedriveReader.read(body.to_string().as_bytes())
    }

    #[test]
    fn the_first_version_is_read() {
        let body = json!({"v": 1, "meta": {"v": 1, "action": "updated", "object": "deal", "id": 21, "company_id": 13_881_612,
            "timestamp": 1_523_440_213, "timestamp_micro": 1_523_440_213_384_700_i64, "webhook_id": 4711},
            "retry": 0, "current": {"id": 21}, "previous": {"id": 21}, "event": "updated.deal"});
        let report = read(&body).unwrap();
        assert_eq!((report.entity.as_str(), report.action.as_str()), ("deal", "updated"));
        assert_eq!(report.company.as_deref(), Some("13881612"));
        assert_eq!(report.key.as_deref(), Some("v1/4711/deal/21/1523440213384700/updated"));
        assert_eq!(report.occurred_at, Some("2018-04-11T09:50:13.384Z".parse().unwrap()));
        assert_eq!(report.ordering_key(), "deal-13881612");
        let mut again = body.clone();
        again["retry"] = json!(1);
        assert_eq!(read(&again).unwrap().key, report.key);
        again["meta"]["id"] = json!("21");
        assert_eq!(read(&again).unwrap().key, report.key);
    }

    #[test]
    fn the_second_version_is_read() {
        let meta = json!({"action": "change", "company_id": "15747575", "entity_id": "178", "entity": "deal",
            "id": "0b3d", "timestamp": "2026-05-27T06:54:41.426Z", "version": "2.0", "webhook_id": "1872755", "attempt": 1});
        let report = read(&json!({"data": {"id": 178}, "previous": {"stage_id": 11}, "meta": meta})).unwrap();
        assert_eq!((report.entity.as_str(), report.action.as_str()), ("deal", "change"));
        assert_eq!(report.key.as_deref(), Some("v2/1872755/0b3d"));
        assert_eq!(report.occurred_at, Some("2026-05-27T06:54:41.426Z".parse().unwrap()));
    }

    #[test]
    fn what_the_test_client_sends_is_never_a_repeat() {
        let meta =
            json!({"action": "added", "entity": "deal", "company_id": 13_881_612, "timestamp": "2026-11-30T00:00:00Z"});
        let report = read(&json!({"meta": meta, "current": {"id": 1}})).unwrap();
        assert_eq!((report.key, report.action.as_str()), (None, "added"));
    }

    #[test]
    fn events_of_one_object_are_not_taken_for_repeats() {
        let key = |meta: serde_json::Value| read(&json!({"meta": meta})).unwrap().key;
        for id in [json!(21), json!("21")] {
            let mixed = |entity: &str| json!({"action": "updated", entity: "deal", "id": id, "webhook_id": 4711});
            for entity in ["entity", "object"] {
                assert_eq!(key(mixed(entity)), None, "{id}");
            }
            let mut timed = mixed("entity");
            timed["timestamp_micro"] = json!(1_523_440_213_384_700_i64);
            assert_eq!(key(timed.clone()).as_deref(), Some("v1/4711/deal/21/1523440213384700/updated"));
            timed["object"] = json!("deal");
            assert_eq!(key(timed).as_deref(), Some("v1/4711/deal/21/1523440213384700/updated"));
            let mut second = mixed("entity");
            second["version"] = json!("2.0");
            assert_eq!(key(second).as_deref(), Some("v2/4711/21"));
        }
        let named = json!({"action": "updated", "object": "deal", "id": "018f-a", "webhook_id": 4711});
        assert_eq!(key(named).as_deref(), Some("v2/4711/018f-a"));
    }

    #[test]
    fn what_has_no_subject_or_no_action_is_no_report() {
        for meta in [
            json!(null),
            json!("deal"),
            json!({}),
            json!({"action": "added"}),
            json!({"entity": "deal"}),
            json!({"entity": "", "action": "added"}),
            json!({"entity": "deal", "action": null}),
            json!({"entity": 0, "action": "added"}),
        ] {
            assert_eq!(read(&json!({"meta": meta})), Err(NotAReport), "{meta}");
        }
        for body in ["", "[]", "null", "{", "<xml/>", "{\"meta\": {\"entity\": \"deal\", \"action\": \"added\"}} x"] {
            assert_eq!(PipedriveReader.read(body.as_bytes()), Err(NotAReport), "{body}");
        }
    }

    #[test]
    fn nothing_of_a_body_is_changed() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let body = format!(
            "\u{feff} {{\"n\": 1.000000000000000000001, \"half\": \"\\ud83d\", \"deep\": {deep}, \"webhookId\": \"theirs\",
              \"meta\": {{\"entity\": \"deal\", \"action\": \"added\", \"half\": \"\\udc00\"}}}}"
        );
        let report = PipedriveReader.read(body.as_bytes()).unwrap();
        let enriched = report.enriched(&[("webhookId", json!("ours")), ("empresa", json!("Matriz"))]);
        for kept in ["\"n\":1.000000000000000000001", "\"half\":\"\\ud83d\"", &deep, "\\udc00"] {
            assert!(enriched.contains(kept), "{kept}");
        }
        assert!(enriched.ends_with("\"webhookId\":\"ours\",\"empresa\":\"Matriz\"}") && !enriched.contains("theirs"));
    }

    #[test]
    fn bytes_that_are_no_text_keep_no_report_out() {
        let mut body = b"{\"meta\": {\"entity\": \"deal\", \"action\": \"added\"}, \"name\": \"Jos".to_vec();
        body.extend_from_slice(b"\xe9\"}");
        assert!(PipedriveReader.read(&body).is_ok());
    }

    #[test]
    fn long_keys_stay_apart() {
        let key = |end: &str| {
            let id = format!("{}{end}", "x".repeat(400));
            read(&json!({"meta": {"entity": "deal", "action": "a", "id": id}})).unwrap().key.unwrap()
        };
        assert_ne!(key("1"), key("2"));
        assert!(key("1").len() <= LONGEST_NAME);
    }
}
