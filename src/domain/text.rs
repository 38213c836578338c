//! Limits on texts from outside.

/// Cuts what a channel said down to something that fits a row: U+0000, which PostgreSQL cannot store, is removed, and
/// at most `limit` characters are kept.
pub fn storable(text: &str, limit: usize) -> String {
    text.chars().filter(|&character| character != '\0').take(limit).collect()
}
