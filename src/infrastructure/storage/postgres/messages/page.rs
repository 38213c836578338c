//! Which weeks are searched together.

use uuid::Uuid;

use crate::application::ports::MessageFilter;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::shared::{id_of_those_before, id_of_those_since};

/// Some weeks, and the messages in them below one with which a page has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The least id of the weeks, and the least one above them.
    pub from: Uuid,
    pub to: Uuid,
    pub below: Uuid,
}

impl Page {
    /// Of all weeks.
    pub fn before(message: Option<MessageId>) -> Self {
        Self { from: Uuid::nil(), to: Uuid::max(), below: message.map_or(Uuid::max(), |id| id.0) }
    }

    /// The pages of which this one consists, the youngest first: few weeks, since most of what is looked for is found there;
    /// and never so many that a statement takes a good part of the server's locks, which it takes for every index of every
    /// week. `weeks` are their least ids, in any order.
    pub fn parts(self, mut weeks: Vec<Uuid>) -> Vec<Self> {
        // This week, those that are made ahead, and three that are over.
        const FIRST: usize = 8;
        const MOST: usize = 32;
        weeks.sort_unstable_by(|one, other| other.cmp(one));
        let (mut parts, mut weeks, mut to, mut size) = (Vec::new(), weeks.as_slice(), self.to, FIRST);
        while let Some((_, older)) = weeks.split_at_checked(size).filter(|(_, older)| !older.is_empty()) {
            let from = weeks[size - 1];
            parts.push(Self { from, to, ..self });
            (weeks, to, size) = (older, from, (2 * size).min(MOST));
        }
        parts.push(Self { from: self.from, to, ..self });
        parts.retain(|part| part.from < self.below);
        parts
    }

    /// Whether messages of its weeks may be of the wanted time.
    pub fn may_match(&self, filter: &MessageFilter) -> bool {
        filter.created_after.is_none_or(|after| id_of_those_since(after) < self.to)
            && filter.created_before.is_none_or(|before| self.from < id_of_those_before(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_weeks_are_searched_first_and_every_one_once() {
        let id = Uuid::from_u128;
        let page = Page::before(Some(MessageId(id(48))));
        assert_eq!(page.parts(Vec::new()), [page]);
        assert_eq!(page.parts((1..=8).map(id).collect()), [page]);
        let parts = page.parts((1..=60).map(id).collect());
        let bounds: Vec<(Uuid, Uuid)> = parts.iter().map(|part| (part.from, part.to)).collect();
        assert_eq!(bounds, [(id(37), id(53)), (id(5), id(37)), (Uuid::nil(), id(5))], "none above the page");
        assert!(parts.iter().all(|part| part.below == id(48)));
    }
}
