/// Chance, injected. Not for secrets.
pub trait Randomness: Send + Sync {
    /// Evenly spread from 0 (included) to 1 (excluded).
    fn chance(&self) -> f64;
}
