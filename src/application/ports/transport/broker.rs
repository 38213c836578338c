/// The broker that messages travel through, as its operators ask about it.
pub trait Broker: Send + Sync {
    /// Whether it was reachable when we last heard of it, a moment ago.
    fn is_connected(&self) -> bool;

    /// `host:port` of where it is reached first.
    fn addresses(&self) -> Vec<String>;
}
