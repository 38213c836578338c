//! What Correio does: one use case a file, named by its verb, on ports.

pub mod ports;
