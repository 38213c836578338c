//! The permission for one call: asked for before it, and what follows from how it ended.

use std::time::Duration;

use futures::FutureExt;
use tracing::debug;

use super::known::{Breaking, LONGEST_REASON};
use super::permit::{Called, LEEWAY, Permit, Probe, Refused};
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{ProbeAsked, ProbeEnded};
use crate::domain::instance::breaker::{BreakerOf, ProbeEnd, Said, pause};
use crate::domain::message::MessageId;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::text::storable;

/// With what is called, if that has breakers.
pub struct CallPermit(Option<(Called, Permit)>);

impl CallPermit {
    pub fn of(called: Called, permit: Permit) -> Self {
        Self(Some((called, permit)))
    }

    pub fn none() -> Self {
        Self(None)
    }

    /// Whether the call may begin now.
    pub fn is_good(&self, now: Duration) -> bool {
        self.0.as_ref().is_none_or(|(_, permit)| permit.is_good(now))
    }

    /// How the call ended.
    pub fn heard(self, breaking: &Breaking, verdict: &Result<Acceptance, DeliveryError>) {
        if let Some((called, permit)) = self.0 {
            breaking.heard(&called, permit, verdict);
        }
    }

    /// No call was made.
    pub fn give_back(self, breaking: &Breaking) {
        if let Some((_, permit)) = self.0 {
            breaking.give_back(permit);
        }
    }
}

/// That of a message which is not stored yet; the probe is free again when this is dropped before it was used.
pub struct KeptPermit {
    breaking: Breaking,
    message: MessageId,
}

/// Who was refused a probe that seemed to be free asks again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

const NO_ANSWER: &str = "Whether its destination may be called again cannot be read.";

impl Breaking {
    /// Asked for right before the call. As long as no breaker is open, the answer is there at once.
    ///
    /// # Errors
    /// It may not be called now.
    pub async fn permit(&self, called: &Called) -> Result<Permit, Refused> {
        self.learn(called.instance, called.of_host().as_ref());
        if let Err(error) = self.read_first().await {
            debug!(%error, "which breakers are open is not known");
            return Err(Refused { reason: NO_ANSWER.to_owned(), pause: ASK_AGAIN });
        }
        if !self.has_any() {
            return Ok(Permit::default());
        }
        let mut permit = Permit::default();
        for of in called.all() {
            if !self.state().view.has(&of) {
                continue;
            }
            match self.probe(&of, called.longest_call).await {
                Ok(probe) => permit.probes.push(probe),
                Err(refused) => {
                    self.give_back(permit);
                    return Err(refused);
                }
            }
        }
        Ok(permit)
    }

    /// For a caller that waits, before its message is stored: as long as it is known that the time of the probe has not come,
    /// the database is not asked.
    ///
    /// # Errors
    /// It may not be called now. Without an end the pause is the longest one.
    pub async fn ask(&self, called: &Called) -> Result<Permit, Refused> {
        self.learn(called.instance, called.of_host().as_ref());
        let now = self.clock.monotonic();
        let barred = {
            let state = self.state();
            called.all().find(|of| state.view.bars(of, now)).map(|of| {
                let pause = state.view.next_probe(&of, now).map_or(Duration::MAX, |pause| pause.max(ASK_AGAIN));
                Refused { reason: state.view.reason(&of).unwrap_or_default(), pause }
            })
        };
        match barred {
            Some(refused) => Err(refused),
            None => self.permit(called).await,
        }
    }

    async fn probe(&self, of: &BreakerOf, longest_call: Duration) -> Result<Probe, Refused> {
        let (name, asked_at) = (self.ids.next(), self.clock.monotonic());
        let lease = longest_call.saturating_add(LEEWAY);
        let asked = ProbeAsked { of: of.clone(), probe: name, lease, now: self.clock.now() };
        match self.breakers.probe(&asked).await {
            Ok(Some(failed_probes)) => {
                self.state().view.probes(of, asked_at.saturating_add(lease));
                debug!(breaker.of = %of, failed_probes, "probing");
                let begins_before = asked_at.saturating_add(LEEWAY);
                Ok(Probe { of: of.clone(), name, failed_probes, begins_before })
            }
            Ok(None) => {
                let now = self.clock.monotonic();
                let mut state = self.state();
                let reason = state.view.reason(of).unwrap_or_else(|| NO_ANSWER.to_owned());
                let pause = state.view.next_probe(of, now).unwrap_or_default().max(ASK_AGAIN);
                // What this process knows of it is old.
                state.view.ask_later(of, now.saturating_add(pause));
                Err(Refused { reason, pause })
            }
            Err(error) => {
                debug!(breaker.of = %of, %error, "whether it may be probed is not known");
                Err(Refused { reason: NO_ANSWER.to_owned(), pause: ASK_AGAIN })
            }
        }
    }

