use std::error::Error;

/// An error is one sentence for the person that started this.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
