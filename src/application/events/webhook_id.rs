use crate::application::ports::Report;
use crate::domain::Timestamp;
use crate::domain::event::LONGEST_NAME;

/// Characters of an entity's or an action's name in the name of an event.
const LONGEST_PART: usize = 50;

/// `{entity}-{action}-{milliseconds}-{9 digits of base 36}`
pub fn webhook_id(report: &Report, now: Timestamp, random: u128) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = random & ((1 << 62) - 1);
    let mut suffix = String::new();
    for _ in 0..9 {
        suffix.push(char::from(DIGITS[(rest % 36) as usize]));
        rest /= 36;
    }
    format!("{}-{}-{}-{suffix}", part(&report.entity), part(&report.action), now.timestamp_millis())
}

/// `deal.updated`
pub fn kind(report: &Report) -> String {
    format!("{}.{}", part(&report.entity), part(&report.action))
}

pub fn cut(text: &str) -> String {
    storable(text, LONGEST_NAME)
}

fn part(text: &str) -> String {
    storable(text, LONGEST_PART)
}

fn storable(text: &str, most: usize) -> String {
    crate::domain::text::storable(text, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_what_happened_and_when_and_ends_in_nine_characters() {
        let report = Report {
            entity: "deal".to_owned(),
            action: "added".to_owned(),
            company: None,
            key: None,
            occurred_at: None,
            members: Vec::new(),
        };
        let now: Timestamp = "2026-11-30T09:00:00.123Z".parse().unwrap();
        let (one, other) = (webhook_id(&report, now, u128::MAX), webhook_id(&report, now, 36));
        assert_eq!(other, "deal-added-1796029200123-010000000");
        assert!(one.starts_with("deal-added-1796029200123-") && one.len() == other.len() && one != other);
        assert_eq!(kind(&report), "deal.added");
    }
}
