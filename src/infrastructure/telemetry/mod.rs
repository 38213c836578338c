//! What the process says about itself while it runs.

pub mod logging;
