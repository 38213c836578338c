use std::net::TcpListener;

use uuid::Uuid;

/// A port at which nobody listens now, and that the system gives to nobody by itself: it stays free while its server is
/// down.
pub fn free_port() -> u16 {
    loop {
        // Below the ports of outgoing connections.
        let port = 20_000 + u16::try_from(Uuid::new_v4().as_u128() % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
