//! How much is under way at the same time, by what it is at.

use super::limits::{HANGING_PER_CALL, PUT_OFF_AT_ONCE, RECORDING_PER_CALL, SET_ASIDE_AT_ONCE, SET_ASIDE_BYTES};

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
    calling: usize,
    hanging: usize,
    recording: usize,
    setting_aside: usize,
    setting_aside_bytes: usize,
    putting_off: usize,
}

impl Places {
    pub fn has_room_to_call(&self, concurrency: usize) -> bool {
        self.calling < concurrency && self.recording < concurrency.saturating_mul(RECORDING_PER_CALL)
    }

    pub fn has_room_to_hang(&self, concurrency: usize) -> bool {
        self.hanging < concurrency.saturating_mul(HANGING_PER_CALL)
    }

    pub fn has_room_to_set_aside(&self, size: usize) -> bool {
        let fits = self.setting_aside < SET_ASIDE_AT_ONCE && self.setting_aside_bytes + size <= SET_ASIDE_BYTES;
        self.setting_aside == 0 || fits
    }

    pub fn has_room_to_put_off(&self) -> bool {
        self.putting_off < PUT_OFF_AT_ONCE
    }

    pub fn enter(&mut self, phase: Phase, size: usize) {
        *self.count(phase) += 1;
        if phase == Phase::SettingAside {
            self.setting_aside_bytes += size;
        }
    }

    pub fn leave(&mut self, phase: Phase, size: usize) {
        let count = self.count(phase);
        *count = count.saturating_sub(1);
        if phase == Phase::SettingAside {
            self.setting_aside_bytes = self.setting_aside_bytes.saturating_sub(size);
        }
    }

    pub fn change(&mut self, phase: &mut Phase, next: Phase, size: usize) {
        self.leave(*phase, size);
        self.enter(next, size);
        *phase = next;
    }

    fn count(&mut self, phase: Phase) -> &mut usize {
        match phase {
            Phase::Calling => &mut self.calling,
            Phase::Hanging => &mut self.hanging,
            Phase::Recording => &mut self.recording,
            Phase::SettingAside => &mut self.setting_aside,
            Phase::PuttingOff => &mut self.putting_off,
        }
    }
}
