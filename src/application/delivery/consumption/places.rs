//! How much is under way at the same time, by what it is at.

use super::limits::{
    HANGING_BYTES, HANGING_PER_CALL, PUT_OFF_AT_ONCE, RECORDING_BYTES, RECORDING_PER_CALL, SET_ASIDE_AT_ONCE,
    SET_ASIDE_BYTES,
};

/// What the work on a record is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Calling,
    /// Calling for so long that others get its place.
    Hanging,
    /// Its call is over.
    Recording,
    SettingAside,
    PuttingOff,
}

#[derive(Default)]
pub struct Places {
    calling: Held,
    hanging: Held,
    recording: Held,
    setting_aside: Held,
    putting_off: Held,
}

/// So many, with so many bytes of records.
#[derive(Default)]
struct Held {
    count: usize,
    bytes: usize,
}

impl Held {
    /// One alone may be of any size.
    fn has_room(&self, size: usize, most: usize, bytes: usize) -> bool {
        self.count == 0 || (self.count < most && self.bytes.saturating_add(size) <= bytes)
    }
}

impl Places {
    pub fn has_room_to_call(&self, concurrency: usize) -> bool {
        let may_record = concurrency.saturating_mul(RECORDING_PER_CALL);
        self.calling.count < concurrency && self.recording.has_room(0, may_record, RECORDING_BYTES)
    }

    pub fn has_room_to_hang(&self, concurrency: usize, size: usize) -> bool {
        self.hanging.has_room(size, concurrency.saturating_mul(HANGING_PER_CALL), HANGING_BYTES)
    }

    pub fn has_room_to_set_aside(&self, size: usize) -> bool {
        self.setting_aside.has_room(size, SET_ASIDE_AT_ONCE, SET_ASIDE_BYTES)
    }

    pub fn has_room_to_put_off(&self) -> bool {
        self.putting_off.count < PUT_OFF_AT_ONCE
    }

    pub fn enter(&mut self, phase: Phase, size: usize) {
        let held = self.held(phase);
        held.count += 1;
        held.bytes += size;
    }

    pub fn leave(&mut self, phase: Phase, size: usize) {
        let held = self.held(phase);
        held.count = held.count.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(size);
    }

    pub fn change(&mut self, phase: &mut Phase, next: Phase, size: usize) {
        self.leave(*phase, size);
        self.enter(next, size);
        *phase = next;
    }

    fn held(&mut self, phase: Phase) -> &mut Held {
        match phase {
            Phase::Calling => &mut self.calling,
            Phase::Hanging => &mut self.hanging,
            Phase::Recording => &mut self.recording,
            Phase::SettingAside => &mut self.setting_aside,
            Phase::PuttingOff => &mut self.putting_off,
        }
    }
}
