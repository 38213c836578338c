//! Every write of a message's state, one file per kind of statement. The states that each guards on and leads to are
//! those of its change in the domain: `storage/changes_tests.rs` compares them.

mod accepts;
pub mod cancellation;
mod claims;
mod deferrals;
mod deletion;
mod free_rows;
pub mod giving_back;
mod outcomes;
#[cfg(test)]
mod plan_tests;
pub mod receiving;
pub mod relaying;
pub mod replays;

#[cfg(test)]
use crate::domain::message::transition::{self, Change};

pub use accepts::{Accepts, insert_all, insert_messages, insert_those_missing};
pub use cancellation::cancel_of_broadcast;
pub use claims::{Claims, claims};
pub use deferrals::Deferrals;
pub use deletion::fail_open_messages;
pub use outcomes::{LostClaims, Outcomes, outcomes};
pub use receiving::{Receptions, Undecided, decide, receive, settled};

/// What each change is in SQL.
#[cfg(test)]
pub const STATEMENTS: [(&Change, &[&str]); 19] = [
    (&transition::END, &[outcomes::RECORD, outcomes::RECORD_WITH_ATTEMPTS]),
    (&transition::CLAIM_AND_END, &[outcomes::CLAIM_AND_RECORD]),
    (&transition::CLAIM, &[claims::CLAIM]),
    (&transition::TAKE, &[relaying::TAKE, relaying::TAKE_IN_TURNS]),
    (&transition::GIVE_BACK, &[giving_back::GIVE_BACK]),
    (&transition::MAKE_DUE, &[giving_back::MAKE_DUE]),
    (&transition::DEFER, &[deferrals::DEFER]),
    (&transition::RETIME, &[giving_back::RETIME]),
    (&transition::RETIME, &[giving_back::CALL_IN]),
    (&transition::RETIME, &[giving_back::RECALL]),
    (&transition::REPLAY, &[replays::REPLAY]),
    (&transition::REPLAY, &[replays::REPLAY_MATCHING]),
    (&transition::CANCEL, &[cancellation::CANCEL]),
    (&transition::CANCEL, &[cancellation::CANCEL_OF_BROADCAST]),
    (&transition::FAIL, &[deletion::FAIL]),
    (&transition::RECEIPT_SENT, &[receiving::SENT]),
    (&transition::RECEIPT_DELIVERED, &[receiving::DELIVERED]),
    (&transition::RECEIPT_READ, &[receiving::READ]),
    (&transition::RECEIPT_FAILED, &[receiving::FAILED]),
];
