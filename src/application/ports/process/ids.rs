use uuid::Uuid;

/// Makes UUIDv7s, each greater than all that this process made before.
pub trait Ids: Send + Sync {
    fn next(&self) -> Uuid;
}
