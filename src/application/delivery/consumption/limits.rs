use std::time::Duration;

/// How much is taken from all partitions together at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls of channels at the same time. A delivery whose call is over does not count, though its outcome is still
    /// being recorded: otherwise other calls would wait for the database.
    pub concurrency: usize,
    /// Records that wait in memory, so that a slow recipient's do not hide those behind them.
    pub records: usize,
    /// Bytes of those records.
    pub bytes: usize,
}

/// How many outcomes may wait to be recorded, for each delivery that may be under way.
pub(super) const RECORDING_PER_CALL: usize = 4;

/// How many calls may hang beside those that may be under way, for each of these. They cost no more than memory.
pub const HANGING_PER_CALL: usize = 4;

/// Bytes of the records whose calls hang. Beyond, such a call keeps its place among the others.
pub(super) const HANGING_BYTES: usize = 64 << 20;

/// Bytes of the records whose outcomes wait to be recorded. Beyond, no other call begins.
pub(super) const RECORDING_BYTES: usize = 64 << 20;

/// From then on a call hangs, and what waits for it, or for a place of its instance, is put off.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A call that takes this long is what keeps others of its key waiting; otherwise it is the database, or other keys.
pub(super) const SLOW: Duration = Duration::from_millis(500);

/// How many records are set aside at the same time.
pub(super) const SET_ASIDE_AT_ONCE: usize = 16;

/// And their bytes together, unless it is a single record. Records of the largest size that a topic takes would fill
/// the producer's buffer, which messages need too, and would get each other refused.
pub(super) const SET_ASIDE_BYTES: usize = 8 << 20;

/// How many messages are put off at the same time: they share statements.
pub(super) const PUT_OFF_AT_ONCE: usize = 512;

impl Limits {
    pub fn of(concurrency: usize) -> Self {
        Self { concurrency, records: 8_192.max(4 * concurrency), bytes: 32 << 20 }
    }
}
