//! Bells that tell the loops which handle events that there is something to do.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;

use crate::domain::event::Step;

/// One for each kind of step. Clones are the same bells.
#[derive(Clone, Default)]
pub struct Bells(Arc<[Bell; Step::ALL.len()]>);

/// A bell that one loop waits for.
#[derive(Default)]
pub struct Bell {
    has_rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bells {
    /// An event was stored.
    pub fn ring(&self) {
        self.0.iter().for_each(Bell::ring);
    }

    /// Resolves when it has rung since the last time that this resolved for this step.
    pub async fn rung(&self, step: Step) {
        if let Some(bell) = Step::ALL.iter().position(|known| *known == step).and_then(|place| self.0.get(place)) {
            bell.rung().await;
        }
    }
}

impl Bell {
    fn ring(&self) {
        self.has_rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn rung(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            match self.has_rung.swap(false, Ordering::AcqRel) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_bell_that_rang_before_it_was_waited_for_is_heard_once_by_each() {
        let bells = Bells::default();
        assert_eq!(bells.rung(Step::Route).now_or_never(), None);
        bells.clone().ring();
        bells.ring();
        for step in Step::ALL {
            assert_eq!(bells.rung(step).now_or_never(), Some(()));
            assert_eq!(bells.rung(step).now_or_never(), None);
        }
    }
}
