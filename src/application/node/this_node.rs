use std::sync::Arc;
use std::time::Duration;

use super::answered_claims::AnsweredClaims;
use super::held_messages::HeldMessages;
use super::node_identity::NodeIdentity;
use super::tally::Tally;
use super::unreconciled::Unreconciled;
use super::watch_nodes::Sightings;
use crate::application::access::met_tenants::MetTenants;
use crate::application::events::reporting::event_tally::EventTally;
use crate::application::hindrances::Hindrances;
use crate::application::messages::early_answers::EarlyAnswers;
use crate::application::ports::Clock;
use crate::application::topics::confirmations::Confirmations;

/// What this process knows of itself: its name, what it holds, what its rows do not say yet, what it has done and what it cannot do, whether it has met several
/// tenants; and what it has seen of the others. Copies share it.
#[derive(Clone)]
pub struct ThisNode {
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub answered: AnsweredClaims,
    pub early: EarlyAnswers,
    pub confirmations: Confirmations,
    pub unreconciled: Unreconciled,
    pub tally: Tally,
    pub events: EventTally,
    pub hindrances: Hindrances,
    pub tenants: MetTenants,
    pub sightings: Sightings,
}

impl ThisNode {
    /// Without a name yet. A name without a heartbeat for `timeout` is no longer good.
    pub fn new(clock: Arc<dyn Clock>, timeout: Duration) -> Self {
        Self {
            identity: NodeIdentity::new(clock.clone(), timeout),
            held: HeldMessages::default(),
            answered: AnsweredClaims::default(),
            early: EarlyAnswers::default(),
            confirmations: Confirmations::default(),
            unreconciled: Unreconciled::default(),
            tally: Tally::default(),
            events: EventTally::default(),
            hindrances: Hindrances::new(clock.clone()),
            tenants: MetTenants::default(),
            sightings: Sightings::new(clock, timeout),
        }
    }
}
