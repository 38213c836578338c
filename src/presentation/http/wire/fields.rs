//! Reading what a client sent, member by member, such that all its problems are listed at once.

use std::ops::ControlFlow;

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use serde_json::Value;
use utoipa::ToSchema;

use crate::application::ports::Channels;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::pace::MOST_PER_MINUTE;
use crate::domain::instance::{InstanceAddress, InstanceName};
use crate::domain::message::{MaxTries, Recipient};
use crate::domain::problem::FieldProblem;
use crate::domain::text::InvalidText;

/// All that is wrong with a request.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<FieldProblem>);

/// What is wrong with one member, whose place is known from where it was read.
pub struct Detail(pub String);

impl From<InvalidText> for Detail {
    fn from(error: InvalidText) -> Self {
        Detail(error.to_string())
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Detail(text.to_owned())
    }
}

/// Reads `value` as `T`. U+0000 is refused in every text, because PostgreSQL cannot store it.
///
/// # Errors
/// All problems at once.
pub fn read<T: Deserr<Problems>>(value: Value) -> Result<T, Problems> {
    let mut problems = Problems::default();
    refuse_nul(&value, ValuePointerRef::Origin, &mut problems);
    match deserr::deserialize::<T, _, Problems>(value) {
        Ok(read) if problems.0.is_empty() => Ok(read),
        Ok(_) => Err(problems),
        Err(more) => {
            // A type of the domain refuses U+0000, too.
            let new = more.0.into_iter().filter(|problem| !problems.0.contains(problem)).collect::<Vec<_>>();
            problems.0.extend(new);
            Err(problems)
        }
    }
}

fn refuse_nul(value: &Value, here: ValuePointerRef<'_>, problems: &mut Problems) {
    const DETAIL: &str = "must not contain the character U+0000";
    match value {
        Value::String(text) if text.contains('\0') => problems.0.push(FieldProblem::new(pointer(here), DETAIL)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_nul(item, here.push_index(index), problems);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let there = here.push_key(name);
                if name.contains('\0') {
                    problems.0.push(FieldProblem::new(pointer(there), DETAIL));
                }
                refuse_nul(member, there, problems);
            }
        }
        _ => {}
    }
}

/// The problem of a `channel` that is not ours, listed together with whatever else is wrong.
pub fn unknown_channel(given: Option<&Value>, channels: &Channels) -> Option<FieldProblem> {
    let name = given.and_then(Value::as_str).filter(|name| !name.is_empty())?;
    let known = channels.find(&ChannelName::new(name)).is_some();
    (!known).then(|| channels.unknown())
}

/// A member's name as a token of a JSON Pointer (RFC 6901, section 3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn pointer(location: ValuePointerRef<'_>) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => format!("{}/{}", pointer(*prev), escape(key)),
        ValuePointerRef::Index { index, prev } => format!("{}/{index}", pointer(*prev)),
    }
}

impl DeserializeError for Problems {
    fn error<V: IntoValue>(
        self_: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let here = pointer(location);
        let problem = match error {
            ErrorKind::IncorrectValueKind { accepted, .. } => {
                let kinds: Vec<&str> = accepted.iter().map(kind_name).collect();
                FieldProblem::new(here, format!("must be {}", kinds.join(" or ")))
            }
            ErrorKind::MissingField { field } => {
                FieldProblem::new(format!("{here}/{}", escape(field)), "is required".to_owned())
            }
            ErrorKind::UnknownKey { key, .. } => {
                FieldProblem::new(format!("{here}/{}", escape(key)), "is not a known member".to_owned())
            }
            ErrorKind::UnknownValue { accepted, .. } => {
                FieldProblem::new(here, format!("must be one of {}", accepted.join(", ")))
            }
            ErrorKind::BadSequenceLen { expected, .. } => {
                FieldProblem::new(here, format!("must have {expected} items"))
            }
            ErrorKind::Unexpected { msg } => FieldProblem::new(here, msg),
        };
        let mut problems = self_.unwrap_or_default();
        problems.0.push(problem);
        ControlFlow::Continue(problems)
    }
}

fn kind_name(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Boolean => "a boolean",
        ValueKind::Integer => "a whole number",
        ValueKind::NegativeInteger => "a negative whole number",
        ValueKind::Float => "a number",
        ValueKind::String => "a string",
        ValueKind::Sequence => "an array",
        ValueKind::Map => "an object",
    }
}

impl MergeWithError<Problems> for Problems {
    fn merge(self_: Option<Self>, other: Problems, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut problems = self_.unwrap_or_default();
        problems.0.extend(other.0);
        ControlFlow::Continue(problems)
    }
}

impl MergeWithError<Detail> for Problems {
    fn merge(self_: Option<Self>, other: Detail, location: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut problems = self_.unwrap_or_default();
        problems.0.push(FieldProblem::new(pointer(location), other.0));
        ControlFlow::Continue(problems)
    }
}

/// A name: 1 to 255 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Name::parse -> Detail)]
#[schema(value_type = String, min_length = 1, max_length = 255)]
pub struct Name(pub InstanceName);

impl Name {
    fn parse(text: String) -> Result<Self, Detail> {
        Ok(Self(InstanceName::parse(text)?))
    }

    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

/// An address of a recipient: 1 to 2,048 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = RecipientField::parse -> Detail)]
#[schema(as = Address, value_type = String, min_length = 1, max_length = 2048)]
pub struct RecipientField(pub Recipient);

impl RecipientField {
    fn parse(text: String) -> Result<Self, Detail> {
        Ok(Self(Recipient::parse(text)?))
    }
}

/// An address of an instance: 1 to 2,048 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Address::parse -> Detail)]
#[schema(value_type = String, min_length = 1, max_length = 2048)]
pub struct Address(pub InstanceAddress);

impl Address {
    fn parse(text: String) -> Result<Self, Detail> {
        Ok(Self(InstanceAddress::parse(text)?))
    }
}

/// How often a message is tried, the first try included: 1 to 100.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(u64) = TriesField::parse -> Detail)]
#[schema(as = MaxRetries, value_type = u32, minimum = 1, maximum = 100)]
pub struct TriesField(pub MaxTries);

/// A number of calls: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(u64) = RateField::parse -> Detail)]
#[schema(as = Rate, value_type = u32, minimum = 1, maximum = 1_000_000)]
pub struct RateField(pub u32);

impl RateField {
    fn parse(number: u64) -> Result<Self, Detail> {
        let number = u32::try_from(number).ok().filter(|number| (1..=MOST_PER_MINUTE).contains(number));
        number.map(Self).ok_or_else(|| Detail(format!("must be from 1 to {MOST_PER_MINUTE}")))
    }
}

impl TriesField {
    fn parse(number: u64) -> Result<Self, Detail> {
        MaxTries::new(number).map(Self).map_err(|error| Detail(error.to_string()))
    }
}

/// `true` or `false`, as a query has it.
#[derive(Debug, Deserr)]
#[deserr(error = Problems, try_from(String) = Flag::parse -> Detail)]
pub struct Flag(pub bool);

impl Flag {
    fn parse(text: String) -> Result<Self, Detail> {
        text.parse().map(Self).map_err(|_| "must be `true` or `false`".into())
    }
}
