//! Every write of a message's state, one file per kind of statement. The states that each guards on and leads to are
//! those of its change in the domain: `storage/changes_tests.rs` compares them.

mod accepts;
pub mod cancellation;
mod claims;
mod deferrals;
mod deletion;
mod outcomes;
#[cfg(test)]
mod plan_tests;
pub mod receiving;
pub mod relaying;
pub mod replays;
pub mod retiming;
pub mod turns;

#[cfg(test)]
use crate::domain::message::transition::{self, Change};

pub use accepts::{Accepts, insert_all, insert_messages, insert_those_missing};
pub use cancellation::cancel_of_broadcast;
pub use claims::Claims;
pub use deferrals::Deferrals;
pub use deletion::fail_open_messages;
pub use outcomes::{LostClaims, Outcomes, outcomes};
pub use receiving::{Receptions, Undecided, decide, receive};

/// What each change is in SQL.
#[cfg(test)]
pub const STATEMENTS: [(&Change, &[&str]); 19] = [
    (&transition::END, &outcomes::RECORD),
    (&transition::CLAIM_AND_END, &outcomes::CLAIM_AND_RECORD),
    (&transition::CLAIM, &[claims::CLAIM, claims::CLAIMED]),
    (&transition::TAKE, &[relaying::DUE, relaying::TAKE, turns::DUE_IN_TURNS]),
    (&transition::GIVE_BACK, &[relaying::GIVE_BACK]),
    (&transition::MAKE_DUE, &[relaying::MAKE_DUE]),
    (&transition::DEFER, &[deferrals::DEFER]),
    (&transition::RETIME, &[retiming::RETIME]),
    (&transition::RETIME, &[retiming::CALL_IN]),
    (&transition::RETIME, &[retiming::RECALL]),
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
