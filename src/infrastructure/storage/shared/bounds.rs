//! What either database can hold, and how much of it is looked at; and what waits for a receipt, in the words of its index in both.

/// The largest number of a column, in either database. A `try` that has reached it cannot go up any more.
pub const LARGEST_NUMBER: u32 = i32::MAX.cast_unsigned();

/// What stands in the row instead of a text that the database refused.
pub const UNSTORABLE: &str = "(the database could not store what the channel said)";

/// How many of the messages that one node owns are checked at a time for being lost. No index serves this: one on
/// `updated_at` would be written with every message, for what hardly ever happens. So the check begins with the oldest,
/// and where these are all in order, it goes no further: the younger are found when the older have ended.
pub const ASKED_IF_LOST: u32 = 10_000;

/// The channels that give receipts. Another one is added by a migration that makes the index and the view anew.
pub const GIVE_RECEIPTS: [&str; 2] = ["whatsapp_evolution", "whatsapp_oficial"];

/// In the text and not as a parameter: without it no index of what waits is known to serve. Evolution reports nothing of what is
/// sent to a group.
macro_rules! awaits_receipt {
    () => {
        "messages.status = 'sent'
         and messages.channel in ('whatsapp_evolution', 'whatsapp_oficial')
         and (messages.channel <> 'whatsapp_evolution'
              or (messages.remote_jid not like '%@g.us' and messages.remote_jid not like '%-%'))"
    };
}
pub(in crate::infrastructure::storage) use awaits_receipt;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_names_the_channels() {
        assert!(awaits_receipt!().contains(&GIVE_RECEIPTS.map(|name| format!("'{name}'")).join(", ")));
    }
}
