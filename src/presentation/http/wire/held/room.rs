use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that may be held at the same time. Copies share it.
#[derive(Clone)]
pub struct ByteRoom {
    free: Arc<Semaphore>,
    all: u32,
}

/// Some of these bytes, free again when this is dropped.
pub struct HeldBytes {
    room: ByteRoom,
    permit: Option<OwnedSemaphorePermit>,
}

impl ByteRoom {
    pub fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// To be grown.
    pub fn nothing(&self) -> HeldBytes {
        HeldBytes { room: self.clone(), permit: None }
    }

    /// Waits for them, in turn.
    pub async fn hold(&self, bytes: usize) -> HeldBytes {
        // It is never closed.
        let permit = self.free.clone().acquire_many_owned(self.at_most(bytes)).await.ok();
        HeldBytes { room: self.clone(), permit }
    }

    /// What is larger than the room is alone in it.
    fn at_most(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.all)
    }
}

impl HeldBytes {
    /// Holds so many bytes from now on. False when there are not as many more; then it holds what it held.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let wanted = self.room.at_most(bytes) as usize;
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted <= held {
            drop(self.permit.as_mut().and_then(|permit| permit.split(held - wanted)));
            return true;
        }
        let more = u32::try_from(wanted - held).unwrap_or(u32::MAX);
        let Ok(more) = self.room.free.clone().try_acquire_many_owned(more) else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_held_is_free_for_others_when_it_shrinks_or_is_dropped() {
        let room = ByteRoom::new(10);
        let (mut first, mut second) = (room.nothing(), room.nothing());
        assert!(first.resize(6) && second.resize(4));
        assert!(!second.resize(5));
        assert!(first.resize(5) && second.resize(5));
        drop(first);
        assert!(second.resize(10));
    }

    #[test]
    fn what_is_larger_than_the_room_is_alone_in_it() {
        let room = ByteRoom::new(10);
        let mut large = room.nothing();
        assert!(large.resize(11));
        assert!(large.resize(1_000));
        assert!(!room.nothing().resize(1));
        assert!(room.hold(1).now_or_never().is_none());
        drop(large);
        assert!(room.hold(1_000).now_or_never().is_some());
    }
}
