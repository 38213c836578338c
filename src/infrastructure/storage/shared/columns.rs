//! The columns of a message, one line each: what an accept sets, and what is read.

use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::message::Message;
use crate::domain::message::delivery::FailureKind;

/// A column that an accept sets.
pub struct Column {
    pub name: &'static str,
    pub share: Share,
    pub value: Value,
}

/// Which messages of a batch have the same value of the column, as a rule: it is then sent once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// None.
    Own,
    /// Those that one sender sends through one instance.
    Sender,
    /// All.
    Alike,
}

/// What a column holds of a message.
pub enum Value {
    Id(fn(&Message) -> Option<Uuid>),
    Text(fn(&Message) -> Option<&str>),
    Json(fn(&Message) -> Option<&str>),
    Number(fn(&Message) -> Option<i64>),
    Time(fn(&Message) -> Option<Timestamp>),
}

impl Value {
    fn is_same(&self, one: &Message, other: &Message) -> bool {
        match self {
            Value::Id(of) => of(one) == of(other),
            Value::Text(of) | Value::Json(of) => of(one) == of(other),
            Value::Number(of) => of(one) == of(other),
            Value::Time(of) => of(one) == of(other),
        }
    }
}

/// Whether one statement can send the columns of this share once for both.
pub fn are_alike(share: Share, one: &Message, other: &Message) -> bool {
    COLUMNS.iter().filter(|column| column.share == share).all(|column| column.value.is_same(one, other))
}

/// Turns the table into the accept's columns and the lists of all that are read. `$d` stands for the dollar of the macros in
/// it.
macro_rules! columns {
    (
        $d:tt
        set by an accept: $($name:literal $share:ident $kind:ident $of:expr;)*
        its content: $($content:literal $content_share:ident $content_kind:ident $content_of:expr;)*
        set later: $first:literal $($later:literal)*
    ) => {
        const SET_BY_AN_ACCEPT: &[Column] = &[
            $(Column { name: $name, share: Share::$share, value: Value::$kind($of) },)*
            $(Column { name: $content, share: Share::$content_share, value: Value::$content_kind($content_of) }),*
        ];

        /// What a message is read from: see [`message`](super::rows::message).
        macro_rules! message_columns {
            () => { concat!($($name, ", ",)* $($content, ", ",)* $first $(, ", ", $later)*) };
        }

        /// The same, with its content only if this condition holds: otherwise that is not read.
        macro_rules! message_columns_with_content_if {
            ($d condition:literal) => {
                concat!(
                    $($name, ", ",)*
                    $("case when ", $d condition, " then ", $content, " end as ", $content, ", ",)*
                    $first $(, ", ", $later)*
                )
            };
        }
    };
}

columns! {
    $
    set by an accept:
        "id"                  Own    Id     |it| Some(it.id.0);
        "tenant"              Sender Text   |it| Some(it.tenant.as_str());
        "user_id"             Sender Text   |it| Some(it.user_id.as_str());
        "instance_id"         Sender Id     |it| Some(it.instance_id.0);
        "channel"             Sender Text   |it| Some(it.channel.as_str());
        "channel_instance_id" Sender Text   |it| Some(it.channel_instance_id.as_str());
        "remote_jid"          Own    Text   |it| Some(it.recipient.as_str());
        "group_id"            Sender Id     |it| it.group.map(|group| group.0);
        "broadcast_id"        Sender Id     |it| it.broadcast.map(|broadcast| broadcast.0);
        "max_retries"         Sender Number |it| Some(it.max_tries.into());
        "created_at"          Own    Time   |it| Some(it.created_at);
        "updated_at"          Own    Time   |it| Some(it.updated_at);
        "priority"            Alike  Number |it| it.priority.map(|priority| priority.number().into());
        "send_at"             Alike  Time   |it| it.send_at;
        "direction"           Alike  Text   |it| Some(it.direction.as_str());
        "purpose"             Alike  Text   |it| it.purpose.map(|purpose| purpose.as_str());
        "status"              Alike  Text   |it| Some(it.status.as_str());
        "retries"             Alike  Number |it| Some(it.tries.into());
        "try"                 Alike  Number |it| Some(it.try_number.into());
        "attempt_started_at"  Alike  Time   |it| it.attempt_started_at;
        "node_id"             Alike  Id     |it| it.node.map(|node| node.0);
        "next_attempt_at"     Alike  Time   |it| it.next_attempt_at;
    its content:
        "message"             Own    Text   |it| it.content.text.as_deref();
        "payload"             Alike  Json   |it| it.content.payload.as_deref();
        "media_url"           Alike  Text   |it| it.content.media.as_ref().map(|media| media.url.as_str());
        "media_type"          Alike  Text   |it| it.content.media.as_ref().map(|media| media.media_type.as_str());
        "template"            Alike  Json   |it| it.content.template.as_deref();
        "record"              Alike  Json   |it| it.content.record.as_deref();
    set later:
        "channel_message_id" "error" "failure" "attempt_http_status" "dead_lettered_at" "sent_at" "delivered_at" "read_at"
        "deferrals" "deferred_since" "unanswered" "replays"
}
pub(in crate::infrastructure::storage) use {message_columns, message_columns_with_content_if};

/// What an accept sets, in the order of its parameters.
pub const COLUMNS: &[Column] = SET_BY_AN_ACCEPT;

/// What a message has beside them that a channel brought.
pub const OF_RECEIVED: &[Column] = &[
    Column { name: "channel_message_id", share: Share::Own, value: Value::Text(|it| it.channel_message_id.as_deref()) },
    Column { name: "sent_at", share: Share::Own, value: Value::Time(|it| it.sent_at) },
    Column { name: "delivered_at", share: Share::Own, value: Value::Time(|it| it.delivered_at) },
];

/// What a message of a broadcast has beside them that failed before it was sent.
pub const OF_BROADCASTS: &[Column] = &[
    Column { name: "error", share: Share::Own, value: Value::Text(|it| it.error.as_deref()) },
    Column { name: "failure", share: Share::Own, value: Value::Text(|it| it.failure.map(FailureKind::as_str)) },
    Column { name: "dead_lettered_at", share: Share::Own, value: Value::Time(|it| it.dead_lettered_at) },
];

/// The names, with commas.
pub fn names() -> String {
    COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}
