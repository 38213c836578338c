//! What calls that are no probes say of a destination, and a breaker that opens for it.

use futures::FutureExt;
use tracing::warn;

use super::known::{Breaking, LONGEST_REASON};
use super::permit::Called;
use super::view::OpenBreaker;
use crate::application::ports::Opening;
use crate::application::ports::until_answered::until_answered;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::breaker::{BreakerOf, BreakerState, Opens, Said, pause};
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::text::storable;

impl Breaking {
    pub(super) fn seen(&self, of: BreakerOf, called: &Called, said: Said, verdict: &Result<Acceptance, DeliveryError>) {
        if said == Said::Nothing {
            return;
        }
        let now = self.clock.monotonic();
        let opens = {
            let mut state = self.state();
            // It was begun before this opened.
            if state.view.has(&of) {
                return;
            }
            state.seen.heard(&of, said == Said::Fails, now)
        };
        let Some(opens) = opens else { return };
        let last = verdict.as_ref().err().map_or("", |error| error.reason.as_str());
        let reason = match opens {
            Opens::InARow => last.to_owned(),
            Opens::Half { failed, of } => {
                format!("{failed} of {of} calls failed within a minute, the last one with: {last}")
            }
        };
        self.opens(of, &called.tenant, reason);
    }

    /// It fails: here at once, elsewhere when this is written.
    fn opens(&self, of: BreakerOf, tenant: &Tenant, reason: String) {
        let reason = storable(&reason, LONGEST_REASON);
        warn!(breaker.of = %of, reason, "the destination fails: it is not called until a probe shows that it works");
        let (now, time) = (self.clock.monotonic(), self.clock.now());
        {
            let mut state = self.state();
            let breaker =
                OpenBreaker { state: BreakerState::Open, since: time, reason: reason.clone(), disabled_at: None };
            state.view.open(&of, breaker, now.saturating_add(pause(0)));
            state.view.begins(&of);
            self.count_open(&state);
        }
        let (breaking, tenant) = (self.clone(), tenant.clone());
        let write = async move {
            let write = || {
                let opening = Opening {
                    of: of.clone(),
                    tenant: tenant.clone(),
                    reason: reason.clone(),
                    pause: pause(0),
                    now: time,
                };
                let breakers = breaking.breakers.clone();
                async move { breakers.open(&opening).await }
            };
            if let Err(error) = until_answered(breaking.clock.as_ref(), write).await {
                warn!(breaker.of = %of, %error, "that it is open cannot be written: other processes do not hear of it");
            }
            breaking.state().view.ended(&of, breaking.clock.monotonic());
        };
        self.tasks.spawn(write.boxed());
    }
}
