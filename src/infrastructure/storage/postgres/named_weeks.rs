//! Statements that say in which weeks their messages lie.

use uuid::Uuid;

use crate::domain::message::MessageId;
use crate::infrastructure::storage::shared::{MONDAY, WEEK, week_of};

/// Whole weeks, from Monday to Monday in UTC. In the text of a statement and not as parameters: a plan that is kept has no
/// partition that the text rules out, and every one that a list of ids or a parameter may name. The text changes once a week.
///
/// Written as `(id between :least and :greatest or id = :least)`. The alternative adds nothing but that no index serves the
/// condition: planned while the week is as good as empty, a statement would walk all of it for ever after, and compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedWeeks {
    least: Uuid,
    greatest: Uuid,
}

impl NamedWeeks {
    /// The weeks of these ids, and all between them.
    pub fn of(ids: impl Iterator<Item = MessageId> + Clone) -> Self {
        let (first, last) = (ids.clone().min(), ids.max());
        let week = |id: Option<MessageId>| id.map_or(0, week_of);
        let begin = |week: i128| u128::try_from(week * WEEK - MONDAY).unwrap_or_default();
        let end = begin(week(last) + 1);
        // The last week that an id can name ends with the last id.
        let greatest = if end >= 1 << 48 { u128::MAX } else { (end << 80) - 1 };
        Self { least: Uuid::from_u128(begin(week(first)) << 80), greatest: Uuid::from_u128(greatest) }
    }

    /// The statement with their bounds for `:least` and `:greatest`, which are made of nothing but letters, digits and hyphens.
    pub fn name_in(&self, statement: &str) -> String {
        let Self { least, greatest } = self;
        statement.replace(":least", &format!("'{least}'::uuid")).replace(":greatest", &format!("'{greatest}'::uuid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infrastructure::storage::shared::first_id;

    fn weeks(times: &[&str]) -> NamedWeeks {
        NamedWeeks::of(times.iter().map(|time| MessageId(first_id(time.parse().unwrap()))))
    }

    #[test]
    fn weeks_go_from_monday_to_monday_and_touch() {
        let this = weeks(&["2026-11-23T00:00:00Z", "2026-11-29T23:59:59.999Z"]);
        assert_eq!(this, weeks(&["2026-11-25T12:00:00Z"]));
        assert_eq!(this.least, first_id("2026-11-23T00:00:00Z".parse().unwrap()));
        let next = weeks(&["2026-11-30T00:00:00Z"]);
        assert_eq!(this.greatest.as_u128() + 1, next.least.as_u128());
        let both = weeks(&["2026-11-30T00:00:00Z", "2026-11-29T23:59:59.999Z"]);
        assert_eq!(both, NamedWeeks { least: this.least, greatest: next.greatest });
    }

    #[test]
    fn the_first_and_the_last_ids_have_a_week() {
        assert_eq!(NamedWeeks::of(std::iter::once(MessageId(Uuid::nil()))).least, Uuid::nil());
        assert_eq!(NamedWeeks::of(std::iter::once(MessageId(Uuid::max()))).greatest, Uuid::max());
        assert_eq!(NamedWeeks::of(std::iter::empty()).least, Uuid::nil());
    }
}
