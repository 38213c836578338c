/// Whom Meta is asked to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaRecipient {
    /// The digits of a phone number.
    Number(String),
    /// The id that a person who hides their number has for this business: a country, a dot, an id.
    User(String),
    Group(String),
}

/// An id is far shorter.
const LONGEST: usize = 256;

/// What every id of Meta's groups begins with: `capi_group:` in base64.
const GROUP: &str = "Y2FwaV9ncm91cDo";

impl MetaRecipient {
    /// The same for one recipient, however it is written.
    pub fn into_string(self) -> String {
        let (Self::Number(text) | Self::User(text) | Self::Group(text)) = self;
        text
    }

    /// None for what is none of them.
    pub fn parse(recipient: &str) -> Option<Self> {
        if recipient.len() > LONGEST {
            return None;
        }
        if let Some((user, server)) = recipient.split_once('@') {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=".contains(&byte);
            return match server {
                // As existing clients write a person.
                "s.whatsapp.net" => digits(user).map(Self::Number),
                "g.us" if !user.is_empty() && user.bytes().all(plain) => Some(Self::Group(recipient.to_owned())),
                _ => None,
            };
        }
        if is_group_id(recipient) {
            return Some(Self::Group(recipient.to_owned()));
        }
        if is_user_id(recipient) {
            return Some(Self::User(recipient.to_owned()));
        }
        let recipient = recipient.trim();
        let without_plus = recipient.strip_prefix('+').unwrap_or(recipient);
        let plain: String = without_plus.chars().filter(|character| !" ()-.".contains(*character)).collect();
        digits(&plain).map(Self::Number)
    }
}

fn digits(text: &str) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
}

fn is_group_id(text: &str) -> bool {
    let rest = text.strip_prefix(GROUP);
    rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=+/".contains(&byte)))
}

/// `BR.1349…`; of a company with several portfolios `BR.ENT.1349…`.
fn is_user_id(text: &str) -> bool {
    let Some((country, id)) = text.split_once('.') else { return false };
    let id = id.strip_prefix("ENT.").unwrap_or(id);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
