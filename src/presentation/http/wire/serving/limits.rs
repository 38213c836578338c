use std::time::Duration;

/// What one server takes upon itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One over it is accepted and closed.
    pub connections: usize,
    /// From the first byte of a request's head, or the beginning of the connection, to the end of the head.
    pub header_timeout: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub keep_alive_timeout: Duration,
    /// For which a client takes nothing of an answer that waits for it.
    pub stall_timeout: Duration,
}
