//! What the SQL adapters share: how a decision of the application becomes columns.

mod batcher;
mod bounds;
pub mod broadcasts;
pub mod columns;
pub mod events;
mod flaws;
pub mod groups;
mod ids;
pub mod migrations;
mod outcome_row;
mod recording;
mod requests;
pub mod rows;
pub mod status_webhooks;
pub mod subscriptions;

pub use batcher::{Batch, Batchable, Batcher};
pub(in crate::infrastructure::storage) use bounds::awaits_receipt;
pub use bounds::{ASKED_IF_LOST, GIVE_RECEIPTS, LARGEST_NUMBER, UNSTORABLE};
pub use flaws::Flaws;
pub use ids::{
    MONDAY, WEEK, first_id, id_above, id_ahead, id_of_those_before, id_of_those_since, time_of, tomorrow, week_of,
};
pub use outcome_row::OutcomeRow;
pub use recording::Recording;
pub use requests::{
    AcceptRequest, ApplyRequest, ClaimRequest, PaidRequest, ReceiptsOf, ReceivedRequest, RecordRequest, StoreRequest,
};
