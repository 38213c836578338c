//! What either database can hold, and how much of it is looked at.

/// The largest number of a column, in either database. A `try` that has reached it cannot go up any more.
pub const LARGEST_NUMBER: u32 = i32::MAX.cast_unsigned();

/// What stands in the row instead of a text that the database refused.
pub const UNSTORABLE: &str = "(the database could not store what the channel said)";

/// How many of the messages that one node owns are checked at a time for being lost. No index serves this: one on
/// `updated_at` would be written with every message, for what hardly ever happens. So the check begins with the oldest,
/// and where these are all in order, it goes no further: the younger are found when the older have ended.
pub const ASKED_IF_LOST: u32 = 10_000;
