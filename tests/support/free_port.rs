use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;

/// Below the ports of outgoing connections, which the system gives by itself.
const PORTS: std::ops::Range<usize> = 20_000..32_000;

/// A port at which nobody listens now, and that the system gives to nobody by itself: it stays free while its server is
/// down. Nobody else in this process gets the same.
pub fn free_port() -> u16 {
    // From somewhere, so that two processes hardly meet.
    static NEXT: LazyLock<AtomicUsize> = LazyLock::new(|| AtomicUsize::new(Uuid::new_v4().as_fields().0 as usize));
    loop {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len();
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
