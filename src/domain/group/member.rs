//! Who is in a group.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::GroupId;
use crate::domain::Timestamp;
use crate::domain::text::{InvalidText, bounded};

/// Members of one group at most.
pub const MOST_MEMBERS: u32 = 100_000;

/// A UUIDv7: a list in their order is in the order in which the members were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub Uuid);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of address an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentifierType {
    Phone,
    Jid,
    /// WhatsApp's name for a person whose number it hides.
    Lid,
    Email,
    Id,
}

impl IdentifierType {
    pub const ALL: [IdentifierType; 5] = [Self::Phone, Self::Jid, Self::Lid, Self::Email, Self::Id];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Jid => "jid",
            Self::Lid => "lid",
            Self::Email => "email",
            Self::Id => "id",
        }
    }

    /// What of `identifier` does not look like this kind of address: the end of a sentence.
    fn flaw(self, identifier: &str) -> Option<&'static str> {
        let at_both_ends =
            |text: &str| text.split_once('@').is_some_and(|(who, where_)| !who.is_empty() && !where_.is_empty());
        let is_fine = match self {
            Self::Jid => at_both_ends(identifier),
            Self::Lid => identifier.starts_with(|character: char| character.is_ascii_digit()),
            Self::Email => at_both_ends(identifier) && !identifier.contains(char::is_whitespace),
            // What a number looks like is the channel's to say.
            Self::Phone | Self::Id => true,
        };
        let sentence = match self {
            Self::Jid => "must be a JID, like 5585999999999@s.whatsapp.net",
            Self::Lid => "must be a LID, like 12345678901234@lid",
            Self::Email => "must be an e-mail address",
            Self::Phone | Self::Id => "",
        };
        (!is_fine).then_some(sentence)
    }
}

impl FromStr for IdentifierType {
    type Err = UnknownIdentifierType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownIdentifierType)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("must be one of phone, jid, lid, email, id")]
pub struct UnknownIdentifierType;

/// What a member is known by: 1 to 255 characters that look like what they are said to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    text: String,
    kind: IdentifierType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentifier {
    #[error(transparent)]
    Text(#[from] InvalidText),
    #[error("{0}")]
    Kind(&'static str),
}

impl Identifier {
    /// Characters at most.
    pub const LONGEST: usize = 255;

    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: impl Into<String>, kind: IdentifierType) -> Result<Self, InvalidIdentifier> {
        let text = bounded(text.into(), Self::LONGEST)?;
        match kind.flaw(&text) {
            Some(flaw) => Err(InvalidIdentifier::Kind(flaw)),
            None => Ok(Self { text, kind }),
        }
    }

    /// What a row holds, which may have been edited by hand.
    pub fn stored(text: String, kind: IdentifierType) -> Self {
        Self { text, kind }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn kind(&self) -> IdentifierType {
        self.kind
    }

    /// Whether a member may be called otherwise whose messages go there.
    pub fn may_be_of_another(recipient: &str) -> bool {
        recipient.ends_with("@lid")
    }

    /// Where its messages go on the channel.
    pub fn recipient(&self) -> String {
        match self.kind {
            IdentifierType::Lid if !self.text.contains('@') => format!("{}@lid", self.text),
            _ => self.text.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub group: GroupId,
    pub identifier: Identifier,
    pub name: Option<String>,
    /// Compact JSON text of an object.
    pub metadata: Option<String>,
    /// One that is not gets no messages.
    pub is_active: bool,
    pub added_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_identifier_looks_like_what_it_is_said_to_be() {
        let fine = [
            ("+55 85 99999-9999", IdentifierType::Phone),
            ("5585999999999@s.whatsapp.net", IdentifierType::Jid),
            ("12345", IdentifierType::Lid),
            ("ana@example.org", IdentifierType::Email),
            ("fail-permanent", IdentifierType::Id),
        ];
        for (text, kind) in fine {
            assert_eq!(Identifier::parse(text, kind).unwrap().as_str(), text);
        }
        let wrong = [
            ("", IdentifierType::Id),
            ("5585", IdentifierType::Jid),
            ("ana@lid", IdentifierType::Lid),
            ("ana @b.c", IdentifierType::Email),
            ("@b.c", IdentifierType::Email),
            ("a\0", IdentifierType::Id),
        ];
        for (text, kind) in wrong {
            assert!(Identifier::parse(text, kind).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_recipient_says_that_it_is_a_lid(text in "[0-9]{1,15}(@lid)?") {
            let lid = Identifier::parse(text, IdentifierType::Lid).unwrap();
            prop_assert!(lid.recipient().ends_with("@lid") && lid.recipient().matches("@lid").count() == 1);
        }
    }
}
