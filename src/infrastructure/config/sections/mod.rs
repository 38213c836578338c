//! The table of settings, a file a section: each declares its variables, says what operators read about them, and reads them.

pub mod access;
pub mod channels;
pub mod delivery;
pub mod events;
pub mod http;
pub mod kafka;
pub mod logs;
mod postgres_url;
pub mod providers;
pub mod sources;
pub mod storage;

use super::setting::Section;

/// Every setting there is, in the order in which operators read about them.
pub const SECTIONS: &[Section] = &[
    http::SECTION,
    storage::SECTION,
    access::SECTION,
    access::limits::SECTION,
    delivery::SECTION,
    channels::SECTION,
    providers::SECTION,
    events::SECTION,
    sources::SECTION,
    kafka::SECTION,
    kafka::security::SECTION,
    kafka::topics::SECTION,
    logs::SECTION,
];

/// The name of every variable that is read.
pub fn variables() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().flat_map(|section| section.settings).map(|entry| entry.name)
}
