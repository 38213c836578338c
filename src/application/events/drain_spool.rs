use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::join_all;
use tracing::{error, info};

use super::bells::Bells;
use super::database_gate::DatabaseGate;
use crate::application::Stop;
use crate::application::ports::{
    EmergencySwitch, EventRepository, EventSpool, NewEvent, Portion, RepositoryError, SpoolError, Storage,
};
use crate::application::service::Repeated;

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Events that are stored at the same time: callers who store one beside them wait for no more.
const TOGETHER: usize = 256;

/// Empties the spool into the database, oldest first, whenever that takes events.
pub struct DrainSpool {
    pub spool: Arc<dyn EventSpool>,
    pub events: Arc<dyn EventRepository>,
    pub storage: Arc<dyn Storage>,
    pub emergency: Arc<dyn EmergencySwitch>,
    pub gate: DatabaseGate,
    pub bells: Bells,
}

#[async_trait]
impl Repeated for DrainSpool {
    fn name(&self) -> &'static str {
        "spool"
    }

    fn purpose(&self) -> &'static str {
        "store the events that wait in the spool"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        if self.emergency.is_on() {
            return Ok(());
        }
        let mut stored = 0;
        let drained = self.drain(stop, &mut stored).await;
        if stored > 0 {
            info!(events = stored, "events of the spool were stored");
        }
        drained?;
        if !self.gate.is_open() && !self.emergency.is_on() {
            self.storage.ping().await?;
            self.gate.open();
        }
        Ok(())
    }
}

impl DrainSpool {
    /// Everything that waits; says how much it was.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn drain(&self, stop: &Stop, stored: &mut u64) -> Result<(), RepositoryError> {
        while self.goes_on(stop) {
            let portion = match self.spool.oldest().await {
                Ok(Some(portion)) => portion,
                Ok(None) => return Ok(()),
                Err(cause) => return unread(&cause),
            };
            if !self.store(&portion, stop, stored).await? {
                return Ok(());
            }
            if let Err(cause) = self.spool.discard(portion.number).await {
                return unread(&cause);
            }
            self.bells.ring();
        }
        Ok(())
    }

    /// An emergency may begin while much is stored.
    fn goes_on(&self, stop: &Stop) -> bool {
        stop.clone().now_or_never().is_none() && !self.emergency.is_on()
    }

    /// Whether all of it was: what is stored once more, as the rest is, is known.
    async fn store(&self, portion: &Portion, stop: &Stop, stored: &mut u64) -> Result<bool, RepositoryError> {
        for chunk in portion.events.chunks(TOGETHER) {
            if !self.goes_on(stop) {
                return Ok(false);
            }
            let answers = join_all(chunk.iter().map(|new| self.events.store(new))).await;
            for (new, answer) in chunk.iter().zip(answers) {
                match answer {
                    Ok(_) => *stored += 1,
                    Err(error) if error.may_pass() => return Err(error),
                    Err(error) => self.set_aside(new, &error).await?,
                }
            }
            self.gate.open();
        }
        Ok(true)
    }

    async fn set_aside(&self, new: &NewEvent, error: &RepositoryError) -> Result<(), RepositoryError> {
        // Not discarded before it is kept elsewhere.
        let kept = self.spool.set_aside(new, &error.to_string()).await;
        kept.map_err(|cause| RepositoryError::Unavailable(cause.to_string()))
    }
}

/// The next round tries again.
fn unread(cause: &SpoolError) -> Result<(), RepositoryError> {
    error!(%cause, "the spool cannot be emptied");
    Ok(())
}
