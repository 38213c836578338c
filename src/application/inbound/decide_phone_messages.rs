use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;

use super::resolve_sends::ResolveSends;
use crate::application::Stop;
use crate::application::ports::{Clock, ReceivedMessages, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::Timestamp;

/// Decides which of the messages that an instance has sent were written on its phone: those whose name none of ours has, once
/// every try that was under way when they came has ended.
///
/// A provider reports what we send, too, and may do so before it answers us: by the name alone, which we learn from the answer, it
/// cannot be told from what was written on a linked device.
///
/// The time alone decides nothing: an outcome may wait for a database that is away, and clocks may be wrong. What may get its name yet
/// is left for later by [`ReceivedMessages::decide`], as far as rows say it; and after an outage, or a start, which may come after one,
/// processes have time to record what they hold.
pub struct DecidePhoneMessages {
    received: Arc<dyn ReceivedMessages>,
    /// What is a message of ours whose answer was lost has its name before the others are decided.
    sends: ResolveSends,
    clock: Arc<dyn Clock>,
    /// How long a try may take.
    longest_try: Duration,
    /// Since when the database has answered every time, by the monotonic clock.
    answers_since: Option<Duration>,
}

/// For the outcome of a try to be recorded.
const RECORDING: Duration = Duration::from_secs(30);

/// The same after an outage: a crash of the database may have taken claims back, so that rows do not say who is under way.
const SETTLING: Duration = Duration::from_secs(60);

impl DecidePhoneMessages {
    pub fn new(
        received: Arc<dyn ReceivedMessages>,
        sends: ResolveSends,
        clock: Arc<dyn Clock>,
        longest_try: Duration,
    ) -> Self {
        Self { received, sends, clock, longest_try, answers_since: None }
    }

    /// Decides nothing that was kept at this moment or later.
    async fn decide(&self, before: Timestamp, stop: &Stop) -> Result<(), RepositoryError> {
        self.sends.resolve(before, stop).await?;
        while self.received.decide(before, self.clock.now()).await? {
            if stop.clone().now_or_never().is_some() {
                break;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Repeated for DecidePhoneMessages {
    fn name(&self) -> &'static str {
        "phone-messages"
    }

    fn purpose(&self) -> &'static str {
        "store what was written on phones"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let now = self.clock.monotonic();
        let has_settled = self.answers_since.is_some_and(|since| now.saturating_sub(since) >= SETTLING);
        let before = match has_settled {
            true => self.clock.now() - (self.longest_try + RECORDING),
            // Nothing was: it is asked whether the database answers.
            false => Timestamp::UNIX_EPOCH,
        };
        let decided = self.decide(before, stop).await;
        self.answers_since = decided.as_ref().ok().map(|()| self.answers_since.unwrap_or(now));
        decided
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::application::ports::{ReceiptInbox, Received, ReportedSends, Swept};
    use crate::application::receipts::ReceiveReceipts;
    use crate::domain::instance::InstanceId;
    use crate::domain::message::MessageId;
    use crate::domain::message::dead_letter::DeadLetterPolicy;
    use crate::domain::receipt::{ChannelMessage, Receipt, ReportedSend, UnknownFailure};

    /// A clock that is moved by hand, and a database that is away or not.
    #[derive(Default)]
    struct World {
        seconds: Mutex<u64>,
        is_away: Mutex<bool>,
        asked: Mutex<Vec<Timestamp>>,
    }

    #[async_trait]
    impl Clock for World {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000) + self.monotonic()
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(*self.seconds.lock().unwrap())
        }

        async fn sleep(&self, _: Duration) {}
    }

    #[async_trait]
    impl ReceivedMessages for World {
        async fn store(&self, _: &Received) -> Result<bool, RepositoryError> {
            Ok(false)
        }

        async fn keep(&self, _: &Received) -> Result<(), RepositoryError> {
            Ok(())
        }

        async fn decide(&self, before: Timestamp, _: Timestamp) -> Result<bool, RepositoryError> {
            if *self.is_away.lock().unwrap() {
                return Err(RepositoryError::Unavailable("away".to_owned()));
            }
            self.asked.lock().unwrap().push(before);
            Ok(false)
        }
    }

    #[async_trait]
    impl ReportedSends for World {
        async fn keep(&self, _: &ReportedSend, _: Timestamp) -> Result<(), RepositoryError> {
            Ok(())
        }

        async fn due(&self, _: Timestamp, _: u32) -> Result<Vec<ReportedSend>, RepositoryError> {
            Ok(Vec::new())
        }

        async fn unknown_failures(
            &self,
            _: InstanceId,
            _: (Timestamp, Timestamp),
        ) -> Result<Vec<UnknownFailure>, RepositoryError> {
            Ok(Vec::new())
        }

        async fn settle(&self, _: &ReportedSend, _: Option<&UnknownFailure>) -> Result<bool, RepositoryError> {
            Ok(false)
        }
    }

    #[async_trait]
    impl ReceiptInbox for World {
        async fn store(&self, _: &Receipt, _: Timestamp) -> Result<(), RepositoryError> {
            Ok(())
        }

        async fn apply(&self, _: &ChannelMessage, _: Option<Timestamp>, _: Timestamp) -> Result<(), RepositoryError> {
            Ok(())
        }

        async fn apply_to(&self, _: MessageId, _: Option<Timestamp>, _: Timestamp) -> Result<(), RepositoryError> {
            Ok(())
        }

        async fn sweep(
            &self,
            _: Option<&Swept>,
            _: Timestamp,
            _: Option<Timestamp>,
            _: Timestamp,
        ) -> Result<Option<Swept>, RepositoryError> {
            Ok(None)
        }
    }

    #[test]
    fn nothing_is_decided_until_a_minute_after_a_start_or_an_outage() {
        let world = Arc::new(World::default());
        let receipts =
            ReceiveReceipts { inbox: world.clone(), clock: world.clone(), dead_letters: DeadLetterPolicy::Row };
        let sends = ResolveSends { sends: world.clone(), receipts };
        let mut decide = DecidePhoneMessages::new(world.clone(), sends, world.clone(), Duration::from_secs(190));
        let never: Stop = futures::future::pending().boxed().shared();
        let mut decides = |at: u64, is_away: bool| {
            *world.seconds.lock().unwrap() = at;
            *world.is_away.lock().unwrap() = is_away;
            let done = decide.round(&never).now_or_never().unwrap();
            assert_eq!(done.is_err(), is_away);
            let asked = std::mem::take(&mut *world.asked.lock().unwrap());
            asked.into_iter().any(|before| before > Timestamp::UNIX_EPOCH)
        };
        assert_eq!((decides(0, false), decides(59, false), decides(60, false)), (false, false, true));
        assert!(decides(70, false) && !decides(80, true) && !decides(400, true));
        assert_eq!((decides(410, false), decides(460, false), decides(470, false)), (false, false, true));
    }
}
