use crate::domain::message::MessageStatus;

use MessageStatus::{Cancelled, Delivered, Failed, Read, Sent};

/// The states of which subscribers are told.
pub const TOLD: [MessageStatus; 5] = [Sent, Delivered, Read, Failed, Cancelled];

/// Of which states one is told: of all of [`TOLD`], or of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States(Option<Vec<MessageStatus>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStates {
    #[error("must not be empty: leave it out to be told of every state")]
    Empty,
    #[error("must be among sent, delivered, read, failed, cancelled")]
    NotTold,
}

impl States {
    pub fn all() -> Self {
        Self(None)
    }

    /// Each counts once.
    ///
    /// # Errors
    /// When there is none, or one of them is never told.
    pub fn some(states: &[MessageStatus]) -> Result<Self, InvalidStates> {
        if states.is_empty() {
            return Err(InvalidStates::Empty);
        }
        if !states.iter().all(|state| TOLD.contains(state)) {
            return Err(InvalidStates::NotTold);
        }
        Ok(Self(Some(TOLD.into_iter().filter(|state| states.contains(state)).collect())))
    }

    pub fn contain(&self, state: MessageStatus) -> bool {
        self.listed().contains(&state)
    }

    pub fn listed(&self) -> &[MessageStatus] {
        self.0.as_deref().unwrap_or(&TOLD)
    }

    /// As they are stored; none: all.
    pub fn text(&self) -> Option<String> {
        let names =
            |states: &Vec<MessageStatus>| states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",");
        self.0.as_ref().map(names)
    }

    /// Names that are not known, written by hand, count for nothing.
    pub fn parse(text: Option<&str>) -> Self {
        let known = |text: &str| text.split(',').filter_map(|name| name.trim().parse().ok()).collect::<Vec<_>>();
        text.map_or_else(Self::all, |text| Self(Some(known(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_stored_and_read_again() {
        for states in [States::all(), States::some(&[Failed, Sent, Failed]).unwrap(), States::some(&TOLD).unwrap()] {
            assert_eq!(States::parse(states.text().as_deref()), states);
        }
        assert_eq!(States::some(&[Failed, Sent]).unwrap().text().unwrap(), "sent,failed");
        assert_eq!(States::some(&[]), Err(InvalidStates::Empty));
        assert_eq!(States::some(&[MessageStatus::Queued]), Err(InvalidStates::NotTold));
        assert!(!States::parse(Some("sent,nonsense")).contain(Failed));
        assert!(States::all().contain(Cancelled) && !States::all().contain(MessageStatus::Pending));
    }
}