    /// How the call ended.
    pub fn heard(&self, called: &Called, permit: Permit, verdict: &Result<Acceptance, DeliveryError>) {
        let (of_instance, of_host) = (Said::of(verdict), Said::of_host(verdict));
        let mut probes = permit.probes;
        for of in called.all() {
            let said = if of.instance().is_some() { of_instance } else { of_host };
            match probes.iter().position(|probe| probe.of == of) {
                Some(index) => self.probed(probes.swap_remove(index), said, verdict),
                None => self.seen(of, called, said, verdict),
            }
        }
    }

    fn probed(&self, probe: Probe, said: Said, verdict: &Result<Acceptance, DeliveryError>) {
        let failed = probe.failed_probes.saturating_add(1);
        let reason = verdict.as_ref().err().map_or_else(String::new, |error| storable(&error.reason, LONGEST_REASON));
        // A host is in nobody's hands.
        let disable_after = self.disable_after.filter(|_| probe.of.instance().is_some());
        let end = match said {
            Said::Works => ProbeEnd::Works,
            Said::Fails => ProbeEnd::Fails { reason, pause: pause(failed), disable_after },
            Said::Nothing => ProbeEnd::Nothing { pause: pause(probe.failed_probes) },
        };
        self.end(probe, end);
    }

    /// No call was made.
    pub fn give_back(&self, permit: Permit) {
        for probe in permit.probes {
            self.end(probe, ProbeEnd::Nothing { pause: Duration::ZERO });
        }
    }

    /// Here at once, elsewhere when it is written.
    fn end(&self, probe: Probe, end: ProbeEnd) {
        let (of, name) = (probe.of, probe.name);
        let (now, time) = (self.clock.monotonic(), self.clock.now());
        let is_closed = {
            let mut state = self.state();
            state.view.begins(&of);
            match &end {
                ProbeEnd::Works => _ = state.view.close(&of, now),
                ProbeEnd::Fails { pause, reason, .. } => {
                    state.view.probe_again(&of, now.saturating_add(*pause), Some(reason.clone()));
                }
                ProbeEnd::Nothing { pause } => state.view.probe_again(&of, now.saturating_add(*pause), None),
            }
            self.count_open(&state);
            end == ProbeEnd::Works
        };
        let breaking = self.clone();
        let write = async move {
            let write = || {
                let ended = ProbeEnded { of: of.clone(), probe: name, end: end.clone(), now: time };
                let breakers = breaking.breakers.clone();
                async move { breakers.end(&ended).await }
            };
            // Without it, the probe's time runs out, and another one is made.
            let written = until_answered(breaking.clock.as_ref(), write).await;
            breaking.state().view.ended(&of, breaking.clock.monotonic());
            if is_closed && written.is_ok() {
                breaking.has_closed(&of);
            }
        };
        self.tasks.spawn(write.boxed());
    }

    /// For a message that is about to be stored.
    pub fn keep(&self, message: MessageId, permit: Permit) -> KeptPermit {
        self.state().kept.insert(message, permit);
        KeptPermit { breaking: self.clone(), message }
    }

    pub fn kept(&self, message: MessageId) -> Option<Permit> {
        if !self.has_any() {
            return None;
        }
        self.state().kept.remove(&message)
    }
}

impl Drop for KeptPermit {
    fn drop(&mut self) {
        let unused = self.breaking.state().kept.remove(&self.message);
        if let Some(permit) = unused {
            self.breaking.give_back(permit);
        }
    }
}
