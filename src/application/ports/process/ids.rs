use uuid::Uuid;

/// Makes UUIDv7s, each greater than all that this process made before, unless its clock was put back by more than some
/// seconds: then they follow the clock.
pub trait Ids: Send + Sync {
    fn next(&self) -> Uuid;
}
